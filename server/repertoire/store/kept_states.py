"""Kept states: session states that a replay needs, as rows of `kept_state`; used by the facts within their transactions.

Each state is stored once. It is deleted when no record refers to it.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from typing import Final

RESULT: Final = (
    "CASE WHEN call.state IS NOT NULL THEN (SELECT value FROM kept_state WHERE hash = call.state) "
    "WHEN call.child IS NULL THEN call.result ELSE run.result END"
)
"""SQL of a record's result. `run` must be joined as the call's child."""
_INSERT: Final = (
    "INSERT OR IGNORE INTO call (run_id, n, path, op, hash, label, at, began_at, ended_at, cancelled, state) "
    "VALUES (?, ?, '', ?, '', '', ?, ?, ?, 0, ?)"
)


def record_state(db: sqlite3.Connection, run_id: str, n: int, op: str, at: float, state: str) -> None:
    """Store the state with which the run has begun (`load`) or was resumed (`wake`)."""
    hashed, now = hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest(), time.time()
    db.execute("INSERT OR IGNORE INTO kept_state VALUES (?, ?)", (hashed, state))
    db.execute(_INSERT, (run_id, n, op, at, now, now, hashed))


def loaded_state(db: sqlite3.Connection, run_id: str) -> str | None:
    """The state with which the run began. None: the session's state is still the same."""
    row = db.execute(
        "SELECT coalesce(kept_state.value, result) FROM call LEFT JOIN kept_state ON kept_state.hash = call.state "
        "WHERE run_id = ? AND n = 0",
        (run_id,),
    ).fetchone()
    return row and str(row[0])


def drop_states(db: sqlite3.Connection, run_id: str) -> None:
    """Delete the states of a run that will never be begun again."""
    statement = "DELETE FROM call WHERE run_id = ? AND op IN ('load', 'wake') RETURNING state"
    for state in {state for (state,) in db.execute(statement, (run_id,)).fetchall() if state is not None}:
        db.execute(f"DELETE FROM kept_state WHERE hash = ? AND {_ORPHAN}", (state,))


def drop_orphans(db: sqlite3.Connection) -> None:
    db.execute(f"DELETE FROM kept_state WHERE {_ORPHAN}")


_ORPHAN: Final = "NOT EXISTS (SELECT 1 FROM call WHERE call.state = kept_state.hash)"
