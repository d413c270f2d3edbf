"""How runs of class workflows end: failed, broken off, cancelled, died. The acceptance cases' ids are in the names."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repertoire import RunResponse, SqliteStorage, Workflow
from repertoire.classes.stored_sessions import Storage
from support import class_style
from support.class_style import AsyncStream, Breaking, Endless, collected, state

db, storage = class_style.db, class_style.storage


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
    path = class_style.script(
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
    run_id = class_style.run(path)

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
