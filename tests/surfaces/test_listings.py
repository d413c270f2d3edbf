"""What hosts see of a folder of odd files: each costs only itself, what is listed compiles everywhere, what is answered fits what is listed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp import Client

from repertoire.app import open_app
from repertoire.model.session import Caller
from repertoire.model.workflow_version import WorkflowVersion
from repertoire.settings import load
from support.hosts import node_problems
from support.mcp_calls import call, create, eventually
from support.outside import need_node
from support.transports import Way, way_in

pytestmark = pytest.mark.anyio

GOOD = '"""Say {n}."""\n\ndef run() -> int:\n    return {n}\n'
FILES = {
    **{f"good{n}": GOOD.format(n=n) for n in range(4)},
    "ticket": '''"""Read a ticket's number."""
from pydantic import BaseModel, Field

class Ticket(BaseModel):
    number: str = Field(pattern=r"^(?P<project>[A-Z]+)-(?P<number>\\d+)$")
    place: tuple[float, float, float, float]
    props: str = Field("", json_schema_extra={"required": True})

def run(number: str) -> Ticket:
    return Ticket(number=number, place=(1, 2, 3, 4))
''',
    "measure": '''"""Measure."""
from typing import Annotated
from pydantic import BaseModel, Field

class Point(BaseModel):
    höhe: float = Field(alias="höhe (m)")

def run(größe: int, punkt: Point | None = None, 名: str = "x") -> dict[str, str | int]:
    return {"größe": größe, "name": 名}
''',
    "moment": '''"""Say when."""
from datetime import datetime, time, timedelta

def run() -> tuple[datetime, time, timedelta]:
    return datetime(2026, 1, 2, 3, 4, 5), time(6, 7), timedelta(days=-1)
''',
    "means": '"""Means."""\n\ndef run() -> dict[str, float]:\n    return {"a": float("nan"), "b": float("inf"), "c": 1.5}\n',
    "blob": '''"""Bytes."""
from pydantic import BaseModel

class Blob(BaseModel):
    data: bytes

def run() -> Blob:
    return Blob(data=bytes(range(256)))
''',
    "liar": '''"""A result that is not what its schema says."""
from typing import Annotated, Any
from pydantic import BaseModel, WithJsonSchema

class Liar(BaseModel):
    value: Annotated[Any, WithJsonSchema({"type": "integer"})] = 1

def run() -> Liar:
    session_state["n"] = session_state.get("n", 0) + 1
    return Liar(value="text")
''',
    "party": '''"""Throw a party \\ud83c\\udf89 \\ud83c."""
__workflow__ = {"title": "\\ud83c\\udf89", "tags": ["\\ud83c\\udf89"]}

def run(a: str = "") -> str:
    """x

    Args:
        a: What \\ud83c.
    """
    log.info("half \\ud83c")
    print("\\udce9")
    return "caf\\udce9 \\ud83c\\udf89"
''',
    "fails": '"""Fail."""\n\ndef run() -> None:\n    raise ValueError("half \\ud83c \\ud83c\\udf89")\n',
    "long_one": f'''"""{"Words that describe. " * 250}"""

def run(a: str) -> None:
    """x

    Args:
        a: {"long " * 400}
    """
''',
    "limit": '"""Limit."""\nfrom enum import Enum\n\nclass Limit(Enum):\n    NONE = float("inf")\n\ndef run(limit: Limit) -> None: ...\n',
    "huge": f'"""Huge."""\nfrom typing import Literal\n\ndef run(a: Literal[{10**30}]) -> None: ...\n',
    "odd": '''"""A schema that is none."""
from pydantic import BaseModel, Field

class Payload(BaseModel):
    model_config = {"json_schema_extra": lambda schema: schema.update(properties=[1, "\\ud83c"])}
    a: int = 1

