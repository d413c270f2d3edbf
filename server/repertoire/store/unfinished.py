"""Whether a home that nobody owns has a run that should go on now: asked of the file alone, before anybody opens it as a Store."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Final

from ..model.lifecycle import UNFINISHED

IS_UNFINISHED: Final = f"status IN ({', '.join(repr(status) for status in UNFINISHED)})"
"""SQL: the run has not ended."""
NEWS: Final = (
    "EXISTS (SELECT 1 FROM wait WHERE wait.run_id = run.id AND kind = 'ask' AND answer IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM call WHERE call.run_id = run.id AND call.path = wait.path)) OR "
    "EXISTS (SELECT 1 FROM run AS child WHERE child.parent = run.id AND child.ended_at IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM call WHERE call.run_id = run.id AND call.path = child.parent_path)) OR "
    "EXISTS (SELECT 1 FROM run AS above WHERE above.id = run.parent AND above.ended_at IS NOT NULL)"
)
"""Whether something has happened that a parked run waited for, and it has not gone on: it is answered, a run below it has ended, or the
one above it, which it is to be cancelled with. Whoever was to wake it died in between."""


def has_work_left(path: str) -> bool:
    """False too where the file cannot be read, is an older version's, or is none of ours: whoever opens it says so."""
    if not os.path.isfile(path) or not os.access(path, os.W_OK) or os.path.getsize(path) == 0:
        return False  # looking would already leave a log beside it
    unfinished = f"SELECT 1 FROM run WHERE {IS_UNFINISHED}"
    statement = f"{unfinished} AND (parked IS NULL OR wake_at <= ? OR {NEWS}) LIMIT 1"
    with contextlib.suppress(sqlite3.Error):
        uri = Path(path).absolute().as_uri() + "?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0)) as db:
            return db.execute(statement, (time.time(),)).fetchone() is not None
    return False
