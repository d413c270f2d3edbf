"""VectorFacts: vectors of encoded texts, and how the last runs of workflows ended; used by search, beside its text index."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from .facts import Facts

_LAST_RUNS = 50
"""Only the last runs of a workflow count."""
_AT_ONCE = 500
"""Texts in one statement: SQLite limits the number of variables."""


class Standing(msgspec.Struct, frozen=True):
    """How the last runs of a workflow ended. Cancelled and unfinished runs are not counted."""

    completed: int = 0
    failed: int = 0
    last_at: float = 0.0


class VectorFacts(Facts):
    async def vectors(self, model: str, texts: Sequence[str]) -> dict[str, bytes]:
        """The stored vectors of these texts, by the texts' sha256."""
        found: dict[str, bytes] = {}
        for start in range(0, len(texts), _AT_ONCE):  # between two statements the reader's thread serves other queries
            some = texts[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(some))
            statement = f"SELECT text, value FROM vector WHERE model = ? AND text IN ({marks})"

            def query(
                db: sqlite3.Connection, statement: str = statement, some: Sequence[str] = some
            ) -> list[tuple[str, bytes]]:
                return db.execute(statement, (model, *some)).fetchall()

            found.update(await self.read(query))
        return found

    async def add_vectors(self, model: str, values: Sequence[tuple[str, bytes]]) -> None:
        statement = "INSERT OR REPLACE INTO vector (model, text, value) VALUES (?, ?, ?)"
        rows = [(model, text, value) for text, value in values]
        await self.write(lambda db: db.executemany(statement, rows))

    async def standings(self, names: Sequence[str]) -> dict[str, Standing]:
        """By name, for the workflows among `names` that were ever run."""

        def query(db: sqlite3.Connection) -> dict[str, Standing]:
            return {name: standing for name in names if (standing := _standing_of(db, name))}

        return await self.read(query)


def _standing_of(db: sqlite3.Connection, name: str) -> Standing | None:
    rows = db.execute(
        "SELECT status, created_at FROM run WHERE workflow = ? AND example = 0 ORDER BY created_at DESC LIMIT ?",
        (name, _LAST_RUNS),
    ).fetchall()
    if not rows:
        return None
    statuses = [status for status, _ in rows]
    return Standing(statuses.count("completed"), statuses.count("failed"), rows[0][1])
