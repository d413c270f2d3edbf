"""What runs wait for, and what may cross on its way: answers and parking, expiry, ends, questions of runs below.

In one process, with real workers. Opening the home again is a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App
from repertoire.errors import BadArguments
from repertoire.home import database_path
from repertoire.model.run import Run
from repertoire.store import Store
from repertoire.store.journal import NewRecord
from repertoire.store.unfinished import has_work_left
from support import replays
from support.faults import query
from support.replays import ME, ended, publish, statuses
from support.survivals import effects, eventually, opened

pytestmark = pytest.mark.anyio

home, app, traces = replays.home, replays.app, replays.traces

ASKS = """
def run() -> str:
    return step(effect, "child " + ask("What?"))
"""


def open_waits(home: Path) -> list[str]:
    """Questions that are open in the store."""
    rows = query(home, "SELECT question FROM wait WHERE answered_at IS NULL ORDER BY asked_at")
    return [question for (question,) in rows]


async def answered(app: App, run_id: str, answer: Any) -> None:
    """Give it as soon as anything is asked."""
    with anyio.fail_after(20):
        while not (await app.service.runs.get(ME, run_id)).get("questions"):
            await anyio.sleep(0.01)
    await app.service.runs.answer(ME, run_id, answer)


# Answers, parking, expiry


async def test_a_run_whose_answer_is_being_recorded_is_not_parked(
    app: App, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after that, it would wait for ever: its answer is in the journal, so nothing is left that wakes it."""
    source = """
async def run() -> list:
    return await asyncio.gather(ask("What?"), step(aeffect, "beside", 0.4))
"""
    await publish(app, traces, flow=source)
    record, park = Store.record_call, Store.park
    recorded, parked = asyncio.Event(), []

    def slow(store: Store, run: Run, one: NewRecord, *more: Any) -> None:
        if one.call.op == "ask":
            first, events, then = more
            recorded.set()
            more = first, events, partial(asyncio.get_running_loop().call_later, 1, then)  # the disk is slow
        record(store, run, one, *more)

    async def noted(store: Store, run: Run, *more: Any, **named: Any) -> Run:
        parked.append(run.id)
        return await park(store, run, *more, **named)

    monkeypatch.setattr(Store, "park", noted)
    monkeypatch.setattr(Store, "record_call", slow)
    live = await app.service.runs.start(ME, "flow", {})
    await answered(app, live.run.id, "this")
    with anyio.fail_after(20):
        await recorded.wait()
        assert json.loads((await app.service.runs.wait_for_end(live)).result or "") == ["this", "beside"]
    assert parked == []


async def test_an_answer_that_was_heard_begins_no_body_again(app: App, home: Path, traces: Path) -> None:
    source = """
async def run() -> list:
    effect("begun")
    first, _ = await asyncio.gather(ask("First?"), step(aeffect, "beside", 0.5))
    return [first, ask("Second?")]
"""
    await publish(app, traces, flow=source)
    live = await app.service.runs.start(ME, "flow", {})
    await answered(app, live.run.id, "1")  # a worker is held for the step
    await eventually(lambda: not app.live_runs())
    await anyio.sleep(0.3)  # for a body that would be begun again for nothing
    assert effects(traces) == ["begun", "beside"] and not app.live_runs()
    await answered(app, live.run.id, "2")
    assert (await ended(app, live.run.id))["result"] == ["1", "2"]
    assert effects(traces) == ["begun", "beside", "begun"]
    assert open_waits(home) == [] and not app._recovery._alarms, "nothing is to wake it any more"


