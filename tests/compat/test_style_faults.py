"""What may be wrong with a workflow, in all three styles, as calls of one real server: each is answered with a sentence that says what
to do, and nothing is lost by it."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from support.faults import Host, repertoire
from support.mcp_calls import call
from support.transports import Http, http_server

pytestmark = pytest.mark.anyio

STYLES = ["function", "context", "class"]

HEADS = {
    "function": "def run(",
    "context": "def run(ctx, ",
    "class": "class {name}(Workflow):\n    def run(self, ",
}

COUNT = "session_state['count'] = session_state.get('count', 0) + 1\n"

BODIES: dict[str, tuple[str, str]] = {
    "gives": (
        "what: str = 'count'",
        COUNT + """
        if what == "dict": return {"a": 1}
        if what == "list": return [1, None]
        if what == "iterator": return iter([1, 2])
        if what == "generator": return (letter for letter in "ab")
        if what == "awaitable":
            async def later(): return 5
            return later()
        if what == "nothing": return None
        if what == "object": return {"deep": [object()]}
        if what == "class": return RunResponse
        if what == "response": return RunResponse(content={"deep": [object()]})
        if what == "circle":
            circle = {}
            circle["again"] = [circle]
            return circle
        if what == "nan": return float("nan")
        if what == "infinite": return RunResponse(content={"values": [float("inf"), 1.5]})
        return session_state["count"]
        """,
    ),
    "own_items": (
        "known: bool = False",
        COUNT + """
        yield "text"
        yield {"a": [1]}
        if known: yield RunResponse(content="known ")
        yield None
        yield object()
        """,
    ),
    "breaks": (
        "after: int = 2",
        COUNT + """
        yield {"own": True}
        for number in range(after): yield RunResponse(content=f"{number} ")
        raise RuntimeError("no more of it")
        """,
    ),
    "odd_items": (
        "",
        """
        yield RunResponse(content="text ")
        yield float("nan")
        yield RunResponse(content=float("inf"))
        circle = []
        circle.append(circle)
        yield circle
        yield RunResponse(content="end")
        """,
    ),
    "waits": ("", "import asyncio\nawait asyncio.sleep(0)\n" + COUNT + "return RunResponse(content=session_state['count'])"),
    "waits_streaming": (
        "broken: bool = False",
        "import asyncio\n" + COUNT + """
        yield RunResponse(content="one ")
        await asyncio.sleep(0)
        if broken: raise LookupError("no second")
        yield RunResponse(content="two")
        """,
    ),
    "holds": (
        "what: str = 'count'",
        COUNT + """
        held = session_state.setdefault("held", {})
        if what == "circle": held["again"] = [held]
        if what == "object": held["deep"] = [1, object()]
        if what == "nan key": held[float("nan")] = 1
        if what == "nan": held["values"] = [float("nan"), float("-inf")]
        if what == "look": return [session_state["count"], repr(held)]
        return session_state["count"]
        """,
    ),
    "takes": ("number: float, anything=None", "return [repr(number), repr(anything)]"),
}  # fmt: skip


def written(style: str, name: str) -> str:
    """One body in one style."""
    parameters, body = BODIES[name]
    lines = [textwrap.dedent(part) for part in body.replace(COUNT, COUNT + "\0").split("\0")]
    text = "".join(lines)
    if style != "function":
        text = text.replace("session_state", "self.session_state" if style == "class" else "ctx.session_state")
    head = HEADS[style].format(name=f"{name}_{style}".title().replace("_", "")) + parameters + "):\n"
    if "await " in text:
        head = head.replace("def run", "async def run")
    depth = "        " if style == "class" else "    "
    imports = f'"""{name} in the {style} style."""\n\nfrom repertoire import RunResponse, Workflow\n\n\n'
    return imports + head.replace(", )", ")") + textwrap.indent(text, depth)


FILES = {f"{name}_{style}": written(style, name) for name in BODIES for style in STYLES}

BROKEN: dict[str, tuple[str, str, str]] = {
    "abstract": (
        ("from abc import ABC, abstractmethod\nfrom repertoire import Workflow\n\nclass Abstract(ABC, Workflow):\n"
        "    @abstractmethod\n    def part(self): ...\n\n    def run(self):\n        return self.part()\n"),
        "Abstract comes from Workflow, but is abstract: part has no body.", "a run method",
    ),
    "abstract_run": (
        ("from abc import abstractmethod\nfrom repertoire import Workflow\n\nclass AbstractRun(Workflow):\n"
        "    @abstractmethod\n    async def arun(self): ...\n"),
        "AbstractRun comes from Workflow, but is abstract: arun has no body.", "a run method",
    ),
    "abstract_elsewhere": (
        ("from _base import Base\nfrom repertoire import Workflow\n\nclass AbstractElsewhere(Base, Workflow):\n"
        "    def run(self):\n        return self.part()\n"),
        "AbstractElsewhere is abstract: it has no body for part", "Write that body",
    ),
    "no_body": (
        "from repertoire import Workflow\n\nclass NoBody(Workflow):\n    description = 'x'\n",
        "NoBody comes from Workflow, but has no run or arun method.", "a run method",
    ),
    "hidden_base": (
        "from _base import Base\n\nclass HiddenBase(Base):\n    def run(self):\n        return 1\n",
        ("HiddenBase has a run method, but whether Base comes from Workflow is not seen in this file: "
        "write class HiddenBase(Base, Workflow)."), "a class that comes from Workflow",
    ),
    "needs": (
        ("from repertoire import Workflow\n\nclass Needs(Workflow):\n    def __init__(self, model):\n        super().__init__()\n\n"
        "    def run(self):\n        return 1\n\nclass BesideNeeds(Workflow):\n    def run(self):\n        return 'beside'\n"),
        "Needs cannot be made without arguments: Needs.__init__() missing 1 required positional argument: 'model'",
        "Give every parameter of its __init__ a default",
    ),
    "raises": (
        ("from repertoire import Workflow\n\nclass Raises(Workflow):\n    def __init__(self):\n        {}['key']\n\n"
        "    def run(self):\n        return 1\n"),
        "Raises cannot be made: its __init__ raised KeyError: 'key'", "belongs into run()",
    ),
    "path_session": (
        "from repertoire import Workflow\n\nclass PathSession(Workflow):\n    session_id = '../x'\n\n    def run(self):\n        return 1\n",
        "PathSession cannot be made: its __init__ raised ValueError: session_id must not contain parts of a path, got '../x'",
        "Correct it",
    ),
    "no_module": (
        "import no_such_package_of_anybody\n\ndef run():\n    return 1\n",
        "the Python that runs workflows has no module 'no_such_package_of_anybody'",
        "workflows.no_such_package_of_anybody(...)",
    ),
    "no_module_context": (
        "import no_such_package_of_anybody\n\ndef run(ctx):\n    return ctx.payload['x']\n",
        "the Python that runs workflows has no module 'no_such_package_of_anybody'",
        "workflows.no_such_package_of_anybody(...)",
    ),
    "no_module_class": (
        ("import no_such_package_of_anybody\nfrom repertoire import Workflow\n\nclass NoModuleClass(Workflow):\n"
        "    def run(self):\n        return 1\n"),
        "the Python that runs workflows has no module 'no_such_package_of_anybody'",
        "workflows.no_such_package_of_anybody(...)",
    ),
    "no_page": (
        ("from agno.nowhere import Library\nfrom agno.workflow import Workflow\n\nclass NoPage(Workflow):\n"
        "    def run(self):\n        return 1\n"),
        "Repertoire has no 'agno.nowhere' in place of agno's: write what it does in Python, in run()", "",
    ),
    "no_name": (
        "from buddy.workflow import Step, Workflow\n\nclass NoName(Workflow):\n    def run(self):\n        return 1\n",
        "Repertoire has no 'buddy.workflow.Step' in place of buddy's: there are RunEvent", "",
    ),
    "no_flue_name": (
        "from pyflue import observe\n\ndef run(ctx):\n    return 1\n",
        "Repertoire has no 'observe' in place of pyflue's; read the events of a run: get_run, or `repertoire logs RUN --follow`", "",
    ),
}  # fmt: skip

WHOLE = {
    "_base": "from abc import ABC, abstractmethod\nfrom repertoire import Workflow\n\nclass Base(Workflow, ABC):\n"
    "    @abstractmethod\n    def part(self): ...\n",
    "two": "from repertoire import RunResponse, Workflow\n\nclass FirstHTTPThing(Workflow):\n    '''The first.'''\n"
    "    def run(self):\n        return RunResponse(content=self.workflow_id)\n\n"
    "class Second(Workflow):\n    def run(self):\n        return RunResponse(content='second')\n",
    "family": "from abc import ABC, abstractmethod\nfrom repertoire import RunResponse, Workflow\n\nclass Parent(Workflow, ABC):\n"
    "    @abstractmethod\n    def part(self): ...\n\n    def run(self):\n        return RunResponse(content=self.part())\n\n"
    "class Child(Parent):\n    def part(self):\n        return 'of the child'\n\n"
    "def part(self):\n    return 'given'\n\nclass Given(Parent):\n    part = part\n",
    "imports_late": "def run():\n    import no_such_package_of_anybody\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("styles") / "home"
    (home / "workflows").mkdir(parents=True)
    home.chmod(0o700)
    for name, source in {**FILES, **WHOLE, **{name: broken[0] for name, broken in BROKEN.items()}}.items():
        (home / "workflows" / f"{name}.py").write_text(source)
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Http]:
    """One process for all of these: whatever a test does to it, the next one must find it well."""
    with http_server(home, {"REPERTOIRE_READY_WORKFLOWS": "false"}) as url:
        yield Http("http-modern", home, url)


@asynccontextmanager
async def calling(server: Http) -> AsyncIterator[Client]:
    async with server.client() as client:
        yield client


async def new_session(client: Client, name: str) -> str:
    """A session in which the workflow has counted once."""
    session: str = (await called(client, name, "new"))["session_id"]
    return session


async def called(client: Client, name: str, session: str | None = None, **arguments: Any) -> dict[str, Any]:
    given = {"name": name, "arguments": arguments, **({"session_id": session} if session else {})}
    return await call(client, "run_workflow", given)


async def told(client: Client, answer: dict[str, Any], *types: str) -> list[Any]:
    """The run's events of these types: their data."""
    events = (await call(client, "get_run", {"run_id": answer["run_id"]}))["events"]
    return [event["data"] for event in events if event["type"] in types]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("what", "result"),
    [
        ("dict", {"a": 1}), ("list", [1, None]), ("iterator", [1, 2]), ("generator", ["a", "b"]), ("awaitable", 5),
        ("nothing", None), ("nan", None), ("infinite", {"values": [None, 1.5]}),
    ],
)  # fmt: skip
async def test_what_is_no_response_is_the_result_and_its_state_is_kept(
    server: Http, style: str, what: str, result: Any
) -> None:
    async with calling(server) as client:
        session = await new_session(client, f"gives_{style}")
        answer = await called(client, f"gives_{style}", session, what=what)
        assert (answer["status"], answer["result"], answer["is_error"]) == ("completed", result, False), answer
        assert (await called(client, f"gives_{style}", session))["result"] == 3


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("object", "result['deep'][0] has no JSON form: it is of type object"),
        ("response", "result['deep'][0] has no JSON form: it is of type object"),
        ("class", "result has no JSON form: it is of type type"),
        ("circle", "result['again'][0] contains itself, so it has no JSON form"),
    ],
)
async def test_a_result_without_a_json_form_fails_the_run_and_nothing_else(
    server: Http, style: str, what: str, words: str
) -> None:
    async with calling(server) as client:
        session = await new_session(client, f"gives_{style}")
        answer = await called(client, f"gives_{style}", session, what=what)
        assert answer["is_error"] and answer["status"] == "failed" and answer["error"]["code"] == "result_not_json"
        assert answer["error"]["message"].startswith(words) and answer["error"]["hint"].startswith("Return ")
        assert (await called(client, f"gives_{style}", session))["result"] == 2


