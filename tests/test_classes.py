"""The class style as a library: what a Workflow does in a user's own script. The acceptance cases' ids are in the tests' names."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import class_kit
from class_kit import Counter, Show, Stub, state
from repertoire import (
    InMemoryStorage,
    RunEvent,
    RunResponse,
    SqliteStorage,
    Workflow,
    WorkflowCompletedEvent,
    WorkflowRunResponseStartedEvent,
)
from repertoire.authoring import codec
from repertoire.authoring.classes import (
    Opened,
    Opening,
    RunDoors,
    RunEnd,
    SessionBusy,
    SessionConflict,
    serving,
)
from repertoire.authoring.sessions import Storage
from repertoire.names import snake_case


@pytest.fixture
def db(tmp_path: Path) -> Iterator[SqliteStorage]:
    storage = SqliteStorage("workflows", db_file=tmp_path / "wf.db")
    yield storage
    storage.close()


@pytest.fixture(params=["file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "memory":
        yield InMemoryStorage()
        return
    opened = SqliteStorage("workflows", db_file=tmp_path / "wf.db")
    yield opened
    opened.close()


class Summary(Workflow):
    description = "Shorten a text"
    writer = Stub()

    def run(self, text: str, most: int = 100) -> RunResponse:
        return RunResponse(content=self.writer.run(f"At most {most} words of: {text}").content)


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


class Letters(Workflow):
    """Yields one letter after the other, and what it sees of itself."""

    def run(self, text: str) -> Iterator[RunResponse]:
        for letter in text:
            yield RunResponse(content=letter, extra_data=(self.run_id, self.session_id))
            self.session_state["seen"] = self.session_state.get("seen", "") + letter


# Stamping and dispatch.


def test_a1_a_response_is_stamped_and_the_body_gets_its_arguments() -> None:
    workflow = Summary(session_id="s")
    response = workflow.run(text="t", most=60)
    assert "At most 60 words" in Summary.writer.asked[-1]
    assert (response.run_id, response.session_id, response.workflow_id) == (workflow.run_id, "s", "summary")
    assert str(response.run_id).startswith("workflow:summary:") and response.status == "completed"
    assert workflow.run_input == {"text": "t", "most": 60}
    assert workflow.description == "Shorten a text" and workflow.name == "Summary"


def test_arguments_that_do_not_fit_begin_no_run(db: SqliteStorage) -> None:
    workflow: Any = Summary(session_id="s", storage=db)
    with pytest.raises(TypeError, match=r"Summary\.run\(\): missing a required argument: 'text'"):
        workflow.run()
    with pytest.raises(TypeError, match="unexpected keyword argument 'extra'"):
        workflow.run(text="t", extra=1)
    assert workflow.list_runs() == []


def test_a4_state_lives_as_long_as_the_instance_without_a_storage() -> None:
    workflow = Counter()
    assert [workflow.run().content for _ in range(3)] == ["Run #1", "Run #2", "Run #3"]
    assert Counter().run().content == "Run #1"


COUNTER = """
    import json, sys
    from repertoire import RunResponse, SqliteStorage, Workflow

    class Counter(Workflow):
        def run(self):
            count = self.session_state.get("count", 0) + 1
            self.session_state["count"] = count
            return RunResponse(content=f"Run #{count}")

    state = json.loads(sys.argv[1])
    storage = SqliteStorage(table_name="workflows", db_file="tmp/wf.db")
    print(json.dumps(Counter(session_id="user-42", session_state=state, storage=storage).run().content))