async def test_an_answer_in_the_instant_in_which_its_question_expires_counts(
    app: App, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # promise: ask-counts
    await publish(app, traces, flow='def run() -> list:\n    return [ask("Well?", expires_s=0.4), ask("Sure?")]\n')
    close = Store.close_wait

    given: list[str] = []

    async def late(store: Store, run: Run, path: str) -> Any:
        if not given:  # the run may be parked in this very moment, and comes here again
            await answered(app, run.id, "yes")  # whoever gave it was told that it counts
            given.append("yes")
        return await close(store, run, path)

    monkeypatch.setattr(Store, "close_wait", late)
    live = await app.service.runs.start(ME, "flow", {})
    with anyio.fail_after(20):
        while "Sure?" not in str(await app.service.runs.get(ME, live.run.id)):
            await anyio.sleep(0.01)
    await answered(app, live.run.id, "really")
    assert (await ended(app, live.run.id))["result"] == ["yes", "really"]


async def test_of_two_answers_at_once_one_counts_and_the_other_is_refused(app: App, traces: Path) -> None:
    await publish(app, traces, flow=ASKS)
    live = await app.service.runs.start(ME, "flow", {})
    with anyio.fail_after(20):
        while not (asking := await app.service.runs.get(ME, live.run.id)).get("questions"):
            await anyio.sleep(0.01)
    question = asking["questions"][0]["id"]
    answers = [app.service.runs.answer(ME, live.run.id, str(n), question) for n in range(8)]
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    (taken,) = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, Exception)]
    assert all(isinstance(one, BadArguments) for one in outcomes if isinstance(one, Exception)), outcomes
    assert (await ended(app, live.run.id))["result"] == f"child {taken}"


# Questions are closed with what asked them

OPEN = {
    "failed": "await asyncio.gather(ask('Left open?'), step(aeffect, 'beside', 0.2), fails())",
    "completed": "task = asyncio.create_task(ask('Left open?'))\n    await step(aeffect, 'beside', 0.2)",
    "cancelled": "await asyncio.gather(ask('Left open?'), step(aeffect, 'beside', 0.2), step(aeffect, 'never', 60))",
}


@pytest.mark.parametrize("again", ["", "begun again"])
@pytest.mark.parametrize("end", OPEN)
async def test_no_question_of_a_run_that_has_ended_stays_open(home: Path, traces: Path, end: str, again: str) -> None:
    # promise: ask-closed
    source = f"""
async def fails() -> None:
    await asyncio.sleep(0.4)
    raise ValueError("no")

async def run(first: bool) -> None:
    if first:
        await asyncio.gather(ask("Now?"), ask("Left open too?"))
    {OPEN[end]}
"""
    async with opened(home) as app:
        await publish(app, traces, flow=source)
        live = await app.service.runs.start(ME, "flow", {"first": bool(again)})
        await eventually(lambda: open_waits(home))
        if again:
            await eventually(lambda: not app.live_runs())
    async with opened(home) as app:
        if again:
            questions = (await app.service.runs.get(ME, live.run.id))["questions"]
            for question in questions[: None if end == "completed" else 2]:
                await app.service.runs.answer(ME, live.run.id, "1", question["id"])
        await eventually(lambda: "beside" in effects(traces))
        if end == "cancelled":
            await app.service.runs.cancel(ME, live.run.id)
        await ended(app, live.run.id)
        run = await app.service.runs.find(ME, live.run.id)
        assert run.status == (end if end in ("completed", "cancelled") else "failed"), run
        assert open_waits(home) == [] and run.questions == ()


async def test_a_question_of_a_run_that_is_begun_again_and_ends_before_it_asks_again_is_closed(
    home: Path, traces: Path
) -> None:
    # promise: ask-closed
    source = """
async def run() -> None:
    effect("begun")
    if os.path.exists(os.path.join(FOLDER, "bad")):
        raise ValueError("a file has come")
    await asyncio.gather(ask("Left open?"), step(aeffect, "never", 60))
"""
    async with opened(home) as app:
        await publish(app, traces, flow=source)
        live = await app.service.runs.start(ME, "flow", {})
        await eventually(lambda: open_waits(home))
    (traces / "bad").touch()
    async with opened(home) as app:
        await ended(app, live.run.id)
        assert effects(traces) == ["begun", "begun"] and open_waits(home) == []


