"""What bodies of class workflows give: kept in the state, streamed, of every kind. The acceptance cases' ids are in the names."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repertoire import RunEvent, RunResponse, SqliteStorage, Workflow, WorkflowCompletedEvent
from repertoire.classes.stored_sessions import Storage
from support import class_style
from support.class_style import AsyncStream, Letters, Stub, collected, state

db, storage = class_style.db, class_style.storage


class Cached(Workflow):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.expert = Stub()

    def run(self, topic: str) -> RunResponse:
        known = self.session_state.setdefault("known", {})
        if topic not in known:
            known[topic] = self.expert.run(f"About {topic}").content
        return RunResponse(content=known[topic])


class Draft(Workflow):
    """A stream that ends with an event that repeats it."""

    def run(self, topic: str) -> Iterator[Any]:
        yield RunResponse(content=f"On {topic}")
        yield WorkflowCompletedEvent(run_id=self.run_id, content=f"On {topic}")
        self.session_state["done"] = topic


def test_a11_what_was_worked_out_is_kept_per_session_and_over_processes(tmp_path: Path) -> None:
    storage = SqliteStorage(db_file=tmp_path / "wf.db")
    workflow = Cached(session_id="s", storage=storage)
    for topic in ("a", "a", "b"):
        workflow.run(topic=topic)
    assert len(workflow.expert.asked) == 2
    other = Cached(session_id="other", storage=storage)
    other.run(topic="a")
    assert len(other.expert.asked) == 1
    storage.close()
    path = class_style.script(
        tmp_path,
        "again.py",
        """
        import json
        from repertoire import RunResponse, SqliteStorage, Workflow

        class Cached(Workflow):
            def run(self, topic):
                return RunResponse(content=self.session_state["known"][topic])

        print(json.dumps(Cached(session_id="s", storage=SqliteStorage(db_file="wf.db")).run(topic="a").content))
        """,
    )
    assert class_style.run(path) == "About a"


class Telling(Workflow):
    def run(self, message: str) -> Iterator[RunResponse]:
        if message in self.session_state:
            yield RunResponse(run_id=self.run_id, content=self.session_state[message])
            return
        yield from self.teller.run(message, stream=True)
        self.session_state[message] = self.teller.run_response.content  # type: ignore[union-attr]

    teller = Stub()


def test_a12_a_stream_is_cached_after_its_last_item() -> None:
    workflow = Telling()
    first, second = (list(workflow.run(message="joke")) for _ in range(2))
    assert [item.content for item in first] == ["jo", "ke"] and [item.content for item in second] == ["joke"]
    assert Telling.teller.asked == ["joke"]
    assert workflow.run_response.content == "joke"


def test_a13_a_completed_event_is_not_counted_twice_and_state_is_saved_at_the_end(storage: Storage) -> None:
    workflow = Draft(session_id="s", storage=storage)
    items = list(workflow.run(topic="fusion"))
    assert [type(item) for item in items] == [RunResponse, WorkflowCompletedEvent]
    assert {item.run_id for item in items} == {workflow.run_id}
    assert workflow.run_response.content == "On fusion"
    assert workflow.list_runs()[0].content == "On fusion"
    assert state(workflow, storage) == {"done": "fusion"}


def test_the_accumulated_text_can_be_read_while_the_stream_goes_on() -> None:
    workflow = Letters()
    assert [workflow.run_response.content for _ in workflow.run(text="abc")] == ["a", "ab", "abc"]


def test_each_agents_completed_event_repeats_only_its_own_part() -> None:
    class Two(Workflow):
        def run(self) -> Iterator[RunResponse]:
            for text in ("one ", "two"):
                yield RunResponse(event=RunEvent.run_started)
                yield RunResponse(event=RunEvent.run_response_content, content=text)
                yield RunResponse(event=RunEvent.run_completed, content=text)

    workflow = Two()
    assert len(list(workflow.run())) == 6
    assert workflow.run_response.content == "one two"


class Async(Workflow):
    writer = Stub()

    async def arun(self, topic: str) -> RunResponse:
        response = await self.writer.arun(topic)
        self.session_state["topic"] = topic
        return RunResponse(content=response.content)


class Plain(Workflow):
    def run(self, topic: str) -> RunResponse:
        self.session_state["topic"] = topic
        return RunResponse(content=topic)


class Stream(Workflow):
    def run(self, topic: str) -> Iterator[RunResponse]:
        for letter in topic:
            yield RunResponse(content=letter)
        self.session_state["topic"] = topic


@pytest.mark.parametrize("kind", [Plain, Stream, Async, AsyncStream])
@pytest.mark.parametrize("called", ["run", "arun"])
def test_a15_every_kind_of_body_leaves_the_same_record_however_it_is_called(
    kind: type[Workflow], called: str, storage: Storage
) -> None:
    workflow = kind(session_id="s", storage=storage)
    if called == "arun":
        items = asyncio.run(collected(workflow.arun(topic="ab")))
    else:
        given = workflow.run(topic="ab")
        items = [given] if isinstance(given, RunResponse) else list(given)
    assert "".join(item.content for item in items) == "ab" and len(items) == (2 if "Stream" in kind.__name__ else 1)
    assert {item.run_id for item in items} == {workflow.run_id}
    (run,) = workflow.list_runs()
    assert (run.status, run.content, run.input, run.error) == ("completed", "ab", {"topic": "ab"}, None)
    assert state(workflow, storage) == {"topic": "ab"} and workflow.session_state == {"topic": "ab"}


def test_a15_an_async_body_runs_from_sync_code_that_a_loop_is_waiting_for() -> None:
    async def outside() -> tuple[Any, list[Any]]:
        return Async().run(topic="x").content, [item.content for item in AsyncStream().run(topic="xy")]

    assert asyncio.run(outside()) == ("x", ["x", "y"])


class Both(Workflow):
    def run(self) -> RunResponse:
        return RunResponse(content="sync")

    async def arun(self) -> RunResponse:
        return RunResponse(content="async")


def test_a16_both_are_wrapped_where_both_are_written(storage: Storage) -> None:
    workflow = Both(session_id="s", storage=storage)
    responses = [workflow.run(), asyncio.run(workflow.arun())]
    assert [response.content for response in responses] == ["sync", "async"]
    assert all(response.run_id and response.session_id == "s" for response in responses)
    assert {one.run_id for one in workflow.list_runs()} == {response.run_id for response in responses}


def test_a_run_written_async_is_awaited() -> None:
    class Odd(Workflow):
        async def run(self) -> RunResponse:
            return RunResponse(content="awaited")

    assert asyncio.run(Odd().run()).content == "awaited"


def test_a_returned_iterator_is_a_stream_whose_run_ends_also_when_nobody_reads_it(db: SqliteStorage) -> None:
    class Handing(Workflow):
        def run(self) -> Iterator[RunResponse]:
            return iter([RunResponse(content="a"), RunResponse(content="b")])

    workflow = Handing(session_id="s", storage=db)
    assert [item.content for item in workflow.run()] == ["a", "b"]
    unread = workflow.run()
    del unread
    gc.collect()
    assert [one.status for one in workflow.list_runs()] == ["cancelled", "completed"]


class Returning(Workflow):
    def run(self, value: Any) -> Any:
        self.session_state["returned"] = value
        return value


def test_a17_what_is_no_response_is_none_to_the_caller_and_kept_in_the_record(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    workflow = Returning(session_id="s", storage=storage)
    assert workflow.run(value={"a": 1}) is None
    assert "Returning returned dict, not a RunResponse" in caplog.text
    assert state(workflow, storage) == {"returned": {"a": 1}}
    assert workflow.list_runs()[0].content == {"a": 1} and workflow.run_response.content == {"a": 1}
    caplog.clear()
    assert workflow.run(value=None) is None
    assert workflow.list_runs()[0].status == "completed" and not caplog.records


def test_a18_unknown_items_are_passed_on_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    class Mixed(Workflow):
        def run(self) -> Iterator[Any]:
            yield "text"
            yield {"a": 1}
            yield RunResponse(content="s")

    workflow = Mixed()
    items = list(workflow.run())
    assert items[:2] == ["text", {"a": 1}] and items[2].run_id == workflow.run_id
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert workflow.run_response.content == "s"
