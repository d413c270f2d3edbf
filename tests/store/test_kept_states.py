"""The states that a replay needs are stored once, and only for as long as a run can be begun again; and pages of a replay are bounded."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from repertoire.store import journal_rows
from support import replays
from support.replays import ended, publish, survived
from support.survivals import effects, run

pytestmark = pytest.mark.anyio

home, app, traces = replays.home, replays.app, replays.traces

COMMITTING = """
def run(fail: bool = False, other: bool = False) -> int:
    if other:
        session_state["large"] = "x" * 200_000
        return 0
    session_state["n"] = session_state.get("n", 0) + 1
    commit_state()
    step(effect, "committed")
    if fail:
        raise ValueError("failed")
    return session_state["n"]
"""


def kept(home: Path) -> tuple[int, int]:
    """How many states are kept, and how many records refer to one."""
    with sqlite3.connect(home / "repertoire.db") as db:
        (states,) = db.execute("SELECT count(*) FROM kept_state").fetchone()
        (records,) = db.execute("SELECT count(*) FROM call WHERE op IN ('load', 'wake')").fetchone()
    db.close()
    return states, records


async def sessions_with_state(app: App, count: int) -> list[str]:
    """New sessions, each with the same large state."""
    found = []
    for _ in range(count):
        answer = await run(app, "flow", "new", other=True)
        found.append(answer["session_id"])
    return found


async def test_r21_a_run_that_has_ended_keeps_no_state(app: App, home: Path, traces: Path) -> None:
    await publish(app, traces, flow=COMMITTING)
    for session in await sessions_with_state(app, 3):
        assert (await run(app, "flow", session))["result"] == 1
    assert kept(home) == (0, 0)


async def test_r21_failed_runs_share_a_state_until_they_are_deleted(app: App, home: Path, traces: Path) -> None:
    await publish(app, traces, flow=COMMITTING)
    failed = [await run(app, "flow", session, fail=True) for session in await sessions_with_state(app, 3)]
    assert [answer["error"]["type"] for answer in failed] == ["ValueError"] * 3
    assert kept(home) == (1, 3), "what each of them began with is the same"
    with sqlite3.connect(home / "repertoire.db") as db:
        db.execute("UPDATE run SET ended_at = 1000 WHERE status = 'failed'")
    db.close()
    await app.service.history.collect_garbage()
    assert kept(home) == (0, 0)


async def test_r21_a_failed_run_is_run_again_with_the_state_that_it_began_with(
    app: App, home: Path, traces: Path
) -> None:
    await publish(app, traces, flow=COMMITTING)
    (session,) = await sessions_with_state(app, 1)
    failed = await run(app, "flow", session, fail=True)
    source = "import os\nFOLDER = ''\ndef effect(what): return what\n" + COMMITTING.replace("if fail:", "if False:")
    live = await app.service.history.rerun(Caller(), failed["run_id"], source=source)
    again = await ended(app, live.run.id)
    assert again["status"] == "completed" and again["result"] == 1, again
    assert kept(home) == (1, 1), "the failed one keeps its own"


async def test_r21_a_run_that_is_begun_again_has_the_state_that_it_began_with(
    app: App, home: Path, traces: Path
) -> None:
    source = """
def run() -> list:
    seen = [session_state.get("n", 0)]
    session_state["n"] = seen[0] + 1
    commit_state()
    step(effect, str(session_state["n"]))
    die()
    return [*seen, session_state["n"]]
"""
    assert (await survived(app, traces, source))["result"] == [0, 1]
    assert effects(traces) == ["1"] and kept(home) == (0, 0)


async def test_a_page_of_a_replay_is_bounded_by_its_size(
    app: App, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_rows, "PAGE_BYTES", 1000)
    source = """
def run() -> int:
    found = [step(effect, str(n) * 400) for n in range(9)]
    die()
    return len(found)
"""
    answer = await survived(app, traces, source)
    assert answer["result"] == 9 and len(effects(traces)) == 9
    page = await app._store.page(answer["run_id"], 0)
    assert 1 <= len(page) <= 2
