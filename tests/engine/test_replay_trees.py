"""Runs below runs, what is shared among them and what a restart finds: children, budgets, pinned versions, places of states.

In one process, with real workers. Opening the home again is a restart: what was going on is begun again.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import anyio
import pytest

from repertoire.app import App
from support import replays
from support.replays import ME, ended, publish, statuses
from support.survivals import body, effects, events, eventually, opened, run

pytestmark = pytest.mark.anyio

home, app, traces = replays.home, replays.app, replays.traces


WAITS = """
def run(name: str = "child") -> str:
    step(effect, f"{name} begun")
    while not os.path.exists(os.path.join(FOLDER, "go")):
        time.sleep(0.01)
    return step(effect, f"{name} done")
"""

# Children


async def test_a_child_that_was_going_on_is_found_again_and_not_begun_twice(home: Path, traces: Path) -> None:
    parent = """
async def run() -> list:
    return await asyncio.gather(workflows.child(name="a"), workflows.child(name="b"), step(aeffect, "beside"))
"""
    async with opened(home) as app:
        await publish(app, traces, child=WAITS, parent=parent)
        live = await app.service.runs.start(ME, "parent", {})
        await eventually(lambda: len(effects(traces)) == 3 and _steps_recorded(home) == 3)
        children = {row["run_id"] for row in await app.service.runs.list_runs(ME, parent=live.run.id)}
    (traces / "go").touch()
    async with opened(home) as app:
        answer = await ended(app, live.run.id)
        assert answer["status"] == "completed" and answer["result"] == ["a done", "b done", "beside"]
        assert {row["run_id"] for row in await app.service.runs.list_runs(ME, parent=live.run.id)} == children
    assert sorted(effects(traces)) == ["a begun", "a done", "b begun", "b done", "beside"]


async def test_a_worker_killed_while_its_child_runs_waits_for_the_same_child(app: App, traces: Path) -> None:
    parent = """
import threading
def run() -> str:
    threading.Timer(0.3, die).start()
    return workflows.child()
"""
    await publish(app, traces, child=WAITS, parent=parent)
    live = await app.service.runs.start(ME, "parent", {})
    await eventually((traces / "died").exists)
    (traces / "go").touch()
    answer = await ended(app, live.run.id)
    assert answer["status"] == "completed" and answer["result"] == "child done"
    assert effects(traces) == ["child begun", "child done"]
    assert len(await app.service.runs.list_runs(ME, parent=live.run.id)) == 1


async def test_a_cancel_reaches_everything_below_whoever_lives(home: Path, traces: Path) -> None:
    parent = """
async def run(depth: int = 2) -> None:
    step(effect, f"depth {depth}")
    if depth:
        await asyncio.gather(workflows.parent(depth=depth - 1), workflows.parent(depth=depth - 1))
    else:
        ask("For ever?")
"""
    async with opened(home) as app:
        await publish(app, traces, parent=parent)
        live = await app.service.runs.start(ME, "parent", {})
        await eventually(lambda: len(effects(traces)) == 7)
    async with opened(home) as app:
        assert (await app.service.runs.cancel(ME, live.run.id))["status"] == "cancelled"
        assert await statuses(app) == {"cancelled": 7}
        for row in await app.service.runs.list_runs(ME, limit=100):
            await events(app, row["run_id"])
            assert (await app.service.runs.get(ME, row["run_id"])).get("questions", []) == []


async def test_a_child_whose_call_the_body_has_cancelled_is_cancelled(app: App, traces: Path) -> None:
    parent = """
async def run() -> str:
    try:
        await asyncio.wait_for(workflows.child(), 0.5)
    except TimeoutError:
        step(effect, "gave up")
    die()
    return "without it"
"""
    await publish(app, traces, child=WAITS, parent=parent)
    answer = await run(app, "parent")
    assert answer["status"] == "completed" and effects(traces) == ["child begun", "gave up"]
    (child,) = await app.service.runs.list_runs(ME, parent=answer["run_id"])
    assert (await ended(app, child["run_id"]))["status"] == "cancelled"


@pytest.mark.parametrize("what", ["name", "argument", "question"])
async def test_a_call_in_flight_that_is_another_one_the_second_time_gets_no_answer_of_the_first(
    app: App, traces: Path, what: str
) -> None:
    calls = {
        "name": 'workflows.child(name="x") if first else workflows.other(name="x")',
        "argument": 'workflows.child(name="x" if first else "y")',
        "question": 'ask("One?" if first else "Two?", expires_s=30)',
    }
    parent = f"""
import threading
def run() -> str:
    first = not os.path.exists(os.path.join(FOLDER, "died"))
    threading.Timer(0.4, die).start()
    return {calls[what]}
"""
    await publish(app, traces, child=WAITS, other=WAITS, parent=parent)
    live = await app.service.runs.start(ME, "parent", {})
    await eventually((traces / "died").exists)
    answer = await ended(app, live.run.id)
    assert answer["status"] == "failed" and answer["error"]["type"] == "NonDeterminism", answer
    assert "had begun as" in answer["error"]["message"] and "step()" in answer["error"]["hint"]
    assert "y begun" not in effects(traces)


async def test_what_a_failed_child_raised_is_raised_again(app: App, traces: Path) -> None:
    child = 'def run() -> None:\n    step(effect, "child")\n    raise KeyError("no such key")\n'
    parent = """
