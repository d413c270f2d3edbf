"""Runs of one class workflow at the same time: in threads, tasks, processes and paused streams. The acceptance cases' ids are in the names."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from repertoire import RunResponse, SqliteStorage, Workflow
from repertoire.classes import SessionBusy, SessionConflict
from repertoire.classes.stored_sessions import Storage
from repertoire.values import codec
from support import class_style
from support.class_style import COUNTER, Letters, state

db, storage = class_style.db, class_style.storage


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
    path = class_style.script(
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
    given = [count for process in [class_style.start(path) for _ in range(4)] for count in class_style.answer(process)]
    assert sorted(given) == list(range(1, 41))


def test_a9_four_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    path = class_style.script(tmp_path, "counter.py", COUNTER)
    given = [class_style.answer(process) for process in [class_style.start(path, "null") for _ in range(4)]]
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
