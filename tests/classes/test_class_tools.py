"""Class workflows as tools: found in files without running them, published after their class, driven in a worker, told as they stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from support.faults import query
from support.mcp_calls import call, create, eventually
from support.shells import READY
from support.transports import Stdio, Way, open_way, way_in

pytestmark = pytest.mark.anyio

NOTES = '''
from textwrap import dedent
from typing import Iterator, Optional

from agno.agent import Agent
from agno.run.response import RunResponse
from agno.workflow import Workflow


class NoteTaker(Workflow):
    """Keeps notes; the description of the class wins over this."""

    description = "Take a note and say how many there are."

    def run(self, text: str, loud: bool = False, tags: Optional[list[str]] = None) -> RunResponse:
        """Take one.

        Args:
            text: What to note.
            loud: In capitals.
        """
        notes = self.session_state.setdefault("notes", [])
        notes.append(text.upper() if loud else text)
        return RunResponse(content=f"{len(notes)}: {notes[-1]}")


class Recite(Workflow):
    """Say a text word by word."""

    def run(self, text: str) -> Iterator[RunResponse]:
        for word in text.split():
            yield RunResponse(content=word + " ")


class Later(Workflow):
    """Answer from a coroutine."""

    async def arun(self, number: int = 1) -> RunResponse:
        import asyncio

        await asyncio.sleep(0)
        return RunResponse(content={"number": number, "run": self.run_id, "session": self.session_id})


class Streams(Workflow):
    """Answer from an async generator."""

    async def arun(self):
        yield RunResponse(content="a")
        yield RunResponse(content="b")


class _Helper(Workflow):
    def run(self): ...


if __name__ == "__main__":
    raise SystemExit("not when it is loaded as a workflow")
'''

PLAIN = '''
from repertoire import Workflow


class Gives(Workflow):
    """Give back what is asked for."""

    def run(self, what: str):
        self.session_state["asked"] = self.session_state.get("asked", 0) + 1
        if what == "dict":
            return {"a": 1}
        if what == "error":
            raise ValueError("boom")
        if what == "asked":
            return self.session_state["asked"]
        return None
'''
REPEATS = PLAIN.replace("class Gives", "class Repeats")

DEFAULTS = '''
from repertoire import RunResponse, Workflow


class Defaults(Workflow):
    """Start from defaults."""

    def __init__(self, **kwargs):
        super().__init__(**{"session_state": {"count": 0, "once": True}, **kwargs})

    def run(self) -> RunResponse:
        self.session_state["count"] += 1
        return RunResponse(content=[self.session_state["count"], self.session_state.pop("once", False)])
'''

FAULTY = '''
from abc import abstractmethod

from repertoire import RunResponse, Workflow


class Base(Workflow):
    @abstractmethod
    def run(self): ...


class Concrete(Base):
    """Has a body."""

    def run(self) -> RunResponse:
        return RunResponse(content="ok")


class Wants(Workflow):
    """Cannot be made."""

    def __init__(self, needed):
        super().__init__()

    def run(self) -> RunResponse:
        return RunResponse(content=self.needed)


class Breaks(Workflow):
    """Fails after two items."""

    def run(self):
        yield RunResponse(content="one ")
        yield RunResponse(content="two ")
        raise RuntimeError("no third")
'''


@pytest.fixture(params=["memory-modern", "stdio-legacy", "http-legacy"], scope="module")
async def way(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[Way]:
    """One home for all. Each test that counts in the state has a workflow of its own: `gives` or `repeats`."""
    files = {"notes": NOTES, "plain": PLAIN, "repeats": REPEATS, "defaults": DEFAULTS, "faulty": FAULTY}
    home = tmp_path_factory.mktemp("way") / "home"
    (home / "workflows").mkdir(parents=True)
    for name, source in files.items():
        (home / "workflows" / f"{name}.py").write_text(source)
    async with open_way(request.param, home, {}) as way:
        yield way


async def test_a2_a_file_of_classes_is_a_tool_for_each(way: Way) -> None:
    async with way.client() as client:

        async def listed() -> bool:
            found = {tool.name: tool for tool in (await client.list_tools(cache_mode="refresh")).tools}
            tools.update(found)
            return {
                "note_taker",
                "recite",
                "later",
                "streams",
                "gives",
                "defaults",
                "concrete",
                "breaks",
            } <= found.keys()

        tools: dict[str, Any] = {}
        await eventually(listed)
        assert not {"notes", "_helper", "base", "wants"} & tools.keys()
        taker = tools["note_taker"]
        assert taker.description == "Take a note and say how many there are."
        properties = taker.input_schema["properties"]
        assert properties["text"] == {"type": "string", "description": "What to note."}
        assert properties["loud"] == {"type": "boolean", "default": False, "description": "In capitals."}
        assert taker.input_schema["required"] == ["text"]
        assert (await call(client, "note_taker", {"text": "a"}))["result"] == "1: a"
        assert (await call(client, "note_taker", {"text": "b", "loud": True}))["result"] == "2: B"
        wrong = await call(client, "note_taker", {})
        assert (
            wrong["is_error"] and wrong["error"]["code"] == "invalid_arguments" and "text" in wrong["error"]["message"]
        )
        assert (await call(client, "run_workflow", {"name": "NoteTaker", "arguments": {"text": "c"}}))[
            "result"
        ] == "3: c"
        broken = (await call(client, "list_workflows"))["broken"]
        assert [finding["message"] for file in broken for finding in file["findings"]] == [
            "Wants cannot be made without arguments: Wants.__init__() missing 1 required positional argument: 'needed'"
        ]


async def test_a14_a_stream_is_told_as_it_comes_and_its_whole_text_is_the_result(way: Way) -> None:
    seen: list[tuple[float, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, message))

    async with way.client() as client:
        await _published(client, "recite")
        answer = await call(client, "recite", {"text": "to be or not"}, progress_callback=on_progress)
        assert answer["result"] == "to be or not "
        assert [progress for progress, _ in seen] == sorted({progress for progress, _ in seen})
        assert seen[-1][1] == "to be or not "
        events = (await call(client, "get_run", {"run_id": answer["run_id"]}))["events"]
        assert [event["data"]["text"] for event in events if event["type"] == "text"] == ["to ", "be ", "or ", "not "]


async def test_a15_coroutines_and_async_generators_are_run_too(way: Way) -> None:
    async with way.client() as client:
        await _published(client, "later", "streams")
        answer = await call(client, "later", {"number": "7"})
        assert answer["result"] == {"number": 7, "run": answer["run_id"], "session": answer["session_id"]}
        assert (await call(client, "streams"))["result"] == "ab"


async def test_a17_what_is_no_response_is_the_result_and_its_state_is_kept(way: Way) -> None:
    async with way.client() as client:
        await _published(client, "gives")
        assert (await call(client, "gives", {"what": "dict"}))["result"] == {"a": 1}
        nothing = await call(client, "gives", {"what": "nothing"})
        assert nothing["result"] is None and nothing["status"] == "completed"
        assert (await call(client, "gives", {"what": "asked"}))["result"] == 3


async def test_a19_a_body_that_raises_leaves_the_state_as_it_was(way: Way) -> None:
    async with way.client() as client:
        await _published(client, "repeats")
        await call(client, "repeats", {"what": "dict"})
        failed = await call(client, "repeats", {"what": "error"})
        assert failed["is_error"] and failed["status"] == "failed"
        assert (failed["error"]["type"], failed["error"]["line"]) == ("ValueError", 13) and "boom" in failed["error"][
            "message"
        ]
        assert (await call(client, "repeats", {"what": "asked"}))["result"] == 2


async def test_a20_a_generator_that_raises_has_told_what_it_gave_before(way: Way) -> None:
    async with way.client() as client:
        await _published(client, "breaks")
        failed = await call(client, "breaks")
        assert failed["error"]["type"] == "RuntimeError" and "no third" in failed["error"]["message"]
        events = (await call(client, "get_run", {"run_id": failed["run_id"]}))["events"]
        assert [event["data"]["text"] for event in events if event["type"] == "text"] == ["one ", "two "]


async def test_a5_a8_defaults_are_given_once_and_what_was_deleted_stays_deleted(way: Way) -> None:
    async with way.client() as client:
        await _published(client, "defaults")
        session = (await call(client, "defaults", {"session_id": "new"}))["session_id"]
        again = [(await call(client, "defaults", {"session_id": session}))["result"] for _ in range(2)]
        assert again == [[2, False], [3, False]]


async def test_a38_clients_have_their_own_counters_and_find_them_again(tmp_path: Path) -> None:
    with way_in("stdio-modern", tmp_path / "home", {}) as way:
        assert isinstance(way, Stdio)
        (way.home / "workflows" / "defaults.py").write_text(DEFAULTS)
        async with way.client(session="one") as one, way.client(session="two") as two:
            await _published(one, "defaults")
            counts = [(await call(client, "defaults"))["result"][0] for client in (one, two, one)]
            assert counts == [1, 1, 2]
        async with way.client(session="one") as back:
            assert (await call(back, "defaults"))["result"][0] == 3


async def test_a3_a_number_as_text_is_converted_or_refused(way: Way) -> None:
    async with way.client() as client:
        await _published(client, "later")
        assert (await call(client, "later", {"number": "60"}))["result"]["number"] == 60
        refused = await call(client, "later", {"number": "abc"})
        assert (
            refused["is_error"]
            and refused["error"]["code"] == "invalid_arguments"
            and "number" in refused["error"]["message"]
        )


async def test_a26_a_digest_in_stages_streams_and_is_answered_from_its_cache(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "rivers.md").write_text("A river flows.\n")
    seen: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(message)

    with way_in("stdio-modern", tmp_path / "home", {READY: "true"}) as way:
        async with way.client() as client:
            await _published(client, "topic_digest")
            tools = {tool.name: tool for tool in (await client.list_tools(cache_mode="refresh")).tools}
            schema = tools["topic_digest"].input_schema
            assert schema["required"] == ["topic"] and schema["properties"]["topic"]["type"] == "string"
            switches = {
                name: part["default"] for name, part in schema["properties"].items() if part.get("type") == "boolean"
            }
            assert switches == {"use_found": True, "use_passages": True, "use_digest": True}
            arguments = {"topic": "rivers that flow", "folder": str(tmp_path / "docs")}
            first = await call(client, "topic_digest", arguments, progress_callback=on_progress)
            assert first["result"].startswith("# rivers that flow") and seen[-1] == first["result"][-200:]
            (tmp_path / "docs" / "rivers.md").unlink()
            assert (await call(client, "topic_digest", arguments))["result"] == first["result"]
            gone = await call(client, "topic_digest", {**arguments, "use_found": False, "use_digest": False})
            assert "No document" in gone["result"]


TYPED = '''
from typing import Literal, Optional

from pydantic import BaseModel, Field

from repertoire import RunResponse, Workflow


class Point(BaseModel):
    x: int = Field(description="Along.")


class Typed(Workflow):
    """Take every kind."""

    def run(
        self, at: Point, tags: Optional[list[str]] = None, counts: dict[str, int] = {}, side: Literal["l", "r"] = "l", **more: float
    ) -> RunResponse:
        """Take them.

        Args:
            tags: What it is about.
            side: Which.
        """
        return RunResponse(content=[at.x, tags, counts, side, more])
'''


async def test_a35_every_kind_of_parameter_has_its_schema(tmp_path: Path) -> None:
    with way_in("memory-modern", tmp_path / "home", {}) as way:
        async with way.client() as client:
            await create(client, "typed", TYPED)
            schema = (await call(client, "get_workflow", {"name": "typed"}))["input_schema"]
            properties = schema["properties"]
            assert schema["required"] == ["at"] and schema["additionalProperties"] == {"type": "number"}
            assert properties["tags"]["anyOf"] == [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]
            assert properties["tags"]["description"] == "What it is about."
            assert properties["counts"] == {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "default": {},
            }
            assert properties["side"] == {"type": "string", "enum": ["l", "r"], "default": "l", "description": "Which."}
            assert schema["$defs"]["Point"]["properties"]["x"]["description"] == "Along."
            answer = await call(client, "typed", {"at": {"x": 1}, "counts": {"a": 2}, "weight": 0.5})
            assert answer["result"] == [1, None, {"a": 2}, "l", {"weight": 0.5}]


async def test_a_module_beside_a_file_wins_over_our_stand_in_and_so_do_installed_packages(tmp_path: Path) -> None:
    """`buddy` may be anybody's module; what is not there at all is answered with a sentence."""
    for folder in ("beside", "asks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "beside" / "_x").mkdir()
    (tmp_path / "beside" / "says.py").write_text(
        '"""Say."""\nimport buddy\n\ndef run() -> str:\n    return buddy.WORD\n'
    )
    (tmp_path / "beside" / "buddy.py").write_text(
        '"""A helper."""\nWORD = "mine"\n\ndef run() -> str:\n    return WORD\n'
    )
    (tmp_path / "asks" / "asks.py").write_text(
        '"""Ask."""\nfrom agno.nowhere import Library\n\ndef run() -> int:\n    return 1\n'
    )
    roots = {"REPERTOIRE_READY_WORKFLOWS": "false"}
    from repertoire.app import open_app
    from repertoire.model.session import Caller
    from repertoire.settings import load

    (tmp_path / "home").mkdir(mode=0o700)
    async with open_app(load(home=str(tmp_path / "home"), environ=roots)) as app:
        caller = Caller(roots=(str(tmp_path / "beside"), str(tmp_path / "asks")))
        await app.settled(caller)
        run = await app.service.runs.wait_for_end(await app.service.runs.start(caller, "says", {}))
        assert run.result == '"mine"'
        (broken,) = app.service.library.list_broken(caller)
        assert "agno.nowhere" in broken["findings"][0]["message"]


async def test_a_class_is_created_through_a_tool(tmp_path: Path) -> None:
    with way_in("memory-modern", tmp_path / "home", {}) as way:
        async with way.client() as client:
            await create(client, "keeper", PLAIN.replace("Gives", "Anything"))
            assert (await call(client, "keeper", {"what": "dict"}))["result"] == {"a": 1}
            two = await call(client, "create_workflow", {"name": "several", "source": NOTES})
            assert two["is_error"] and two["error"]["code"] == "class_name"
            assert "NoteTaker (note_taker)" in two["error"]["message"]
            await create(client, "recite", NOTES)
            assert (await call(client, "recite", {"text": "x"}))["result"] == "x "


async def test_a21_a_cancelled_call_stops_a_class(tmp_path: Path) -> None:
    source = PLAIN.replace(
        'if what == "dict":', 'print("started")\n        import time\n        time.sleep(60)\n        if 0:'
    )
    with way_in("stdio-modern", tmp_path / "home", {}) as way:
        async with way.client() as client:
            await create(client, "gives", source)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "gives", {"what": "started"})

                async def begun() -> bool:
                    return query(way.home, "SELECT 1 FROM event WHERE type = 'log'") != []

                await eventually(begun)
                tasks.cancel_scope.cancel()

            async def cancelled() -> bool:
                return query(way.home, "SELECT status FROM run WHERE workflow = 'gives'") == [("cancelled",)]

            await eventually(cancelled)


async def _published(client: Any, *names: str) -> None:
    async def listed() -> bool:
        return set(names) <= {tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools}

    await eventually(listed)