async def test_a_question_that_the_body_no_longer_waits_for_is_closed(app: App, home: Path, traces: Path) -> None:
    # promise: ask-closed
    source = """
async def run() -> list:
    try:
        await asyncio.wait_for(ask("Quick?"), 0.3)
    except TimeoutError:
        step(effect, "too late")
    return [ask("At leisure?")]
"""
    await publish(app, traces, flow=source)
    live = await app.service.runs.start(ME, "flow", {})
    await eventually(lambda: effects(traces))
    await eventually(lambda: not app.live_runs())
    asking = await app.service.runs.get(ME, live.run.id)
    assert [question["question"] for question in asking["questions"]] == ["At leisure?"]
    assert open_waits(home) == ["At leisure?"]
    await app.service.runs.answer(ME, live.run.id, "yes")
    assert (await ended(app, live.run.id))["result"] == ["yes"]


# Starting


async def test_an_answer_that_nobody_lived_to_hear_is_work_for_the_next_command(home: Path, traces: Path) -> None:
    """promise: next-command-resumes. Its server died between storing the answer and going on."""
    file = database_path(str(home))
    async with opened(home) as app:
        await publish(app, traces, flow=ASKS)
        live = await app.service.runs.start(ME, "flow", {})
        await eventually(lambda: not app.live_runs())
    assert not has_work_left(file)
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE wait SET answer = '\"yes\"', answered_at = 1")
    assert has_work_left(file)
    async with opened(home) as app:
        assert (await ended(app, live.run.id))["result"] == "child yes"
    assert not has_work_left(file)


# Trees


async def test_what_a_child_asks_after_it_was_parked_is_seen_at_the_top(app: App, traces: Path) -> None:
    """Of the runs between the two none is live: the question is theirs all the same."""
    child = 'def run() -> str:\n    sleep(6)\n    return ask("Awake?")\n'
    await publish(app, traces, child=child, parent="def run() -> str:\n    return workflows.child()\n")
    await publish(app, traces, top="def run() -> str:\n    return workflows.parent()\n")
    live = await app.service.runs.start(ME, "top", {})
    await eventually(lambda: not app.live_runs())
    assert (await app.service.runs.get(ME, live.run.id))["status"] == "working"
    with anyio.fail_after(20):
        asking = await app.service.runs.wait(live, None)
    assert asking.status == "input_required" and [one.question for one in asking.questions] == ["Awake?"]
    await app.service.runs.answer(ME, live.run.id, "yes")
    assert (await ended(app, live.run.id))["result"] == "yes"


async def test_an_answered_question_is_forgotten_by_a_run_above_one_that_is_parked(app: App, traces: Path) -> None:
    top = """
async def run() -> list:
    return await asyncio.gather(workflows.middle(), step(aeffect, "beside", 2))
"""
    middle = "def run() -> str:\n    return workflows.low()\n"
    low = 'def run() -> str:\n    return ask("First?") + step(effect, "low", 1)\n'
    await publish(app, traces, low=low, middle=middle, top=top)
    live = await app.service.runs.start(ME, "top", {})
    with anyio.fail_after(20):
        while app.live_runs() != 1 or not (await app.service.runs.find(ME, live.run.id)).questions:
            await anyio.sleep(0.01)
    await app.service.runs.answer(ME, live.run.id, "yes ")
    assert (await app.service.runs.find(ME, live.run.id)).questions == ()
    assert (await ended(app, live.run.id))["result"] == ["yes low", "beside"]


async def test_cancelling_a_parked_parent_ends_its_parked_children(app: App, home: Path, traces: Path) -> None:
    parent = "async def run() -> list:\n    return await asyncio.gather(*(workflows.child() for n in range(3)))\n"
    await publish(app, traces, child=ASKS, parent=parent)
    live = await app.service.runs.start(ME, "parent", {})
    await eventually(lambda: len(open_waits(home)) == 3 and not app.live_runs())
    assert len((await app.service.runs.find(ME, live.run.id)).questions) == 3
    for row in await app.service.runs.list_runs(ME, workflow="child"):
        (own,) = (await app.service.runs.find(ME, row["run_id"])).questions
        assert own.run_id == row["run_id"], "not those of its siblings"
    await app.service.runs.cancel(ME, live.run.id)
    assert await statuses(app) == {"cancelled": 4} and open_waits(home) == []
    assert effects(traces) == [] and not app.live_runs()
