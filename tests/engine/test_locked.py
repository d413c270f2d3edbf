"""What is true of runs while nothing can be written: the database is locked by somebody else, and what is to be recorded waits.

An app in this process; the lock is a real one, of a connection of its own.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App
from repertoire.errors import StorageError
from support import replays
from support.faults import database, locked
from support.replays import ME, ended, publish
from support.survivals import effects, repeated

pytestmark = pytest.mark.anyio
home, app, traces = replays.home, replays.app, replays.traces

WAIT = """
def wait(name):
    open(os.path.join(FOLDER, f"{name}.{os.getpid()}"), "w").close()
    while not os.path.exists(os.path.join(FOLDER, f"go-{name}")):
        time.sleep(0.01)

"""


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.01)


def worker_at(traces: Path, name: str) -> int:
    """The process whose body waits there; 0: none does."""
    return next((int(file.suffix[1:]) for file in traces.glob(f"{name}.*")), 0)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def recorded(home: Path, run_id: str) -> bool:
    connection = sqlite3.connect(database(home))
    try:
        return connection.execute("SELECT 1 FROM run WHERE id = ?", (run_id,)).fetchone() is not None
    finally:
        connection.close()


@pytest.mark.parametrize("who", ["worker", "zygote"])
async def test_a_body_is_begun_again_behind_the_records_that_wait(app: App, home: Path, traces: Path, who: str) -> None:
    """Its worker dies with a step done and not yet recorded: the record counts, and so do the events that wait with it."""
    source = f"""{WAIT}
async def run():
    step(effect, "one")
    wait("here")
    await asyncio.gather(sleep(0.5), asyncio.to_thread(step, effect, "two"))
    return step(effect, "three")
"""
    await publish(app, traces, flow=source)
    await app._runner._pool._warm_zygote()  # it forks the workers; the first one would be started by this process
    live = await app.service.runs.start(ME, "flow", {})
    await until(lambda: worker_at(traces, "here") > 0)
    assert parent_of(worker_at(traces, "here")) != os.getpid()
    with locked(home):
        (traces / "go-here").touch()
        await until(lambda: "two" in effects(traces))
        await anyio.sleep(0.2)  # until its record has come to the host
        pid = worker_at(traces, "here")
        os.kill(pid if who == "worker" else parent_of(pid), signal.SIGKILL)
        await until(lambda: live.begun_again)
        await anyio.sleep(0.3)
    run = await ended(app, live.run.id)
    assert (run["status"], run["result"]) == ("completed", "three"), run["error"]
    assert effects(traces) == ["one", "two", "three"]
    calls = [event for event in run["events"] if event["type"] in ("call_start", "call_end")]
    told = [f"{event['type']} {event['data']['path']}" for event in calls]
    assert not repeated(told)


CALLS = """
async def run():
    wait("parent")
    try:
        await asyncio.wait_for(workflows.child(), 0.3)
    except TimeoutError:
        return "gave up"
