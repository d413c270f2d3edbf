"""CacheFacts: results of functions that all sessions of a principal share; used by the service's CacheDoors and by Retention."""

from __future__ import annotations

import sqlite3
import time
from typing import Final, NamedTuple

from .facts import Facts

_MOST: Final = 2_000
"""Results of one principal: half a gigabyte if all are as long as they may be. Beyond it the oldest are dropped."""


class Place(NamedTuple):
    """`scope` is the workflow's name; of code that is run once, its version's hash."""

    principal: str
    scope: str
    function: str
    key: str


class CacheFacts(Facts):
    async def find_cached(self, place: Place, ttl: float | None) -> str | None:
        """The value that was kept there, not longer than `ttl` seconds ago."""
        statement = (
            "SELECT value FROM shared_cache WHERE principal = ? AND scope = ? AND function = ? AND key = ? AND at >= ?"
        )
        since = 0.0 if ttl is None else time.time() - ttl
        row = await self.read_behind(lambda db: db.execute(statement, (*place, since)).fetchone())
        return None if row is None else str(row[0])

    async def keep_cached(self, place: Place, value: str) -> None:
        def fact(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO shared_cache VALUES (?, ?, ?, ?, ?, ?)", (*place, value, time.time()))
            oldest = "SELECT at FROM shared_cache WHERE principal = ? ORDER BY at DESC LIMIT 1 OFFSET ?"
            row = db.execute(oldest, (place.principal, _MOST)).fetchone()
            if row is not None:
                db.execute("DELETE FROM shared_cache WHERE principal = ? AND at <= ?", (place.principal, row[0]))

        await self.write(fact)

    async def drop_cached(self, kept_before: float) -> int:
        """Delete what was kept before this time. Returns the number of results."""
        return await self.write(lambda db: db.execute("DELETE FROM shared_cache WHERE at < ?", (kept_before,)).rowcount)
