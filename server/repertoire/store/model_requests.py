"""ModelFacts: requests to language models that runs have made, and their sums; used by the door `model` and by whoever shows a run."""

from __future__ import annotations

import sqlite3
from typing import Final

from ..model.run import Run
from ..model.usage import ModelUse, Usage
from .facts import Facts

_TREE: Final = (
    "WITH RECURSIVE tree (id) AS (VALUES (?) UNION ALL SELECT run.id FROM run JOIN tree ON run.parent = tree.id) "
)
_SUMS: Final = (
    "SELECT count(*), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cost), 0), "
    "count(*) - count(cost) FROM model_request WHERE run_id IN tree"
)


class ModelFacts(Facts):
    async def add_model_request(self, run: Run, use: ModelUse) -> None:
        """Store what a request has used. A request whose answer is not recorded, because of a crash, has used it too."""

        def fact(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO model_request (run_id, n, path, at, model, library, input_tokens, output_tokens, cost) "
                "SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM model_request WHERE run_id = ?1",
                (run.id, use.path, use.at, use.model, use.library, use.input_tokens, use.output_tokens, use.cost),
            )

        await self.write_patiently(fact)

    async def model_usage(self, run_id: str) -> Usage:
        """The sum of a run and of all runs below it."""
        return await self.read(lambda db: usage_of(db, run_id))


def usage_of(db: sqlite3.Connection, run_id: str) -> Usage:
    return Usage(*db.execute(_TREE + _SUMS, (run_id,)).fetchone())


def library_of(db: sqlite3.Connection, run_id: str) -> str | None:
    """The library that has made this run's requests, the latest one. None: it has made none."""
    statement = "SELECT library FROM model_request WHERE run_id = ? ORDER BY n DESC LIMIT 1"
    row = db.execute(statement, (run_id,)).fetchone()
    return None if row is None else str(row[0])
