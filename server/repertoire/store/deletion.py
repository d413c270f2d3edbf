"""RetentionFacts: delete old runs with all their rows, and versions that nothing refers to; used by Retention.

A run is deleted together with all runs below it, and only when all of them have ended. First it is *taken away* in one transaction: it
belongs to no principal any more, and no reader finds it. Then its rows are deleted in small pieces, so other writes never wait long.
After a crash, the next deletion finds the rest of the rows.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from typing import Final

import msgspec

from ..names import RUN_CODE
from .audit import By, note
from .facts import Facts
from .kept_states import drop_orphans

_NOBODY: Final = ""
"""The principal of a run that was taken away. Its end is set to the epoch, so the index of ends finds it first."""
_FRESH_S: Final = 60.0
"""A younger version may be about to be run."""
_ENDED_BEFORE: Final = (
    "FROM run AS top WHERE parent IS NULL AND ended_at > 0 AND ended_at < ? "
    "AND NOT EXISTS (SELECT 1 FROM run WHERE root = top.id AND ended_at IS NULL)"
)
_KEPT_DRAFTS_S: Final = 30 * 24 * 3600.0
"""So long a draft, or the last version of a deleted workflow, can still be published."""
_UNUSED: Final = (
    "FROM version WHERE created_at < ? AND hash NOT IN (SELECT hash FROM published) "
    "AND NOT EXISTS (SELECT 1 FROM publication AS line WHERE line.hash = version.hash AND (line.at > ? OR "
    "(line.action = 'published' AND line.name IN (SELECT name FROM published)))) "
    "AND hash NOT IN (SELECT hash FROM scanned_entry WHERE hash IS NOT NULL) "
    "AND NOT EXISTS (SELECT 1 FROM run WHERE run.workflow = version.name AND run.version = version.hash)"
)


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """Keep runs that ended at most `seconds` ago, and at most the newest `runs` of those without a parent. 0: no such bound."""

    seconds: float = 0.0
    runs: int = 0

    def bound(self, db: sqlite3.Connection, now: float) -> float:
        """Runs that ended before this time are deleted."""
        bounds = [now - self.seconds] if self.seconds else []
        if self.runs:
            statement = "SELECT ended_at FROM run WHERE parent IS NULL AND ended_at > 0 AND example = 0 ORDER BY ended_at DESC LIMIT 1 OFFSET ?"
            row = db.execute(statement, (self.runs - 1,)).fetchone()
            bounds += [row[0]] if row else []
        return max(bounds, default=0.0)


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows were deleted, or would be."""

    runs: int = 0
    events: int = 0
    calls: int = 0
    versions: int = 0
    artifacts: int = 0
    trash: int = 0
    """Workflow files in HOME/trash."""
    audit: int = 0
    """Lines of the audit log."""

    def __add__(self, other: Gone) -> Gone:
        return Gone(
            runs=self.runs + other.runs,
            events=self.events + other.events,
            calls=self.calls + other.calls,
            versions=self.versions + other.versions,
            artifacts=self.artifacts + other.artifacts,
            trash=self.trash + other.trash,
            audit=self.audit + other.audit,
        )

    @property
    def rows(self) -> int:
        return self.runs + self.events + self.calls