@pytest.mark.parametrize("style", STYLES)
async def test_items_of_the_authors_own_are_told_and_are_the_result_where_there_is_nothing_else(
    server: Http, style: str
) -> None:
    async with calling(server) as client:
        answer = await called(client, f"own_items_{style}", known=True)
        assert answer["result"] == "known "
        items = [item["value"] for item in await told(client, answer, "item")]
        assert items[:3] == ["text", {"a": [1]}, None] and len(items) == 4 and "object" in str(items[3])
        failed = await called(client, f"own_items_{style}")
        assert failed["error"]["code"] == "result_not_json" and "result[3]" in failed["error"]["message"]


@pytest.mark.parametrize("style", STYLES)
async def test_odd_items_disturb_no_stream(server: Http, style: str) -> None:
    async with calling(server) as client:
        answer = await called(client, f"odd_items_{style}")
        assert (answer["status"], answer["result"]) == ("completed", "text end")
        assert [text["text"] for text in await told(client, answer, "text")] == ["text ", "end"]
        assert len(await told(client, answer, "item")) == 3


@pytest.mark.parametrize("style", STYLES)
async def test_a_generator_that_raises_after_items_has_told_them_and_keeps_the_state_of_before(
    server: Http, style: str
) -> None:
    async with calling(server) as client:
        counting = f"waits_streaming_{style}"
        for name, wrong, error, line_of in (
            (f"breaks_{style}", {"after": 2}, ("RuntimeError", "no more of it"), "raise RuntimeError"),
            (counting, {"broken": True}, ("LookupError", "no second"), "raise LookupError"),
        ):
            failed = await called(client, name, "new", **wrong)
            assert failed["is_error"] and failed["status"] == "failed" and failed["result"] is None
            assert (failed["error"]["type"], failed["error"]["message"]) == error
            line = FILES[name].splitlines()[failed["error"]["line"] - 1]
            assert line_of in line
            texts = [text["text"] for text in await told(client, failed, "text")]
            assert texts == (["0 ", "1 "] if name.startswith("breaks") else ["one "])
        again = await called(client, counting, failed["session_id"])
        assert again["result"] == "one two"


