"""Runs that wait for people, and disks that fail: what is heard while a run is being parked, and what is lost when nothing can be stored.

In one process, with real workers. Opening the home again is a restart: what was going on is begun again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App
from repertoire.errors import DamagedStore
from repertoire.model.run import Run
from repertoire.model.session import Caller
from repertoire.store import Store, writer
from repertoire.store.writer import Writer
from support import replays
from support.replays import ME, ended, publish
from support.survivals import effects, eventually, opened, run, said

pytestmark = pytest.mark.anyio

home, app, traces = replays.home, replays.app, replays.traces


# Parking

ASKS = """
def run() -> str:
    return step(effect, "child " + ask("What?"))
"""


async def answered(app: App, run_id: str, answer: Any) -> None:
    with anyio.fail_after(20):
        while not (await app.service.runs.get(ME, run_id)).get("questions"):
            await anyio.sleep(0.01)
    await app.service.runs.answer(ME, run_id, answer)


async def parked(store: Store, run_id: str) -> bool:
    known = await store.run(run_id)
    return known is not None and known.waiting_for is not None


async def test_a_parent_that_is_being_parked_while_its_child_ends_is_not_forgotten(
    app: App, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = 'def run() -> str:\n    return step(effect, "parent of " + workflows.child())\n'
    await publish(app, traces, child=ASKS, parent=parent)
    park = Store.park
    held = asyncio.Event()

    async def slow(store: Store, run: Run, parked: str, **more: Any) -> Run:
        if run.workflow == "parent" and not held.is_set():
            held.set()
            await eventually(lambda: "child yes" in effects(traces))
            while (await app.service.runs.list_runs(ME, workflow="child"))[0]["status"] != "completed":
                await anyio.sleep(0.01)
        return await park(store, run, parked, **more)

    monkeypatch.setattr(Store, "park", slow)
    live = await app.service.runs.start(ME, "parent", {})
    with anyio.fail_after(20):
        await held.wait()
    (child,) = await app.service.runs.list_runs(ME, workflow="child")
    await answered(app, child["run_id"], "yes")
    answer = await ended(app, live.run.id)
    assert answer["result"] == "parent of child yes" and effects(traces) == ["child yes", "parent of child yes"]


async def test_an_answer_that_comes_while_its_run_is_being_parked_is_heard(
    app: App, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(app, traces, child=ASKS)
    park = Store.park
    given = asyncio.Event()

    async def slow(store: Store, run: Run, parked: str, **more: Any) -> Run:
        if not given.is_set():
            given.set()
            await answered(app, run.id, "yes")
        return await park(store, run, parked, **more)

    monkeypatch.setattr(Store, "park", slow)
    live = await app.service.runs.start(ME, "child", {})
    answer = await ended(app, live.run.id)
    assert answer["result"] == "child yes" and given.is_set()


async def test_state_is_stored_when_a_run_parks_and_loaded_as_others_left_it(app: App, traces: Path) -> None:
    source = """
def run(asks: bool) -> list:
    session_state["n"] = session_state.get("n", 0) + 1
    seen = [session_state["n"]]
    if asks:
        step(effect, ask("On?"))
        seen.append(session_state["n"])
        session_state["n"] += 100
        die()
    return seen
"""
    await publish(app, traces, flow=source)
    first = await app.service.runs.start(ME, "flow", {"asks": True})
    with anyio.fail_after(20):
        while (await app.service.runs.get(ME, first.run.id))["status"] != "input_required":
            await anyio.sleep(0.01)
    second = await run(app, "flow", first.run.session_id, asks=False)
    assert second["result"] == [2], "the one that waits has given its place up"
    await answered(app, first.run.id, "on")
    assert (await ended(app, first.run.id))["result"] == [1, 2]
    assert (await run(app, "flow", first.run.session_id, asks=False))["result"] == [103]


async def test_a_run_that_was_parked_sees_the_environment_of_its_caller_again(app: App, traces: Path) -> None:
    source = """