"""


@pytest.mark.parametrize("initial", ['{"count": 0}', "null"], ids=["a5_stored_wins_over_initial", "a6_no_initial"])
def test_a5_a6_state_goes_on_in_the_next_process(initial: str, tmp_path: Path) -> None:
    path = class_kit.script(tmp_path, "counter.py", COUNTER)
    assert [class_kit.run(path, initial) for _ in range(3)] == ["Run #1", "Run #2", "Run #3"]


@pytest.mark.parametrize(
    ("overwrite", "expected"),
    [
        (False, {"a": {"x": 1, "y": 1, "z": 9}, "l": [1], "d": 1}),
        (True, {"a": {"x": 9, "y": 1, "z": 9}, "l": [2], "d": 1}),
    ],
)
def test_a7_stored_state_wins_deep_unless_told_otherwise(
    overwrite: bool, expected: dict[str, Any], storage: Storage
) -> None:
    Show(session_id="s", storage=storage).run(change={"a": {"x": 1, "y": 1}, "l": [1], "d": 1})
    initial = {"a": {"x": 9, "z": 9}, "l": [2]}
    later = Show(session_id="s", storage=storage, session_state=initial, overwrite_session_state=overwrite)
    assert later.run().content == expected
    assert initial == {"a": {"x": 9, "z": 9}, "l": [2]}, "the caller's own dict is not written to"


def test_overwriting_happens_once(storage: Storage) -> None:
    workflow = Counter(session_id="s", storage=storage, session_state={"count": 5}, overwrite_session_state=True)
    assert [workflow.run().content for _ in range(2)] == ["Run #6", "Run #7"]


class Popper(Workflow):
    def run(self, pop: bool) -> RunResponse:
        if pop:
            self.session_state.pop("key")
            self.session_state["deep"].pop("key")
        return RunResponse(content="key" in self.session_state or "key" in self.session_state["deep"])


def test_a8_a_key_that_was_removed_stays_removed(tmp_path: Path) -> None:
    initial = {"key": 1, "deep": {"key": 1, "other": 2}}
    storage = SqliteStorage(db_file=tmp_path / "wf.db")
    workflow = Popper(session_id="s", storage=storage, session_state=initial)
    assert workflow.run(pop=False).content is True
    assert workflow.run(pop=True).content is False
    assert workflow.run(pop=False).content is False
    storage.close()
    path = class_kit.script(
        tmp_path,
        "popper.py",
        """
        import json
        from repertoire import RunResponse, SqliteStorage, Workflow

        class Popper(Workflow):
            def run(self):
                return RunResponse(content=self.session_state)

        state = {"key": 1, "deep": {"key": 1, "other": 2}}
        print(json.dumps(Popper(session_id="s", storage=SqliteStorage(db_file="wf.db"), session_state=state).run().content))
        """,
    )
    assert class_kit.run(path) == {"deep": {"other": 2}}


# At once.


class Slow(Workflow):
    """Reads, lets others go on, writes: loses counts wherever two do it at once."""

    def run(self) -> RunResponse:
        mine = self.run_id
        count = self.session_state.get("count", 0)
        time.sleep(0.003)
        self.session_state["count"] = count + 1
        assert self.run_id == mine
        return RunResponse(content=mine)

    async def arun(self) -> RunResponse:
        mine = self.run_id
        count = self.session_state.get("count", 0)
        await asyncio.sleep(0.003)
        self.session_state["count"] = count + 1
        assert self.run_id == mine
        return RunResponse(content=mine)


class OnlyPlain(Workflow):
    def run(self) -> RunResponse:
        count = self.session_state.get("count", 0)
        time.sleep(0.003)
        self.session_state["count"] = count + 1
        return RunResponse(content=self.run_id)


def check_eight(responses: list[RunResponse], workflow: Workflow, storage: Storage) -> None:
    ids = {response.run_id for response in responses}
    assert len(ids) == 8 and all(response.content == response.run_id for response in responses)
    assert state(workflow, storage) == {"count": 8}
    assert {(one.run_id, one.status) for one in workflow.list_runs()} == {(run_id, "completed") for run_id in ids}


@pytest.mark.parametrize("instances", ["one instance", "eight instances"])
def test_a9_eight_threads_count_to_eight(instances: str, storage: Storage) -> None:
    one = Slow(session_id="s", storage=storage)
    workflows = [one] * 8 if instances == "one instance" else [Slow(session_id="s", storage=storage) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        check_eight(list(pool.map(lambda workflow: workflow.run(), workflows)), one, storage)


@pytest.mark.parametrize("kind", [Slow, OnlyPlain])
def test_a9_eight_tasks_count_to_eight(kind: type[Workflow], storage: Storage) -> None:
    async def eight(workflow: Workflow) -> list[RunResponse]:
        return list(await asyncio.gather(*(workflow.arun() for _ in range(8))))

    workflow = kind(session_id="s", storage=storage)
    check_eight(asyncio.run(eight(workflow)), workflow, storage)


def test_a9_four_processes_lose_no_count(tmp_path: Path) -> None:
    path = class_kit.script(
        tmp_path,
        "slow.py",
        """
        import json, time
        from repertoire import RunResponse, SqliteStorage, Workflow

        class Slow(Workflow):
            def run(self):
                count = self.session_state.get("count", 0)
                time.sleep(0.005)
                self.session_state["count"] = count + 1
                return RunResponse(content=count + 1)

        workflow = Slow(session_id="s", storage=SqliteStorage(db_file="wf.db"))
        print(json.dumps([workflow.run().content for _ in range(10)]))
        """,
    )
    given = [count for process in [class_kit.start(path) for _ in range(4)] for count in class_kit.answer(process)]
    assert sorted(given) == list(range(1, 41))


def test_a9_four_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    path = class_kit.script(tmp_path, "counter.py", COUNTER)
    given = [class_kit.answer(process) for process in [class_kit.start(path, "null") for _ in range(4)]]
    assert sorted(given) == ["Run #1", "Run #2", "Run #3", "Run #4"]


@pytest.mark.parametrize("instances", [1, 2])
def test_a10_interleaved_generators_of_two_sessions_keep_apart(instances: int, storage: Storage) -> None:
    first = Letters(session_id="a", storage=storage)
    second = first if instances == 1 else Letters(session_id="b", storage=storage)
    streams = [first.run(text="xyz")]
    second.session_id = "b"
    streams.append(second.run(text="123"))
    got: list[list[RunResponse]] = [[], []]
    for _ in range(3):
        for stream, items in zip(streams, got, strict=True):
            items.append(next(stream))
    for stream in streams:
        assert list(stream) == []
    for items, session, text in ((got[0], "a", "xyz"), (got[1], "b", "123")):
        assert "".join(item.content for item in items) == text
        assert {item.extra_data for item in items} == {(items[0].run_id, session)}
        assert {item.run_id for item in items} == {items[0].run_id}
        (stored,) = storage.sessions("letters", session_id=session)
        assert stored.session_state == {"seen": text}
        (run,) = storage.runs(first._repertoire.key(session))
        assert run.content == text


def test_a_run_that_could_only_wait_for_ever_is_told_so_at_once(storage: Storage) -> None:
    workflow = Slow(session_id="s", storage=storage)

    async def meet() -> None:
        other = asyncio.create_task(workflow.arun())
        while not workflow.list_runs():
            await asyncio.sleep(0)
        with pytest.raises(SessionBusy, match="in another task of this thread"):
            workflow.run()
        await other
        assert workflow.run().status == "completed"

    asyncio.run(meet())
    assert state(workflow, storage) == {"count": 2}


def test_async_code_shares_with_a_generator_that_its_thread_has_paused(storage: Storage) -> None:
    class Letter(Letters):
        async def arun(self) -> RunResponse:
            self.session_state["async"] = True
            return RunResponse(content="x")

    workflow = Letter(session_id="s", storage=storage)
    paused = workflow.run(text="ab")
    next(paused)
    assert asyncio.run(workflow.arun()).content == "x"
    assert len(list(paused)) == 1
    assert state(workflow, storage) == {"async": True, "seen": "ab"}


def test_a_body_in_a_thread_acts_for_the_task_that_called_it(storage: Storage) -> None:
    class Calling(Workflow):
        def run(self) -> RunResponse:
            return RunResponse(content=[item.content for item in letters.run(text="c")])

    letters = Letters(session_id="s", storage=storage)

    async def meet() -> Any:
        paused: Any = letters.arun(text="ab")
        await anext(paused)
        given = (await Calling().arun()).content
        return given, [item.content async for item in paused]

    assert asyncio.run(asyncio.wait_for(meet(), 20)) == (["c"], ["b"])
    assert sorted(state(letters, storage)["seen"]) == ["a", "b", "c"]


def test_two_interleaved_generators_of_one_session_share_its_state_instead_of_waiting_for_each_other(
    storage: Storage,
) -> None:
    workflow = Letters(session_id="s", storage=storage)
    first, second = workflow.run(text="ab"), workflow.run(text="12")
    assert [next(first).content, next(second).content] == ["a", "1"]
    assert [item.content for item in first] == ["b"] and [item.content for item in second] == ["2"]
    assert sorted(state(workflow, storage)["seen"]) == ["1", "2", "a", "b"]


def test_a_thread_waits_for_a_paused_run_of_another_and_is_told_who_has_the_session(tmp_path: Path) -> None:
    storage = SqliteStorage(db_file=tmp_path / "wf.db", wait_s=0.05)
    workflow = Letters(session_id="s", storage=storage)
    paused: Any = workflow.run(text="ab")
    run_id = next(paused).run_id
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(SessionBusy, match=run_id):
            pool.submit(lambda: list(workflow.run(text="c"))).result()
        paused.close()
        assert len(pool.submit(lambda: list(workflow.run(text="c"))).result()) == 1
    storage.close()


class Outer(Workflow):
    def run(self, again: bool = True) -> RunResponse:
        self.session_state["runs"] = self.session_state.get("runs", 0) + 1
        mine = self.run_id
        inner = self.run(again=False).content if again else None
        assert self.run_id == mine
        return RunResponse(content=[mine, inner])


def test_a_run_inside_a_run_of_the_same_session_shares_its_state(storage: Storage) -> None:
    workflow = Outer(session_id="s", storage=storage)
    outer, (inner, _) = workflow.run().content
    assert outer != inner and state(workflow, storage) == {"runs": 2}
    assert [one.status for one in workflow.list_runs()] == ["completed", "completed"]


def test_a_state_changed_behind_a_run_is_a_conflict_and_never_overwritten(db: SqliteStorage) -> None:
    class Changed(Workflow):
        def run(self) -> RunResponse:
            key = self._repertoire.key()
            db.commit(key, codec.encode({"count": 100}), 0, frozenset())  # as without locks
            self.session_state["count"] = 1
            return RunResponse(content="x")

    workflow = Changed(session_id="s", storage=db)
    with pytest.raises(SessionConflict, match="session 's' of changed was changed"):
        workflow.run()
    assert state(workflow, db) == {"count": 100}
    assert workflow.list_runs()[0].status == "failed"


# Caching, streaming.


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
    path = class_kit.script(
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
    assert class_kit.run(path) == "About a"


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


class AsyncStream(Workflow):
    async def arun(self, topic: str) -> AsyncIterator[RunResponse]:
        for letter in topic:
            await asyncio.sleep(0)
            yield RunResponse(content=letter)
        self.session_state["topic"] = topic


class Plain(Workflow):
    def run(self, topic: str) -> RunResponse:
        self.session_state["topic"] = topic
        return RunResponse(content=topic)


class Stream(Workflow):
    def run(self, topic: str) -> Iterator[RunResponse]:
        for letter in topic:
            yield RunResponse(content=letter)
        self.session_state["topic"] = topic


async def collected(given: Any) -> list[RunResponse]:
    return [item async for item in given] if hasattr(given, "__aiter__") else [await given]


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


# How runs end.


class Failing(Workflow):
    def run(self, fail: bool = True, commit: bool = False) -> RunResponse:
        self.session_state["n"] = self.session_state.get("n", 0) + 1
        if commit:
            self.commit_state()
            self.session_state["n"] = -1
        if fail:
            raise ValueError("boom")
        return RunResponse(content=self.session_state["n"])


def test_a19_an_exception_is_raised_recorded_and_changes_no_state(storage: Storage) -> None:
    workflow = Failing(session_id="s", storage=storage)
    assert workflow.run(fail=False).content == 1
    with pytest.raises(ValueError, match="boom"):
        workflow.run()
    assert workflow.list_runs()[0].status == "failed"
    assert workflow.list_runs()[0].error == {"type": "ValueError", "message": "boom"}
    assert state(workflow, storage) == {"n": 1} and workflow.session_state == {"n": 1}
    assert workflow.run(fail=False).content == 2


@pytest.mark.parametrize("stored", [True, False])
def test_a19_a_committed_state_stays(stored: bool, db: SqliteStorage) -> None:
    workflow = Failing(session_id="s", storage=db if stored else None)
    with pytest.raises(ValueError, match="boom"):
        workflow.run(commit=True)
    assert workflow.session_state == {"n": 1}
    assert workflow.run(fail=False).content == 2


class Breaking(Workflow):
    def run(self) -> Iterator[RunResponse]:
        self.session_state["begun"] = True
        yield RunResponse(content="part")
        raise ValueError("boom")

    async def arun(self) -> AsyncIterator[RunResponse]:
        self.session_state["begun"] = True
        yield RunResponse(content="part")
        raise ValueError("boom")


@pytest.mark.parametrize("called", ["run", "arun"])
def test_a20_a_stream_that_breaks_keeps_its_part(called: str, storage: Storage) -> None:
    workflow = Breaking(session_id="s", storage=storage)
    got: list[Any] = []

    async def read() -> None:
        async for item in workflow.arun():
            got.append(item.content)

    with pytest.raises(ValueError, match="boom"):
        if called == "run":
            got.extend(item.content for item in workflow.run())
        else:
            asyncio.run(read())
    assert called == "run" or got == ["part"]
    (run,) = workflow.list_runs()
    assert (run.status, run.content) == ("failed", "part")
    assert state(workflow, storage) == {}


class Endless(Workflow):
    closed: list[str]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.closed = []

    def run(self) -> Iterator[RunResponse]:
        self.session_state["begun"] = True
        try:
            while True:
                yield RunResponse(content="x")
        except GeneratorExit:
            self.closed.append(f"GeneratorExit in {self.session_id}")
            raise

    async def arun(self) -> RunResponse:
        self.session_state["begun"] = True
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.closed.append(f"CancelledError in {self.session_id}")
            raise
        return RunResponse()


def test_a21_a_stream_that_nobody_reads_on_is_cancelled(storage: Storage) -> None:
    workflow = Endless(session_id="s", storage=storage)
    for _ in workflow.run():
        break
    gc.collect()
    assert workflow.closed == ["GeneratorExit in s"]
    (run,) = workflow.list_runs()
    assert (run.status, run.content) == ("cancelled", "x")
    assert state(workflow, storage) == {} and workflow.session_state == {}


def test_a21_a_cancelled_task_is_a_cancelled_run(storage: Storage) -> None:
    workflow = Endless(session_id="s", storage=storage)

    async def cancel() -> None:
        task = asyncio.create_task(workflow.arun())
        while not workflow.list_runs():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert workflow.closed == ["CancelledError in s"]
    assert workflow.list_runs()[0].status == "cancelled"
    assert state(workflow, storage) == {}


def test_a21_an_async_stream_that_nobody_reads_on_is_cancelled(storage: Storage) -> None:
    workflow = AsyncStream(session_id="s", storage=storage)

    async def one() -> None:
        stream: Any = workflow.arun(topic="abc")
        async for _ in stream:
            break
        await stream.aclose()

    asyncio.run(one())
    (run,) = workflow.list_runs()
    assert (run.status, run.content) == ("cancelled", "a")


def test_a21_an_async_stream_that_is_dropped_is_cancelled_too(storage: Storage) -> None:
    workflow = AsyncStream(session_id="s", storage=storage)

    async def one() -> None:
        async for _ in workflow.arun(topic="abc"):
            break

    asyncio.run(one())
    assert [one.status for one in workflow.list_runs()] == ["cancelled"]


def test_a21_a_sync_stream_read_by_async_code_is_closed_in_its_thread(storage: Storage) -> None:
    class OnlyStream(Workflow):
        def run(self) -> Iterator[RunResponse]:
            self.session_state["thread"] = threading.current_thread().name
            yield RunResponse(content="a")
            yield RunResponse(content="b")

    workflow = OnlyStream(session_id="s", storage=storage)

    async def read() -> None:
        stream = workflow.arun()
        assert (await anext(stream)).content == "a"
        await stream.aclose()
        assert [item.content async for item in workflow.arun()] == ["a", "b"]

    asyncio.run(read())
    assert [one.status for one in workflow.list_runs()] == ["completed", "cancelled"]
    assert state(workflow, storage)["thread"] != threading.main_thread().name


@pytest.mark.parametrize("stream", [True, False])
def test_a21_a_task_is_cancelled_though_its_body_is_busy_in_a_thread(stream: bool, db: SqliteStorage) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Busy(Workflow):
        def run(self) -> Iterator[RunResponse]:
            self.session_state["begun"] = True
            entered.set()
            leave.wait(10)
            yield RunResponse(content="late")

    class BusyPlain(Workflow):
        def run(self) -> RunResponse:
            self.session_state["begun"] = True
            entered.set()
            leave.wait(10)
            return RunResponse(content="late")

    workflow: Any = (Busy if stream else BusyPlain)(session_id="s", storage=db)

    async def cancel() -> None:
        task = asyncio.create_task(collected(workflow.arun()))
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        leave.set()

    asyncio.run(cancel())
    assert [one.status for one in workflow.list_runs()] == ["cancelled"]
    assert state(workflow, db) == {}


def test_a_run_whose_process_died_is_failed_when_its_session_is_used_again(tmp_path: Path) -> None:
    path = class_kit.script(
        tmp_path,
        "dies.py",
        """
        import json, os
        from repertoire import RunResponse, SqliteStorage, Workflow

        class Dies(Workflow):
            def run(self):
                if not self.session_state.get("again"):
                    print(json.dumps(self.run_id), flush=True)
                    os._exit(0)

        Dies(session_id="s", storage=SqliteStorage(db_file="wf.db")).run()
        """,
    )
    run_id = class_kit.run(path)

    class Dies(Workflow):
        def run(self) -> RunResponse:
            return RunResponse(content="lives")

    storage = SqliteStorage(db_file=tmp_path / "wf.db")
    workflow = Dies(session_id="s", storage=storage)
    assert workflow.list_runs()[0].status == "working"
    assert workflow.run().content == "lives"
    lost = workflow.list_runs()[1]
    assert (lost.run_id, lost.status) == (run_id, "failed")
    assert lost.error is not None and lost.error["type"] == "ProcessLost"
    storage.close()


# Agents.


class TeamOf(Stub):
    def __init__(self, *members: Stub) -> None:
        super().__init__()
        self.members = members


class WithAgents(Workflow):
    own = Stub()
    team = TeamOf(own)

    def run(self, wait: threading.Barrier | None = None) -> RunResponse:
        agents = [self.own, self.inherited, self.instance, self.team]
        if wait is not None:
            wait.wait(10)
        return RunResponse(content={agent.run("x") and agent.session_id for agent in agents})


class Base(WithAgents):
    inherited = Stub()


class Inheriting(Base):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.instance = Stub()


def test_a34_every_agent_carries_the_session_of_the_run_that_uses_it() -> None:
    one, two, auto = Inheriting(session_id="one"), Inheriting(session_id="two"), Inheriting()
    assert one.run().content == {"one"}
    assert two.run().content == {"two"}
    assert one.run().content == {"one"}, "though the other was there last"
    assert auto.run().content == {auto.session_id}
    assert one.instance.session_id == "one" and Base.inherited.session_id == auto.session_id
    assert one.instance.sessions == ["one", "one"] and Base.inherited.sessions == ["one", "two", "one", auto.session_id]


def test_a34_runs_at_the_same_time_see_their_own_session_on_a_shared_agent() -> None:
    workflows = [Inheriting(session_id=str(number)) for number in range(4)]
    barrier = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(lambda workflow: workflow.run(wait=barrier), workflows))
    assert [response.content for response in responses] == [{"0"}, {"1"}, {"2"}, {"3"}]


def test_a34_an_explicit_session_is_on_the_agents_from_the_beginning_and_in_the_next_session() -> None:
    workflow = Inheriting(session_id="first")
    assert WithAgents.own.session_id == "first" and WithAgents.team.session_id == "first"
    new = workflow.new_session()
    assert workflow.run().content == {new}


def test_a34_agents_that_allow_no_view_are_given_the_session_itself() -> None:
    class Slotted:
        __slots__ = ("session_id",)

        def __init__(self) -> None:
            self.session_id: str | None = None

        def run(self) -> Any:
            return self.session_id

    class Strict(Workflow):
        agent = Slotted()

        def run(self) -> RunResponse:
            return RunResponse(content=self.agent.run())

    assert [Strict(session_id=name).run().content for name in ("a", "b")] == ["a", "b"]


def test_a_view_is_the_agent_in_all_else() -> None:
    class Counting(Stub):
        calls = 0

        def run(self, message: str, stream: bool = False) -> Any:
            self.calls += 1
            return super().run(message, stream)

    class Using(Workflow):
        agent = Counting()

        def run(self) -> RunResponse:
            assert isinstance(self.agent, Counting) and self.agent is self.agent
            self.agent.run("a")
            return RunResponse(content=self.agent.run_response.content if self.agent.run_response else None)

    assert Using().run().content == "a"
    assert Using.agent.calls == 1 and Using.agent.run_response is not None and type(Using.agent) is Counting


# Between runs, copies, bad input.


def test_changes_between_runs_count_but_old_values_are_never_written_back(storage: Storage) -> None:
    one, two = (Counter(session_id="s", storage=storage) for _ in range(2))
    assert [w.run().content for w in (one, two, one, two)] == ["Run #1", "Run #2", "Run #3", "Run #4"]
    assert one.session_state == {"count": 3}, "as this instance last saw it"
    one.session_state["flag"] = True
    two.run()
    one.run()
    assert state(one, storage) == {"count": 6, "flag": True}
    one.session_state = {"count": 0}
    one.run()
    assert state(one, storage) == {"count": 1}


def test_changes_survive_a_load_unless_it_is_forced(storage: Storage) -> None:
    Counter(session_id="s", storage=storage).run()
    workflow = Counter(session_id="s", storage=storage)
    workflow.session_state["flag"] = True
    workflow.load_session()
    assert workflow.session_state == {"count": 1, "flag": True}
    workflow.load_session(force=True)
    assert workflow.session_state == {"count": 1}
    workflow.session_state["flag"] = False
    workflow.read_from_storage()
    workflow.run()
    assert state(workflow, storage) == {"count": 2, "flag": False}


def test_setting_the_session_shows_nothing_of_the_old_one(storage: Storage) -> None:
    workflow = Counter(session_id="a", storage=storage)
    workflow.run()
    workflow.session_id = "b"
    assert workflow.session_state == {} and workflow.run().content == "Run #1"


def test_a_copy_has_a_state_of_its_own_also_after_a_run(storage: Storage) -> None:
    class Copied(Counter):
        agent = Stub()

    original = Copied(session_id="a", storage=storage, session_state={"count": 5})
    original.run()
    copy = original.deep_copy(update={"session_id": "b", "user_id": "ada"})
    assert (copy.run().content, copy.user_id, copy.agent is original.agent) == ("Run #6", "ada", True)
    assert original.run().content == "Run #7"
    loose = Counter()
    loose.run()
    twin = loose.deep_copy()
    assert twin.run().content == "Run #2" and loose.run().content == "Run #2"


def test_threads_of_a_body_see_its_state() -> None:
    class Threaded(Workflow):
        def run(self) -> RunResponse:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda n: self.session_state.setdefault(str(n), self.run_id), range(4)))
            return RunResponse(content=len(self.session_state))

    assert Threaded().run().content == 4


def test_a_subclass_may_forget_its_base_or_set_defaults_as_class_attributes(storage: Storage) -> None:
    class Forgetful(Workflow):
        session_state = {"n": 1}  # type: ignore[override]  # noqa: RUF012 - as files of that style have it

        def __init__(self, factor: int) -> None:
            self.factor = factor

        def run(self) -> RunResponse:
            self.session_state["n"] *= self.factor
            return RunResponse(content=self.session_state["n"])

    assert [workflow.run().content for workflow in (Forgetful(3), Forgetful(5))] == [3, 5]


def test_a_session_may_not_be_changed_by_the_body_that_is_in_it() -> None:
    class Changing(Workflow):
        def run(self, how: str) -> RunResponse:
            if how == "set":
                self.session_id = "other"
            else:
                getattr(self, how)()
            return RunResponse()

    for how in ("set", "new_session", "load_session"):
        with pytest.raises(RuntimeError, match="a run keeps its session"):
            Changing().run(how=how)


def test_a_workflow_without_a_body_and_a_storage_that_is_none_are_refused() -> None:
    class Empty(Workflow):
        pass

    with pytest.raises(NotImplementedError, match="Empty defines neither run"):
        Empty().run()
    with pytest.raises(TypeError, match="storage must be a SqliteStorage or InMemoryStorage of repertoire, got dict"):
        Counter(storage={})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="session_state must be a dict"):
        Counter(session_state=[1])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="nonsense"):
        Counter(nonsense=1)  # type: ignore[call-arg]


def test_every_argument_of_old_is_taken() -> None:
    workflow = Counter(
        name="Tally", workflow_id="w", description="d", session_name="n", extra_data={"a": 1}, memory=object(),
        debug_mode=False, monitoring=True, telemetry=True, app_id="x", user_id="u",
    )  # fmt: skip
    response = workflow.run()
    assert response.workflow_id == "w" and workflow.name == "Tally" and workflow.description == "d"


def test_extra_data_is_kept_with_the_session_and_ones_own_wins(storage: Storage) -> None:
    Counter(session_id="s", storage=storage, extra_data={"a": {"x": 1, "y": 1}}).run()
    later = Counter(session_id="s", storage=storage, extra_data={"a": {"x": 2}})
    later.run()
    assert later.extra_data == {"a": {"x": 2, "y": 1}}
    plain = Counter(session_id="s", storage=storage)
    plain.load_session()
    assert plain.extra_data == {"a": {"x": 2, "y": 1}}


@pytest.mark.parametrize(
    ("name", "registered"),
    [("BlogPostGenerator", "blog_post_generator"), ("FetchJSONPage", "fetch_json_page"), ("X", "x"), ("A2Z", "a2_z")],
)
def test_a_class_is_registered_in_snake_case(name: str, registered: str) -> None:
    assert snake_case(name) == registered


def test_debug_mode_tells_of_runs(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("repertoire.workflow")
    before = logger.level
    try:
        workflow = Counter(debug_mode=True)
        workflow.run()
    finally:
        logger.setLevel(before)
    assert f"run {workflow.run_id} begins" in caplog.text


class Item(BaseModel):
    when: datetime
    tags: set[str] = set()


def test_responses_and_events_go_to_dicts_and_json() -> None:
    response = RunResponse(content=Item(when=datetime(2026, 1, 1), tags={"a"}), event=RunEvent.workflow_completed)
    told = response.to_dict()
    assert told["content"] == {"when": "2026-01-01T00:00:00", "tags": ["a"]} and told["event"] == "WorkflowCompleted"
    assert RunResponse.from_dict(told).content == told["content"]
    assert response.get_content_as_string() == '{"when": "2026-01-01T00:00:00", "tags": ["a"]}'
    assert '"WorkflowStarted"' in WorkflowRunResponseStartedEvent("run").to_json()
    text: str = RunEvent.workflow_completed
    assert response.event == text == "WorkflowCompleted"


# The seam.


class Recorder:
    """Doors of a host: what the class style's runs do to it."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []

    def for_any(self, workflow: Any, parent: Any) -> RunDoors:
        return self

    def start(self, opening: Opening, /) -> Opened | None:
        self.said.append(("start", (opening.workflow_id, opening.input)))
        return Opened("run-1", "session-1", "hosted", {"count": 41})

    def emit(self, type: str, data: dict[str, Any], /) -> None:
        self.said.append((type, data))

    def commit(self, state: dict[str, Any], /) -> None:
        self.said.append(("commit", dict(state)))

    def finish(self, end: RunEnd, /) -> None:
        self.said.append(("finish", end))