@pytest.mark.parametrize("style", STYLES)
async def test_a_run_that_is_written_async_is_awaited_and_streamed(server: Http, style: str) -> None:
    async with calling(server) as client:
        session = await new_session(client, f"waits_{style}")
        assert (await called(client, f"waits_{style}", session))["result"] == 2
        streamed = await called(client, f"waits_streaming_{style}")
        assert streamed["result"] == "one two"
        assert [text["text"] for text in await told(client, streamed, "text")] == ["one ", "two"]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("what", "words", "hint"),
    [
        ("circle", "session_state['held']['again'][0]: it contains itself, so it cannot be stored", "Store a copy"),
        ("object", "session_state['held']['deep'][1]: an object cannot be stored; the state can hold None", "Convert it"),
        ("nan key", "the key of session_state['held'][nan]: NaN equals nothing", "Use another key"),
    ],
)  # fmt: skip
async def test_a_state_that_cannot_be_stored_fails_the_run_and_the_earlier_one_stays(
    server: Http, style: str, what: str, words: str, hint: str
) -> None:
    async with calling(server) as client:
        session = await new_session(client, f"holds_{style}")
        failed = await called(client, f"holds_{style}", session, what=what)
        assert failed["is_error"] and failed["error"]["code"] == "state_not_serialisable"
        assert failed["error"]["message"].startswith(words) and failed["error"]["hint"].startswith(hint)
        assert (await called(client, f"holds_{style}", session, what="look"))["result"] == [2, "{}"]


