"""ApprovalFacts: the versions that a person has approved, by hash; used by the service and by the readers of versions."""

from __future__ import annotations

import sqlite3

from ..model.workflow_version import Approval, WorkflowVersion
from .facts import Facts


class ApprovalFacts(Facts):
    async def approve(self, version: WorkflowVersion, approval: Approval) -> None:
        """A second approval of the same text changes nothing: the first one is kept."""
        row = (version.hash, version.name, approval.principal, approval.client, approval.way, approval.at)
        statement = "INSERT OR IGNORE INTO approval (hash, name, principal, client, way, at) VALUES (?, ?, ?, ?, ?, ?)"
        await self.write(lambda db: db.execute(statement, row))

    async def revoke(self, hash: str) -> bool:
        """Take an approval back. False: the version was not approved."""
        return bool(await self.write(lambda db: db.execute("DELETE FROM approval WHERE hash = ?", (hash,)).rowcount))

    async def approval(self, hash: str) -> Approval | None:
        return await self.read(lambda db: approval_of(db, hash))


def approval_of(db: sqlite3.Connection, hash: str) -> Approval | None:
    row = db.execute("SELECT principal, client, way, at FROM approval WHERE hash = ?", (hash,)).fetchone()
    return None if row is None else Approval(principal=row[0], client=row[1], way=row[2], at=row[3])