"""


@pytest.mark.parametrize("who", ["caller", "body"])
async def test_a_child_whose_start_waits_to_be_stored_is_cancelled(
    app: App, home: Path, traces: Path, who: str
) -> None:
    await publish(app, traces, child=WAIT + 'def run():\n    wait("child")\n', parent=WAIT + CALLS)
    live = await app.service.runs.start(ME, "parent", {})
    await until(lambda: worker_at(traces, "parent") > 0)
    async with anyio.create_task_group() as tasks:
        with locked(home):
            (traces / "go-parent").touch()
            await anyio.sleep(0.1)
            if who == "caller":
                tasks.start_soon(app.service.runs.cancel, ME, live.run.id)
            await anyio.sleep(1)
    await ended(app, live.run.id)
    (child,) = [row for row in await app.service.runs.list_runs(ME) if row["workflow"] == "child"]
    assert (await ended(app, child["run_id"]))["status"] == "cancelled"


async def test_nobody_is_told_of_a_run_before_its_start_is_stored(app: App, home: Path, traces: Path) -> None:
    await publish(app, traces, slow=WAIT + 'def run():\n    wait("slow")\n')
    told = []

    async def call(tell: bool) -> None:
        live = await app.service.runs.start(ME, "slow", {}, "new")
        run = await app.service.runs.wait(live, 0.1) if tell else await app.service.runs.find(ME, live.run.id)
        told.append((run.status, recorded(home, run.id)))

    async with anyio.create_task_group() as tasks:
        with locked(home):
            tasks.start_soon(call, True)
            tasks.start_soon(call, False)
            await anyio.sleep(1)
            assert told == []
    (traces / "go-slow").touch()
    assert told == [("working", True), ("working", True)]


async def test_a_run_that_is_refused_has_done_nothing(app: App, home: Path, traces: Path) -> None:
    await publish(app, traces, flow='def run():\n    effect("bare")\n    return step(effect, "in a step")\n')
    with locked(home):
        live = await app.service.runs.start(ME, "flow", {}, "new")
        with pytest.raises(StorageError, match="was not begun"):
            await app.service.runs.wait(live, None)
    await anyio.sleep(0.3)
    assert effects(traces) == []
    assert await app.service.runs.list_runs(ME) == []


async def test_a_cancelling_that_its_client_breaks_off_is_carried_out(app: App, home: Path, traces: Path) -> None:
    """The run has been claimed for its end by then: nobody else could begin it again."""
    await publish(app, traces, asks='def run():\n    return ask("Go on?")\n')
    live = await app.service.runs.start(ME, "asks", {}, "new")
    await live.done.wait()  # it is parked
    with locked(home):
        with anyio.move_on_after(0.3):
            await app.service.runs.cancel(ME, live.run.id)
    assert (await ended(app, live.run.id))["status"] == "cancelled"


async def test_a_question_is_shown_although_its_worker_died_while_it_was_stored(
    app: App, home: Path, traces: Path
) -> None:
    source = f"""{WAIT}
def run():
    wait("before")
    said = ask("Go on?")
    wait("after")
    return said
"""
    await publish(app, traces, asks=source)
    live = await app.service.runs.start(ME, "asks", {}, "new")
    await until(lambda: worker_at(traces, "before") > 0)
    pid = worker_at(traces, "before")
    with locked(home):
        (traces / "go-before").touch()
        await anyio.sleep(0.3)
        (traces / "go-before").unlink()  # begun again, it does not come to its question
        os.kill(pid, signal.SIGKILL)
        await until(lambda: live.begun_again)
    with anyio.fail_after(10):
        run = await app.service.runs.wait_for_news(ME, live.run.id)
    assert [one.question for one in run.questions] == ["Go on?"]
    await app.service.runs.answer(ME, run.id, "yes")
    (traces / "go-before").touch()
    (traces / "go-after").touch()
    assert (await ended(app, run.id))["result"] == "yes"


async def test_a_call_that_outlives_its_worker_is_recorded_by_the_next_body_alone(
    app: App, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion ends in a thread, which nothing cancels. By then the next body counts the records, and has made the same call."""
    source = f"""{WAIT}
def run():
    wait("here")
    workflows.delete(name="gone")
    wait("after")
    return step(effect, "one")
"""
    await publish(app, traces, gone="def run(): return 1\n", flow=source)
    delete, is_deleted, go = app.service.publishing.delete, anyio.Event(), anyio.Event()

    async def delete_slowly(*args: Any) -> bool:
        with anyio.CancelScope(shield=True):
            answer = await delete(*args)
            is_deleted.set()
            await go.wait()
        return answer

    monkeypatch.setattr(app.service.publishing, "delete", delete_slowly)
    live = await app.service.runs.start(ME, "flow", {}, "new")
    await until(lambda: worker_at(traces, "here") > 0)
    (traces / "go-here").touch()
    await is_deleted.wait()
    os.kill(worker_at(traces, "here"), signal.SIGKILL)
    await until(lambda: worker_at(traces, "after") > 0)
    go.set()
    await anyio.sleep(0.2)
    (traces / "go-after").touch()
    run = await ended(app, live.run.id)
    assert (run["status"], run["result"]) == ("completed", "one"), run["error"]
    assert [event["data"]["path"] for event in run["events"] if event["type"] == "call_end"] == ["0", "1"]