@pytest.mark.parametrize("style", STYLES)
async def test_nan_in_a_state_comes_back_as_it_was(server: Http, style: str) -> None:
    async with calling(server) as client:
        session = await new_session(client, f"holds_{style}")
        assert (await called(client, f"holds_{style}", session, what="nan"))["result"] == 2
        seen = (await called(client, f"holds_{style}", session, what="look"))["result"]
        assert seen == [3, "{'values': [nan, -inf]}"]


@pytest.mark.parametrize("style", STYLES)
async def test_nan_as_an_argument_is_a_number_or_refused_by_name(server: Http, style: str) -> None:
    """JSON has no word for it: the client sends null, or the caller writes it as text."""
    async with calling(server) as client:
        answer = await called(client, f"takes_{style}", number="nan", anything="nan")
        assert answer["result"] == ["nan", "'nan'"]
        refused = await called(client, f"takes_{style}", number=float("nan"))
        assert refused["is_error"] and refused["error"]["code"] == "invalid_arguments"
        assert refused["error"]["message"] == "`number`: wants a number, got None (NoneType)"


async def test_nan_as_a_host_may_write_it_reaches_every_style(tmp_path: Path) -> None:
    """Python's own JSON writes and reads the word NaN, which is none of JSON's."""
    home = tmp_path / "home"
    (home / "workflows").mkdir(parents=True)
    home.chmod(0o700)
    for style in STYLES:
        (home / "workflows" / f"takes_{style}.py").write_text(FILES[f"takes_{style}"])
    host = Host(home).begin()
    try:
        for style in STYLES:
            assert host.call(f"takes_{style}", number=float("nan"), anything=[float("inf")])["result"] == [
                "nan",
                "[inf]",
            ]
    finally:
        host.close()
        assert repertoire(home, "stop", "--force").returncode == 0


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("session", ["../x", "..", "a/b", "\\x", "/etc/passwd", "x" * 300, ""])
async def test_a_session_that_is_a_path_is_nobodys(server: Http, home: Path, style: str, session: str) -> None:
    around = files_around(home)
    async with calling(server) as client:
        refused = await call(client, "run_workflow", {"name": f"waits_{style}", "session_id": session})
        assert refused["is_error"] and refused["error"]["code"] == "unknown_session" and "run_id" not in refused
        assert repr(session)[:20] in refused["error"]["message"] and "Leave session_id out" in refused["error"]["hint"]
    assert files_around(home) == around