def run() -> list:
    first = os.environ.get("TOKEN")
    return [first, ask("What?"), os.environ.get("TOKEN")]
"""
    await publish(app, traces, flow=source)
    live = await app.service.runs.start(Caller(env={"TOKEN": "mine"}), "flow", {})
    await answered(app, live.run.id, "yes")
    assert (await ended(app, live.run.id))["result"] == ["mine", "yes", "mine"]


async def test_a_run_that_cannot_be_parked_is_begun_again(
    app: App, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(app, traces, child=ASKS)
    park = Store.park
    failed: list[str] = []

    async def full(store: Store, run: Run, parked: str, **more: Any) -> Run:
        if not failed:
            failed.append(run.id)
            raise DamagedStore("A page cannot be read.")
        return await park(store, run, parked, **more)

    monkeypatch.setattr(Store, "park", full)
    live = await app.service.runs.start(ME, "child", {})
    await eventually(lambda: failed)
    await answered(app, live.run.id, "yes")
    assert (await ended(app, live.run.id))["result"] == "child yes" and failed == [live.run.id]


async def test_a_question_expires_over_a_restart(home: Path, traces: Path) -> None:
    source = """
def run() -> str:
    try:
        return ask("Anybody?", expires_s=1.5)
    except CallError as error:
        return step(effect, error.code)
"""
    async with opened(home) as app:
        await publish(app, traces, flow="from repertoire import CallError\n" + source)
        live = await app.service.runs.start(ME, "flow", {})
        with anyio.fail_after(20):
            while (await app.service.runs.get(ME, live.run.id))["status"] != "input_required":
                await anyio.sleep(0.01)
    async with opened(home) as app:
        assert (await ended(app, live.run.id))["result"] == "expired"
    assert effects(traces) == ["expired"]


# A disk that fails


# Case R5
# promise: disk-trouble
async def test_a_call_that_cannot_be_recorded_now_is_recorded_later_and_done_once(
    app: App, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
def run() -> None:
    session_state["n"] = session_state.get("n", 0) + 1
    for n in range(4):
        log(f"before {n}")
        step(effect, str(n))
"""
    await publish(app, traces, flow=source)
    together, refused = writer._in_transaction, 0

    def full(connection: sqlite3.Connection, work: Callable[[], Any]) -> Any:
        nonlocal refused
        if effects(traces) == ["0", "1", "2"] and refused < 3:
            refused += 1
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return together(connection, work)

    monkeypatch.setattr(writer, "_in_transaction", full)
    answer = await run(app, "flow")  # its events are checked: no gap
    assert refused == 3 and answer["status"] == "completed", answer
    assert [call["n"] for call in (await app.service.history.tree(ME, answer["run_id"]))["calls"]] == [1, 2, 3, 4]
    assert effects(traces) == ["0", "1", "2", "3"] and said(answer) == [f"before {n}" for n in range(4)]


async def test_a_slow_disk_and_a_dying_worker_do_nothing_twice(
    app: App, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent before the worker died is still being stored when it is noticed."""
    source = """
def run() -> list:
    got = []
    for n in range(5):
        got.append(step(effect, str(n)))
        log(f"did {n}")
        if n == 2:
            die()
    return got
"""
    await publish(app, traces, flow=source)
    put: Callable[..., None] = Writer._put

    def slow(self: Writer, waiting: Any, *more: Any) -> None:
        fact = waiting.fact

        def later(db: Any) -> Any:
            if "add_events" in fact.__qualname__:
                import time

                time.sleep(0.3)
            return fact(db)

        put(self, waiting._replace(fact=later), *more)

    monkeypatch.setattr(Writer, "_put", slow)
    answer = await run(app, "flow")
    assert answer["status"] == "completed" and effects(traces) == answer["result"] == [str(n) for n in range(5)]
    assert [event["data"]["message"] for event in answer["events"] if event["type"] == "log"] == [
        f"did {n}" for n in range(5)
    ]
