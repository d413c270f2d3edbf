"""Who is asked: the open questions in a tree of runs, and the status that they give each run above them.

Functions within other facts' transactions: whatever opens or closes a question keeps the statuses true in the same transaction.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Final

from ..model.run import Run

_RESTATE: Final = (
    "WITH RECURSIVE asking (id) AS ("
    "SELECT run_id FROM wait WHERE root = ?1 AND kind = 'ask' AND answered_at IS NULL "
    "UNION SELECT run.parent FROM run JOIN asking ON run.id = asking.id WHERE run.parent IS NOT NULL) "
    "UPDATE run SET status = CASE status WHEN 'working' THEN 'input_required' ELSE 'working' END WHERE (id = ?1 OR root = ?1) "
    "AND status = CASE WHEN id IN (SELECT id FROM asking) THEN 'working' ELSE 'input_required' END"
)


def restate(db: sqlite3.Connection, root: str) -> None:
    """`input_required` for each unfinished run of this tree that asks, or has one below it that does; `working` for the others."""
    db.execute(_RESTATE, (root,))


def close_wait(db: sqlite3.Connection, run: Run, path: str) -> str | None:
    """Nobody is asked any more by this call. The answer, where one came before that."""
    statement = "UPDATE wait SET answered_at = coalesce(answered_at, ?) WHERE run_id = ? AND path = ? RETURNING answer"
    row: tuple[str | None] | None = db.execute(statement, (time.time(), run.id, path)).fetchone()
    restate(db, run.top)
    return None if row is None else row[0]


def close_waits(db: sqlite3.Connection, run: Run, at: float) -> None:
    """Nobody is asked any more by this run."""
    statement = "UPDATE wait SET answered_at = ? WHERE run_id = ? AND answered_at IS NULL"
    if db.execute(statement, (at, run.id)).rowcount:
        restate(db, run.top)
