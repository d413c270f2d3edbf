"""Whether a home that nobody owns has a run that should go on now: asked of the file alone, before anybody opens it as a Store."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path


def has_work_left(path: str) -> bool:
    """False too where the file cannot be read, is an older version's, or is none of ours: whoever opens it says so."""
    if not os.path.isfile(path) or not os.access(path, os.W_OK) or os.path.getsize(path) == 0:
        return False  # looking would already leave a log beside it
    statement = (
        "SELECT 1 FROM run WHERE status IN ('working', 'input_required') AND (parked IS NULL OR wake_at <= ?) LIMIT 1"
    )
    with contextlib.suppress(sqlite3.Error):
        uri = Path(path).absolute().as_uri() + "?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0)) as db:
            return db.execute(statement, (time.time(),)).fetchone() is not None
    return False
