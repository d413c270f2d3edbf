"""Open questions of a tree of runs, and the status `input_required` that they give every run above; used within the facts' transactions.

Each fact that opens or closes a question corrects the statuses in the same transaction.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Final

from ..model.run import Run

_SET_STATUSES: Final = (
    "WITH RECURSIVE asking (id) AS ("
    "SELECT run_id FROM wait WHERE root = ?1 AND kind = 'ask' AND answered_at IS NULL "
    "UNION SELECT run.parent FROM run JOIN asking ON run.id = asking.id WHERE run.parent IS NOT NULL) "
    "UPDATE run SET status = CASE status WHEN 'working' THEN 'input_required' ELSE 'working' END WHERE (id = ?1 OR root = ?1) "
    "AND status = CASE WHEN id IN (SELECT id FROM asking) THEN 'working' ELSE 'input_required' END"
)


def set_statuses(db: sqlite3.Connection, root: str) -> None:
    """Set the status of each unfinished run of the tree: `input_required` if it or a run below it asks something, else `working`."""
    db.execute(_SET_STATUSES, (root,))


def close_wait(db: sqlite3.Connection, run: Run, path: str) -> str | None:
    """Close the question of this call. Returns the answer, if there is one already."""
    statement = "UPDATE wait SET answered_at = coalesce(answered_at, ?) WHERE run_id = ? AND path = ? RETURNING answer"
    row: tuple[str | None] | None = db.execute(statement, (time.time(), run.id, path)).fetchone()
    set_statuses(db, run.top)
    return None if row is None else row[0]


def close_side_questions(db: sqlite3.Connection, run: Run, path: str) -> None:
    """Close the questions that this call asked by the way, under `PATH?NAME`: the call is over."""
    statement = "UPDATE wait SET answered_at = ? WHERE run_id = ? AND answered_at IS NULL AND substr(path, 1, ?) = ?"
    if db.execute(statement, (time.time(), run.id, len(path) + 1, f"{path}?")).rowcount:
        set_statuses(db, run.top)


def close_waits(db: sqlite3.Connection, run: Run, at: float) -> None:
    """Close all open questions and sleeps of this run."""
    statement = "UPDATE wait SET answered_at = ? WHERE run_id = ? AND answered_at IS NULL"
    if db.execute(statement, (at, run.id)).rowcount:
        set_statuses(db, run.top)