def test_a_host_gives_ids_and_state_and_hears_everything_once(db: SqliteStorage) -> None:
    class Talking(Workflow):
        def run(self, topic: str) -> Iterator[Any]:
            self.session_state["count"] += 1
            self.commit_state()
            yield RunResponse(content="a")
            yield RunResponse(content={"n": 1})
            yield 5
            yield WorkflowCompletedEvent(content="a")
            Counter().run()

    recorder = Recorder()
    with serving(lambda workflow, parent: recorder if parent is None else None):
        workflow = Talking(storage=db)
        items = list(workflow.run(topic="t"))
    assert items[0].run_id == "run-1" and items[0].session_id == "session-1" and items[0].workflow_id == "hosted"
    kinds = [kind for kind, _ in recorder.said]
    assert kinds == ["start", "commit", "text", "item", "log", "item", "finish"]
    assert recorder.said[0][1] == ("talking", {"topic": "t"}) and recorder.said[1][1] == {"count": 42}
    assert recorder.said[4][1]["level"] == "warning"
    end = recorder.said[-1][1]
    assert (end.status, end.content, end.state, end.error) == ("completed", "a", {"count": 42}, None)
    assert db.sessions() == [], "the storage is the host's affair"


def test_a_host_hears_of_failures_and_cancellations() -> None:
    ends = []
    for workflow, read in ((Breaking(), 9), (Endless(), 1)):
        recorder = Recorder()
        with serving(recorder.for_any):
            stream: Any = workflow.run()
            try:
                for _ in range(read):
                    next(stream)
            except ValueError:
                pass
            stream.close()
        ends.append(recorder.said[-1][1])
    assert [(end.status, end.content, end.state) for end in ends] == [
        ("failed", "part", None),
        ("cancelled", "x", None),
    ]
    assert str(ends[0].error) == "boom" and ends[1].error is None
