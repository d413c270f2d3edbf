"""has_work_left: tells from the file alone if a home without an owner has runs to be resumed; used by the command line.

`NEWS` is the condition for a parked run, also used by `claim_unfinished`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Any, Final

from ..model.lifecycle import UNFINISHED
from ..model.run import iso

IS_UNFINISHED: Final = f"status IN ({', '.join(repr(status) for status in UNFINISHED)})"
"""SQL: the run has not ended."""
NEWS: Final = (
    "EXISTS (SELECT 1 FROM wait WHERE wait.run_id = run.id AND kind = 'ask' AND answer IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM call WHERE call.run_id = run.id AND call.path = substr(wait.path, 1, instr(wait.path || '?', '?') - 1))) OR "
    "EXISTS (SELECT 1 FROM run AS child WHERE child.parent = run.id AND child.ended_at IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM call WHERE call.run_id = run.id AND call.path = child.parent_path)) OR "
    "EXISTS (SELECT 1 FROM run AS above WHERE above.id = run.parent AND above.ended_at IS NOT NULL)"
)
"""SQL: a parked run has news, but was not resumed, because the server died in between. Three kinds of news: its question is answered, a run
below it has ended, or the run above it has ended (then it has to be cancelled). A question that a call asks by the way has the path
`PATH?NAME`."""


def unfinished_runs(path: str, limit: int = 50) -> list[dict[str, Any]]:
    """Runs without a parent that have not ended, oldest first, of a home that nobody owns. Empty where `has_work_left` could not read."""
    if not os.path.isfile(path) or not os.access(path, os.W_OK) or os.path.getsize(path) == 0:
        return []
    statement = (
        f"SELECT id, workflow, status, created_at, parked FROM run WHERE {IS_UNFINISHED} AND parent IS NULL AND example = 0 "
        "ORDER BY created_at LIMIT ?"
    )
    with contextlib.suppress(sqlite3.Error):
        uri = Path(path).absolute().as_uri() + "?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0)) as db:
            return [
                {"run_id": id, "workflow": workflow, "status": status, "created_at": iso(at), "message": parked}
                for id, workflow, status, at, parked in db.execute(statement, (limit,))
            ]
    return []


def has_work_left(path: str) -> bool:
    """False also if the file cannot be read, has an older schema, or is another program's. Opening it as a Store reports that."""
    if not os.path.isfile(path) or not os.access(path, os.W_OK) or os.path.getsize(path) == 0:
        return False  # reading it would leave a log beside it
    unfinished = f"SELECT 1 FROM run WHERE {IS_UNFINISHED}"
    statement = f"{unfinished} AND (parked IS NULL OR wake_at <= ? OR {NEWS}) LIMIT 1"
    with contextlib.suppress(sqlite3.Error):
        uri = Path(path).absolute().as_uri() + "?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0)) as db:
            return db.execute(statement, (time.time(),)).fetchone() is not None
    return False
