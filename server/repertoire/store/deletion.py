"""Facts about what is no longer kept: which ended runs are to go, their going, and versions that nothing refers to.

A run goes with everything below it, and only when all of that has ended. It is taken away in one step: from then on it belongs to
nobody and no reader finds it. Its rows follow in small pieces, so that whoever writes never waits long; what a crash leaves of them
goes the next time.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Final

import msgspec

from .facts import Facts
from .kept_states import drop_orphans

_NOBODY: Final = ""
"""The principal of a run that was taken away; its end is put at the epoch, where the index of ends finds it first."""
_FRESH_S: Final = 60.0
"""A version that was stored so lately may be about to be run."""
_ENDED_BEFORE: Final = (
    "FROM run AS top WHERE parent IS NULL AND ended_at > 0 AND ended_at < ? "
    "AND NOT EXISTS (SELECT 1 FROM run WHERE root = top.id AND ended_at IS NULL)"
)
_KEPT_DRAFTS_S: Final = 30 * 24 * 3600.0
"""So long a draft, or what a deleted workflow was, can still be published."""
_UNUSED: Final = (
    "FROM version WHERE created_at < ? AND hash NOT IN (SELECT hash FROM published) "
    "AND NOT EXISTS (SELECT 1 FROM publication AS line WHERE line.hash = version.hash AND (line.at > ? OR "
    "(line.action = 'published' AND line.name IN (SELECT name FROM published)))) "
    "AND hash NOT IN (SELECT hash FROM scanned_entry WHERE hash IS NOT NULL) "
    "AND NOT EXISTS (SELECT 1 FROM run WHERE run.workflow = version.name AND run.version = version.hash)"
)


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept: runs that ended at most `seconds` ago, and of those that no other run began the newest `runs`. 0: no such bound."""

    seconds: float = 0.0
    runs: int = 0

    def bound(self, db: sqlite3.Connection, now: float) -> float:
        """Runs that ended before this time go."""
        bounds = [now - self.seconds] if self.seconds else []
        if self.runs:
            statement = "SELECT ended_at FROM run WHERE parent IS NULL AND ended_at > 0 AND example = 0 ORDER BY ended_at DESC LIMIT 1 OFFSET ?"
            row = db.execute(statement, (self.runs - 1,)).fetchone()
            bounds += [row[0]] if row else []
        return max(bounds, default=0.0)


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """How much was, or would be, deleted."""

    runs: int = 0
    events: int = 0
    calls: int = 0
    versions: int = 0

    def __add__(self, other: Gone) -> Gone:
        return Gone(
            runs=self.runs + other.runs, events=self.events + other.events, calls=self.calls + other.calls,
            versions=self.versions + other.versions,
        )  # fmt: skip

    @property
    def rows(self) -> int:
        return self.runs + self.events + self.calls


class RetentionFacts(Facts):
    async def would_go(self, keep: Keep) -> Gone:
        """What `take_away`, `sweep` and `delete_unused_versions` would delete now; versions of the runs that go are not counted."""

        def query(db: sqlite3.Connection) -> Gone:
            now = time.time()
            tops = f"SELECT top.id {_ENDED_BEFORE}"
            runs = f"SELECT id FROM run WHERE ended_at = 0 OR id IN ({tops}) OR root IN ({tops})"
            bound = keep.bound(db, now)

            def count(what: str) -> int:
                (found,) = db.execute(f"SELECT count(*) FROM {what} ({runs})", (bound, bound)).fetchone()
                return int(found)

            (versions,) = db.execute(f"SELECT count(*) {_UNUSED}", _unused_since(now)).fetchone()
            return Gone(
                runs=count("run WHERE id IN"), events=count("event WHERE run_id IN"), calls=count("call WHERE run_id IN"),
                versions=versions,
            )  # fmt: skip

        return await self.read(query)

    async def take_away(self, keep: Keep, at_most: int) -> int:
        """Take the oldest runs that need not be kept away from everybody, with all below them: how many trees."""

        def fact(db: sqlite3.Connection) -> int:
            statement = f"SELECT top.id {_ENDED_BEFORE} ORDER BY ended_at LIMIT ?"
            tops = db.execute(statement, (keep.bound(db, time.time()), at_most)).fetchall()
            for (top,) in tops:
                changed = (_NOBODY, top, top)
                db.execute("UPDATE run SET principal = ?, ended_at = 0 WHERE id = ? OR root = ?", changed)
            return len(tops)

        return await self.write(fact)

    async def sweep(self, at_most: int) -> Gone:
        """Delete up to so many rows of runs that were taken away. Nothing: there are none left."""

        def fact(db: sqlite3.Connection) -> Gone:
            gone = Gone()
            for (run_id,) in db.execute("SELECT id FROM run WHERE ended_at = 0 LIMIT ?", (at_most,)).fetchall():
                events = _delete_some(db, "event", run_id, at_most - gone.rows)
                calls = _delete_some(db, "call", run_id, at_most - gone.rows - events)
                gone += Gone(events=events, calls=calls)
                if gone.rows >= at_most:
                    return gone
                db.execute("DELETE FROM wait WHERE run_id = ?", (run_id,))
                db.execute("DELETE FROM effect WHERE run_id = ?", (run_id,))
                db.execute("DELETE FROM idempotency WHERE run_id = ?", (run_id,))
                db.execute("DELETE FROM run WHERE id = ?", (run_id,))
                gone += Gone(runs=1)
            if gone.runs:
                drop_orphans(db)
            return gone

        return await self.write(fact)

    async def delete_unused_versions(self, at_most: int) -> int:
        """Versions that are neither published, nor were under a name that is, nor in a file, nor of any run, nor drafts of the last
        month: how many were deleted."""

        def fact(db: sqlite3.Connection) -> int:
            unused = db.execute(f"SELECT hash {_UNUSED} LIMIT ?", (*_unused_since(time.time()), at_most)).fetchall()
            marks = ", ".join("?" * len(unused))
            for table in ("version_text", "checked", "publication", "version"):
                db.execute(f"DELETE FROM {table} WHERE hash IN ({marks})", [hash for (hash,) in unused])
            return len(unused)

        return await self.write(fact)


def _unused_since(now: float) -> tuple[float, float]:
    return now - _FRESH_S, now - _KEPT_DRAFTS_S


def _delete_some(db: sqlite3.Connection, table: str, run_id: str, at_most: int) -> int:
    statement = f"DELETE FROM {table} WHERE run_id = ? AND n IN (SELECT n FROM {table} WHERE run_id = ? LIMIT ?)"
    return db.execute(statement, (run_id, run_id, max(at_most, 0))).rowcount