class RetentionFacts(Facts):
    async def existing_runs(self, ids: Iterable[str]) -> set[str]:
        """Those of these runs that have a row, also one that was taken away and is not swept yet."""
        wanted = list(ids)

        def query(db: sqlite3.Connection) -> set[str]:
            return {run for run in wanted if db.execute("SELECT 1 FROM run WHERE id = ?", (run,)).fetchone()}

        return await self.read_behind(query)

    async def would_go(self, keep: Keep) -> Gone:
        """Count the rows that `take_away`, `sweep` and `delete_unused_versions` would delete now, except versions of the deleted runs."""

        def query(db: sqlite3.Connection) -> Gone:
            now = time.time()
            tops = f"SELECT top.id {_ENDED_BEFORE}"
            runs = f"SELECT id FROM run WHERE ended_at = 0 OR id IN ({tops}) OR root IN ({tops})"
            bound = keep.bound(db, now)

            def count(rows: str) -> int:
                (found,) = db.execute(f"SELECT count(*) FROM {rows} ({runs})", (bound, bound)).fetchone()
                return int(found)

            (versions,) = db.execute(f"SELECT count(*) {_UNUSED}", _unused_since(now)).fetchone()
            return Gone(
                runs=count("run WHERE id IN"),
                events=count("event WHERE run_id IN"),
                calls=count("call WHERE run_id IN"),
                versions=versions,
            )

        return await self.read(query)

    async def take_away(self, keep: Keep, at_most: int) -> int:
        """Hide the oldest runs that need not be kept, with all runs below them. Returns the number of trees, at most `at_most`."""

        def fact(db: sqlite3.Connection) -> int:
            statement = f"SELECT top.id {_ENDED_BEFORE} ORDER BY ended_at LIMIT ?"
            tops = db.execute(statement, (keep.bound(db, time.time()), at_most)).fetchall()
            for (top,) in tops:
                changed = (_NOBODY, top, top)
                db.execute("UPDATE run SET principal = ?, ended_at = 0 WHERE id = ? OR root = ?", changed)
            return len(tops)

        return await self.write(fact)

    async def sweep(self, at_most: int) -> Gone:
        """Delete up to `at_most` rows of runs that were taken away. An empty Gone: no such row is left."""

        def fact(db: sqlite3.Connection) -> Gone:
            gone, of_code = Gone(), set()
            statement = "SELECT id, workflow, version FROM run WHERE ended_at = 0 LIMIT ?"
            for run_id, workflow, version in db.execute(statement, (at_most,)).fetchall():
                events = _delete_some(db, "event", run_id, at_most - gone.rows)
                calls = _delete_some(db, "call", run_id, at_most - gone.rows - events)
                gone += Gone(events=events, calls=calls)
                if gone.rows >= at_most:
                    return gone
                db.execute("DELETE FROM wait WHERE run_id = ?", (run_id,))
                db.execute("DELETE FROM effect WHERE run_id = ?", (run_id,))
                db.execute("DELETE FROM content_use WHERE run_id = ?", (run_id,))
                db.execute("DELETE FROM model_request WHERE run_id = ?", (run_id,))
                db.execute("DELETE FROM idempotency WHERE run_id = ?", (run_id,))
                db.execute("DELETE FROM run WHERE id = ?", (run_id,))
                gone += Gone(runs=1)
                if workflow == RUN_CODE:
                    of_code.add(version)
            _delete_unnamed(db, of_code)
            if gone.runs:
                drop_orphans(db)
            return gone

        return await self.write(fact)

    async def drop_record_files(self, at_most: int) -> int:
        """Delete up to `at_most` files of results that nothing refers to. Returns their number."""
        return await self.write(lambda db: self._files.drop_unused(db, at_most))

    async def drop_stray_files(self) -> None:
        """Delete files of results that a killed server has left without a row."""
        await self.write(self._files.drop_strays)

    async def delete_unused_versions(self, at_most: int) -> int:
        """Delete up to `at_most` versions that nothing refers to. Returns their number.

        A version is kept while it is published, was published under a name that still is, lies in a file, belongs to a run, or was a
        draft in the last month.
        """

        def fact(db: sqlite3.Connection) -> int:
            unused = db.execute(
                f"SELECT name, hash {_UNUSED} LIMIT ?", (*_unused_since(time.time()), at_most)
            ).fetchall()
            marks = ", ".join("?" * len(unused))
            for name, hash in unused:
                note(db, "forgotten", By(), workflow=name, version=hash)
            for table in ("version_text", "checked", "approval", "version"):
                db.execute(f"DELETE FROM {table} WHERE hash IN ({marks})", [hash for _, hash in unused])
            return len(unused)

        return await self.write(fact)


def _delete_unnamed(db: sqlite3.Connection, hashes: Iterable[str]) -> None:
    """Delete those of these versions that have no run any more. When one is started again, the start stores it again."""
    unused = (
        f"hash = ? AND NOT EXISTS (SELECT 1 FROM run WHERE run.version = version.hash AND run.workflow = '{RUN_CODE}')"
    )
    for hash in hashes:
        if db.execute(f"DELETE FROM version WHERE {unused}", (hash,)).rowcount:
            db.execute("DELETE FROM version_text WHERE hash = ?", (hash,))


def _unused_since(now: float) -> tuple[float, float]:
    return now - _FRESH_S, now - _KEPT_DRAFTS_S


def _delete_some(db: sqlite3.Connection, table: str, run_id: str, at_most: int) -> int:
    statement = f"DELETE FROM {table} WHERE run_id = ? AND n IN (SELECT n FROM {table} WHERE run_id = ? LIMIT ?)"
    return db.execute(statement, (run_id, run_id, max(at_most, 0))).rowcount
