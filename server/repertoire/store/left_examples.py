"""Left examples: cancels the runs of examples that an earlier owner of the home left unfinished; used by JournalFacts."""

from __future__ import annotations

import sqlite3
import time

from .audit import note_end
from .record_files import RecordFiles
from .runs import insert_events, last_event, run_of
from .unfinished import IS_UNFINISHED


def end_examples(db: sqlite3.Connection, files: RecordFiles) -> None:
    """Nobody waits for their results after a restart."""
    now = time.time()
    statement = "UPDATE run SET status = 'cancelled', ended_at = ? WHERE id = ?"
    while (run := run_of(db, files, f"example = 1 AND {IS_UNFINISHED}", ())) is not None:
        db.execute(statement, (now, run.id))
        insert_events(db, run.id, last_event(db, run.id) + 1, [("run_end", now, {"status": "cancelled"})])
        note_end(db, run, "cancelled", now, None)
        db.execute("DELETE FROM state WHERE session_id = ?", (run.session_id,))
