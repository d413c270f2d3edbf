"""Facts that a search uses besides the text index: vectors of texts that were encoded before, and how runs ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from .facts import Facts

_LAST_RUNS = 50
"""Runs of a workflow that say how it fares now."""
_AT_ONCE = 500
"""Texts asked for in one statement: SQLite allows a bounded number of variables."""


class Standing(msgspec.Struct, frozen=True):
    """How the last runs of a workflow ended; cancelled and unfinished ones say nothing and count as neither."""

    completed: int = 0
    failed: int = 0
    last_at: float = 0.0


class VectorFacts(Facts):
    async def vectors(self, model: str, texts: Sequence[str]) -> dict[str, bytes]:
        """What is stored for these texts, by their sha256."""
        found: dict[str, bytes] = {}
        for start in range(
            0, len(texts), _AT_ONCE
        ):  # one statement a turn: the reader's thread serves others in between
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
        """Of each workflow that was ever run."""

        def query(db: sqlite3.Connection) -> dict[str, Standing]:
            return {name: standing for name in names if (standing := _standing(db, name))}

        return await self.read(query)


def _standing(db: sqlite3.Connection, name: str) -> Standing | None:
    rows = db.execute(
        "SELECT status, created_at FROM run WHERE workflow = ? AND example = 0 ORDER BY created_at DESC LIMIT ?",
        (name, _LAST_RUNS),
    ).fetchall()
    if not rows:
        return None
    statuses = [status for status, _ in rows]
    return Standing(statuses.count("completed"), statuses.count("failed"), rows[0][1])