def run() -> list:
    try:
        workflows.child()
    except Exception as error:
        got = [type(error).__name__, error.code, error.type, str(error)]
    step(effect, str(got))
    die()
    return got
"""
    await publish(app, traces, child=child, parent=parent)
    answer = await run(app, "parent")
    assert answer["status"] == "completed" and effects(traces) == ["child", str(answer["result"])]
    assert answer["result"][1:3] == ["exception", "KeyError"] and "no such key" in answer["result"][3]


async def test_a_waiting_parent_gives_its_workers_place_to_its_child(home: Path, traces: Path) -> None:
    parent = """
async def run(depth: int) -> int:
    if not depth:
        return 1
    return sum(await asyncio.gather(workflows.parent(depth=depth - 1), workflows.parent(depth=depth - 1)))
"""
    async with opened(home, workers="1") as app:
        await publish(app, traces, parent=parent)
        with anyio.fail_after(30):
            assert (await run(app, "parent", depth=3))["result"] == 8


async def test_a_child_on_its_parents_session_shares_the_place_of_its_state(home: Path, traces: Path) -> None:
    source = """
async def run(depth: int = 0) -> list:
    session_state["n"] = session_state.get("n", 0) + 1
    commit_state()
    step(effect, f"{depth}")
    if depth:
        return [session_state["n"], *(await workflows.shares(depth=depth - 1, session_id="parent"))]
    while not os.path.exists(os.path.join(FOLDER, "go")):
        time.sleep(0.01)
    return [session_state["n"]]
"""
    async with opened(home) as app:
        await publish(app, traces, shares=source)
        live = await app.service.runs.start(ME, "shares", {"depth": 2})
        await eventually(
            lambda: len(effects(traces)) == 3 and _steps_recorded(home) == 3
        )  # one under way may be done again
    (traces / "go").touch()
    async with opened(home) as app:
        assert (await ended(app, live.run.id))["result"] == [1, 2, 3]
        again = await app.service.runs.start(ME, "shares", {}, live.run.session_id)
        assert (await app.service.runs.wait_for_end(again)).status == "completed", "the place is free"
    assert effects(traces)[:3] == ["2", "1", "0"] and len(effects(traces)) == 4


def _steps_recorded(home: Path) -> int:
    with contextlib.closing(sqlite3.connect(home / "repertoire.db")) as db:
        return int(db.execute("SELECT count(*) FROM call WHERE op = 'step'").fetchone()[0])


# Budgets


async def test_a_run_that_has_used_its_budget_fails_and_says_what_used_it(app: App, traces: Path) -> None:
    source = """
__workflow__ = {"budget": {"calls": 3}}
def run() -> None:
    for n in range(5):
        step(effect, str(n))
"""
    await publish(app, traces, flow=source)
    error = (await run(app, "flow"))["error"]
    assert error["code"] == "over_budget" and error["type"] == "OverBudget", error
    assert "calls = 3" in error["message"] and "effect 3 times" in error["message"], error
    assert '"calls"' in error["hint"]


async def test_a_budget_is_that_of_the_whole_tree_and_a_share_is_that_of_its_part(home: Path, traces: Path) -> None:
    """Also where it goes on: what was used before a restart is used, and by whom."""
    child = """
__workflow__ = {"budget": {"calls": 4}}
def run(name: str) -> str:
    for n in range(3):
        step(effect, f"{name} {n}")
        die(f"died {name} {n}")
    return name
"""
    parent = """
__workflow__ = {"budget": {"calls": CALLS}}
def run() -> list:
    for n in range(6):
        step(effect, str(n))
    return [workflows.child(name=name) for name in "ab"]
"""
    async with opened(home) as app:
        for calls, enough in ((6 + 2 + 6, True), (6 + 2 + 5, False)):
            await publish(app, traces, child=child, parent=parent.replace("CALLS", str(calls)))
            answer = await run(app, "parent")
            assert answer["status"] == ("completed" if enough else "failed"), answer["error"]
            if not enough:
                assert answer["error"]["code"] in ("over_budget", "call_failed"), answer["error"]
                assert f"calls = {calls}" in answer["error"]["message"]


async def test_a_share_is_not_used_up_by_what_others_of_the_tree_did_before_a_restart(home: Path, traces: Path) -> None:
    child = '__workflow__ = {"budget": {"calls": 4}}\n' + WAITS
    parent = """
def run() -> str:
    for n in range(6):
        step(effect, str(n))
    return workflows.child()
"""
    async with opened(home) as app:
        await publish(app, traces, child=child, parent=parent)
        live = await app.service.runs.start(ME, "parent", {})
        await eventually(lambda: "child begun" in effects(traces))
    (traces / "go").touch()
    async with opened(home) as app:
        answer = await ended(app, live.run.id)
        assert answer["status"] == "completed", answer["error"]


async def test_fan_out_and_depth_have_a_bound(app: App, traces: Path) -> None:
    wide = """
