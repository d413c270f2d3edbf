"""State turns: the right to change one session's state of one workflow, as a row of the table `place`; used by RunFacts and JournalFacts."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from ..model.run import Run
from .sessions import load_state


class StateTurn(msgspec.Struct, frozen=True):
    """The answer to a claim: the session's state now, or the run that holds the turn."""

    state: str | None = None
    held_by: str | None = None


def claim_turn(db: sqlite3.Connection, run: Run, ancestors: Sequence[str]) -> StateTurn:
    """Take the turn of the run's state, if neither another run nor a run above holds it."""
    key = (run.session_id, run.workflow)
    db.execute("INSERT OR IGNORE INTO place (session_id, workflow, run_id) VALUES (?, ?, ?)", (*key, run.id))
    (holder,) = db.execute("SELECT run_id FROM place WHERE session_id = ? AND workflow = ?", key).fetchone()
    if holder != run.id and holder not in ancestors:
        return StateTurn(held_by=holder)
    return StateTurn(state=load_state(db, *key))


def release_turn(db: sqlite3.Connection, run_id: str, session_id: str, workflow: str) -> None:
    db.execute("DELETE FROM place WHERE session_id = ? AND workflow = ? AND run_id = ?", (session_id, workflow, run_id))