def files_around(home: Path) -> set[str]:
    found = {str(path) for path in home.parent.rglob("*")}
    return {path for path in found if os.path.splitext(path)[1] not in (".db-wal", ".db-shm", ".pyc")}


async def test_each_class_of_a_file_is_a_tool_named_after_it(server: Http) -> None:
    async with calling(server) as client:
        assert (await called(client, "first_http_thing"))["result"] == "first_http_thing"
        assert (await called(client, "second"))["result"] == "second"
        assert (await called(client, "beside_needs"))["result"] == "beside", "the other class of its file is broken"
        assert (await called(client, "child"))["result"] == "of the child", "its abstract parent is only a base"
        assert (await called(client, "given"))["result"] == "given"
        for name in ("two", "parent", "needs", "family"):
            unknown = await called(client, name)
            assert unknown["is_error"] and unknown["error"]["code"] == "unknown_workflow", name


async def test_what_cannot_be_published_says_why_and_what_to_do(server: Http, home: Path) -> None:
    found: dict[str, Any] = {}
    async with calling(server) as client:
        with anyio.move_on_after(60):  # the first scan may be going on
            while found.keys() != BROKEN.keys():
                broken = (await call(client, "list_workflows"))["broken"]
                found = {Path(file["file"]).stem: file["findings"] for file in broken}
    assert found.keys() == BROKEN.keys()
    for name, (_, words, hint) in BROKEN.items():
        (finding,) = found[name]
        assert words in finding["message"], name
        assert hint in (finding["hint"] or ""), name
        assert finding["severity"] == "error" and finding["line"], name


@pytest.mark.parametrize("name", BROKEN)
async def test_what_cannot_be_published_is_refused_when_it_is_created(server: Http, name: str) -> None:
    """Of a single source: what it imports from its folder is not there."""
    source, words, _ = BROKEN[name]
    if "_base" in source:
        words = "`_base` is not installed" if "Workflow)" in source.partition("class")[2].partition("\n")[0] else words
    if "no_such_package_of_anybody" in source:
        words = "`no_such_package_of_anybody` is not installed"
    if name == "needs":
        source = source.partition("class BesideNeeds")[0]
    async with calling(server) as client:
        refused = await call(client, "create_workflow", {"name": name, "source": source})
        assert refused["is_error"] and words in json.dumps(refused, ensure_ascii=False).replace("\\\\", "\\"), refused
        unknown = await called(client, name)
        assert unknown["error"]["code"] == "unknown_workflow"


async def test_an_import_that_fails_in_the_body_says_what_to_install(server: Http) -> None:
    async with calling(server) as client:
        failed = await called(client, "imports_late")
        assert failed["is_error"] and failed["error"]["line"] == 2
        assert "workflows.no_such_package_of_anybody(...)" in failed["error"]["hint"]