__workflow__ = {"budget": {"fan_out": 3}}
async def run() -> None:
    await asyncio.gather(*(workflows.child(name=str(n)) for n in range(5)))
"""
    deep = """
__workflow__ = {"budget": {"depth": 2}}
def run(n: int = 5) -> int:
    return 1 + workflows.deep(n=n - 1) if n else 0
"""
    await publish(app, traces, child=WAITS, wide=wide, deep=deep)
    error = (await run(app, "wide"))["error"]
    assert (
        error["code"] == "over_budget" and "fan_out = 3" in error["message"] and "workflow child" in error["message"]
    ), error
    error = (await run(app, "deep"))["error"]
    assert "3 deep (deep < deep < deep < deep)" in error["message"] and "recursion" in error["hint"], error
    rest = await statuses(app)
    assert set(rest) - {"cancelled"} == {"failed"}, "nothing below goes on, or was even begun"


# Versions


async def test_a_run_and_its_children_end_with_the_text_they_began_with(home: Path, traces: Path) -> None:
    """Replaced, deleted, created anew, while it runs and while nobody runs it."""
    parent = """
def run() -> list:
    got = ["old", workflows.child(name="one")]
    while not os.path.exists(os.path.join(FOLDER, "on")):
        time.sleep(0.01)
    return got + [workflows.child(name="two")]
"""
    other = 'def run(name: str = "") -> str:\n    return "new"\n'
    (traces / "go").touch()
    async with opened(home) as app:
        await publish(app, traces, child=WAITS, parent=parent)
        live = await app.service.runs.start(ME, "parent", {})
        await eventually(lambda: "one done" in effects(traces))
        await publish(app, traces, child=other, parent=other)
        assert (await run(app, "child"))["result"] == "new"
        assert await app.service.publishing.delete(ME, "parent")
    async with opened(home) as app:
        assert await app.service.publishing.delete(ME, "child")
        (traces / "on").touch()
        answer = await ended(app, live.run.id)
        assert answer["result"] == ["old", "one done", "two done"], answer
    assert effects(traces) == ["one begun", "one done", "two begun", "two done"]


async def test_a_file_edited_and_removed_between_crash_and_restart_changes_nothing(home: Path, traces: Path) -> None:
    folder = home / "workflows"
    folder.mkdir(parents=True)
    (folder / "helper.py").write_text("def what():\n    return 'old help'\n")
    text = f"""
import helper
{WAITS}
begin = run
def run() -> list:
    first = begin("file")
    return [first, helper.what()]
"""
    (folder / "flow.py").write_text(body(traces, text))
    (folder / "gone.py").write_text(body(traces, text))
    async with opened(home) as app:
        lives = [await app.service.runs.start(ME, name, {}) for name in ("flow", "gone")]
        await eventually(lambda: effects(traces).count("file begun") == 2)
    (folder / "helper.py").write_text("def what():\n    return 'new help'\n")
    (folder / "flow.py").write_text("def run() -> str:\n    return 'new'\n")
    (folder / "gone.py").unlink()
    (traces / "go").touch()
    async with opened(home) as app:
        for live in lives:
            assert (await ended(app, live.run.id))["result"] == ["file done", "old help"]
        assert (await run(app, "flow"))["result"] == "new"


# Places of states, and going on


COUNT = """
def run() -> int:
    n = session_state["n"] = session_state.get("n", 0) + 1
    step(effect, str(n))
    while not os.path.exists(os.path.join(FOLDER, "go")):
        time.sleep(0.01)
    return n
"""


async def test_many_that_wait_for_one_state_go_on_one_after_the_other(home: Path, traces: Path) -> None:
    """More of them than may go on at once, and the one that holds the place is the oldest."""
    async with opened(home, workers="2") as app:
        await publish(app, traces, flow=COUNT)
        session = (await app.service.runs.start(ME, "flow", {})).run.session_id
        await eventually(lambda: effects(traces))
        lives = [await app.service.runs.start(ME, "flow", {}, session) for _ in range(7)]
        await anyio.wait_all_tasks_blocked()
    (traces / "go").touch()
    async with opened(home, workers="2") as app:
        results = [(await ended(app, live.run.id))["result"] for live in lives]
        assert results == [2, 3, 4, 5, 6, 7, 8]
    assert effects(traces) == [str(n) for n in range(1, 9)]


async def test_new_work_gets_a_worker_while_old_work_goes_on(home: Path, traces: Path) -> None:
    async with opened(home, workers="2") as app:
        await publish(app, traces, old=WAITS, new='def run() -> str:\n    return "new"\n')
        lives = [await app.service.runs.start(ME, "old", {"name": str(n)}, "new") for n in range(6)]
        await eventually(lambda: len(effects(traces)) == 2)
    async with opened(home, workers="2") as app:
        with anyio.fail_after(10):
            assert (await run(app, "new"))["result"] == "new"
        (traces / "go").touch()
        for n, live in enumerate(lives):
            answer = await ended(app, live.run.id)
            assert answer["result"] == f"{n} done", answer