def run(ctx) -> None: ...
''',
    "deep": '"""Deep."""\nkind = int\nfor _ in range(3000):\n    kind = list[kind]\n\ndef run(a: kind) -> None: ...\n',
    "uses": '"""Use."""\nfrom _helper import x\n\ndef run() -> int:\n    return x\n',
    "uses_latin": '"""Use."""\nfrom _latin import x\n\ndef run() -> int:\n    return x\n',
}  # fmt: skip
BROKEN = {"limit.py", "huge.py", "odd.py", "deep.py", "uses.py", "uses_latin.py", "pipe.py", "caf\\xe9.py"}


def write_all(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in FILES.items():
        (folder / f"{name}.py").write_text(source)
    (folder / "_helper.py").write_text("\n\n\nx = (\n")
    (folder / "_latin.py").write_bytes(b"# caf\xe9\nx = 1\n")
    os.mkfifo(folder / "pipe.py")
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.py")).write_text(GOOD.format(n=9))


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    home = tmp_path_factory.mktemp("odd") / "home"
    write_all(home / "workflows")
    with way_in("http-modern", home, {}) as found:
        yield found


@pytest.fixture
async def client(way: Way) -> AsyncIterator[Client]:
    """Once the whole folder is read."""
    async with way.client() as client:

        async def read() -> bool:
            answer = await call(client, "list_workflows", {"limit": 1000})
            return {os.path.basename(file["file"]) for file in answer["broken"]} >= BROKEN and set(FILES) <= {
                *(one["name"] for one in answer["workflows"]), *(name.removesuffix(".py") for name in BROKEN)
            }  # fmt: skip

        await eventually(read)
        yield client


async def listed(client: Client) -> dict[str, dict[str, Any]]:
    tools = (await client.list_tools(cache_mode="refresh")).tools
    return {tool.name: tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in tools}


async def broken(client: Client) -> dict[str, dict[str, Any]]:
    answer = await call(client, "list_workflows", {"limit": 1000})
    return {os.path.basename(file["file"]): file["findings"][0] for file in answer["broken"]}


async def test_m1_each_odd_file_is_named_and_costs_no_other(client: Client) -> None:
    found = await broken(client)
    assert found.keys() == BROKEN
    assert "inf" in found["limit.py"]["message"] and "64 bits" in found["huge.py"]["message"]
    assert (set(FILES) - {name.removesuffix(".py") for name in BROKEN}) <= (await listed(client)).keys()
    assert (await call(client, "good3"))["result"] == 3


@pytest.mark.parametrize("command", ["list", "doctor"])
def test_m1_no_command_ends_in_a_traceback(tmp_path: Path, command: str) -> None:
    write_all(tmp_path / "home" / "workflows")
    (tmp_path / "home").chmod(0o700)
    program = [sys.executable, "-P", "-m", "repertoire", command, "--home", str(tmp_path / "home"), "--json"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=90)
    assert "Traceback" not in done.stderr and "Error" not in done.stderr, done.stderr
    told = json.dumps(json.loads(done.stdout))
    assert "limit.py" in told and "_helper.py" in told and ("good2" in told or command == "doctor")


async def test_m1_whatever_reading_one_file_raises_the_others_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cause that nobody foresaw: the file is broken, the scan goes on, and a restart has all others from the store."""
    from repertoire.registry import folder

    write_all(tmp_path / "home" / "workflows")
    (tmp_path / "home").chmod(0o700)
    settings, caller, real = load(home=str(tmp_path / "home"), environ={}), Caller(), folder.with_schemas

    def fragile(version: WorkflowVersion, read: Any) -> WorkflowVersion:
        if version.name == "good1":
            raise AssertionError("nobody foresaw this \ud83c")
        return real(version, read)

    monkeypatch.setattr(folder, "with_schemas", fragile)
    monkeypatch.setattr(folder.logger, "disabled", True)  # pytest-xdist cannot pass half a character on
    for _ in range(2):
        async with open_app(settings, watch=False) as app:
            await app.service.library.wait_until_settled(caller, 60)
            view = app.service.library.view(caller)
            assert {"good0", "good2", "good3"} <= view.names.keys() and "good1" not in view.names
            found = {os.path.basename(file.path): file.findings[0] for file in view.broken}
            assert found["good1.py"].rule == "internal" and "nobody foresaw this" in found["good1.py"].message


async def test_m2_text_is_valid_wherever_it_comes_out(client: Client) -> None:
    tool = (await listed(client))["party"]
    assert tool["description"] == "Throw a party 🎉 \ufffd." and tool["title"] == "🎉"
    assert tool["inputSchema"]["properties"]["a"]["description"] == "What \ufffd."
    answer = await call(client, "party")
    assert answer["result"] == "caf\\xe9 🎉"
    events = (await call(client, "get_run", {"run_id": answer["run_id"]}))["events"]
    said = [event["data"]["message"] for event in events if event["type"] == "log"]
    assert said == ["half \ufffd", "\\xe9"]
    assert (await call(client, "fails"))["error"]["message"] == "half \ufffd 🎉"
    await create(client, "made_party", FILES["party"])
    assert (await call(client, "get_workflow", {"name": "made_party"}))["description"] == "Throw a party 🎉 \ufffd."


async def test_m3_m4_m9_m18_every_tool_is_one_that_a_typescript_host_takes(client: Client) -> None:
    need_node()
    tools = await listed(client)
    assert node_problems(list(tools.values())) == []
    assert all(len(tool.get("description", "").encode("utf-16-le")) <= 2048 for tool in tools.values())
    place = tools["ticket"]["outputSchema"]["$defs"] if "$defs" in tools["ticket"]["outputSchema"] else tools["ticket"]
    assert "prefixItems" in json.dumps(place) and "(?P<" not in json.dumps(tools)


async def test_m3_what_is_not_listed_is_a_finding_and_still_checked(client: Client) -> None:
    shown = await call(client, "get_workflow", {"name": "ticket"})
    told = [one["message"] for one in shown["findings"] if one["rule"] == "not_portable"]
    assert any("`pattern` of the result `number`" in message and "`(?P<`" in message for message in told), told
    assert any("`required` of the result `props`" in message for message in told)
    assert (await call(client, "ticket", {"number": "AB-1"}))["result"]["number"] == "AB-1"
    assert (await call(client, "ticket", {"number": "ab"}))["status"] == "failed"


async def test_m4_a_parameter_is_given_under_either_name(client: Client) -> None:
    tool = (await listed(client))["measure"]["inputSchema"]
    assert list(tool["properties"]) == ["grosse", "punkt", "parameter", "session_id"]
    assert tool["required"] == ["grosse"]
    for name, arguments in (
        ("measure", {"grosse": 3, "parameter": "y"}), ("measure", {"größe": 3, "名": "y"}),
        ("run_workflow", {"name": "measure", "arguments": {"grosse": 3, "名": "y"}}),
    ):  # fmt: skip
        assert (await call(client, name, arguments))["result"] == {"größe": 3, "name": "y"}
    shown = await call(client, "get_workflow", {"name": "measure"})
    assert any("`größe` is listed as `grosse`" in one["message"] for one in shown["findings"])
    assert (await call(client, "measure", {"grosse": 1, "größe": 2}))["status"] == "failed"


async def test_m5_m13_what_is_answered_fits_what_is_listed(client: Client) -> None:
    need_node()
    answers = []
    for name in ("moment", "means", "blob", "liar", "party", "fails", "good1"):
        answer = await call(client, name)
        answers.append((name, {key: value for key, value in answer.items() if key != "is_error"}))
    given = dict(answers)
    tools = await listed(client)
    assert node_problems(list(tools.values()), answers) == []
    for name, content in answers:
        Draft202012Validator(tools[name]["outputSchema"]).validate(content)
    assert given["moment"]["result"] == ["2026-01-02T03:04:05", "06:07:00", "-P1D"]
    assert given["means"]["result"] == {"a": None, "b": None, "c": 1.5}
    assert base64.b64decode(given["blob"]["result"]["data"], validate=True) == bytes(range(256))
    schema = (await call(client, "get_workflow", {"name": "blob"}))["output_schema"]
    assert schema["properties"]["data"] == {"type": "string", "contentEncoding": "base64"}


async def test_m5_a_result_that_does_not_fit_is_completed_and_fetched(client: Client) -> None:
    answer = await call(client, "liar", {"session_id": "new"})
    assert answer["status"] == "completed" and not answer["is_error"] and answer["result"] is None
    assert "result.value does not fit" in answer["message"] and answer["result_preview"] == '{"value":"text"}'
    assert (await call(client, "get_run", {"run_id": answer["run_id"]}))["result"] == {"value": "text"}
    assert (await call(client, "run_workflow", {"name": "liar"}))["result"] == {"value": "text"}


async def test_m17_what_is_wrong_with_a_helper_names_the_helper(client: Client, way: Way) -> None:
    found = await broken(client)
    assert found["uses.py"]["line"] == 4 and found["uses.py"]["file"] == str(way.home / "workflows" / "_helper.py")
    assert "_helper.py" in found["uses.py"]["message"]
    assert found["uses_latin.py"]["rule"] == "not_utf8" and found["uses_latin.py"]["file"].endswith("_latin.py")
    (way.home / "workflows" / "_helper.py").write_text("x = 7\n")

    async def mended() -> bool:
        return (await call(client, "run_workflow", {"name": "uses"})).get("result") == 7

    await eventually(mended)
    (way.home / "workflows" / "_helper.py").write_text("\n\n\nx = (\n")


async def test_m18_a_long_description_is_cut_in_the_listing_and_whole_elsewhere(client: Client) -> None:
    tool = (await listed(client))["long_one"]
    assert len(tool["description"]) <= 1024 and tool["description"].endswith("(get_workflow has the rest)")
    assert len(tool["inputSchema"]["properties"]["a"]["description"]) <= 1024
    shown = await call(client, "get_workflow", {"name": "long_one"})
    assert len(shown["description"]) > 5000 and len(shown["input_schema"]["properties"]["a"]["description"]) > 1900
