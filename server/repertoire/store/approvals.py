"""ApprovalFacts: the versions that a person has approved, by hash; used by the service and by the readers of versions."""

from __future__ import annotations

import sqlite3

from ..model.workflow_version import Approval, WorkflowVersion
from .audit import By, note
from .facts import Facts


class ApprovalFacts(Facts):
    async def approve(self, version: WorkflowVersion, approval: Approval, by: By) -> None:
        """A second approval of the same text changes nothing: the first one is kept."""
        row = (version.hash, version.name, approval.principal, approval.client, approval.way, approval.at)
        statement = "INSERT OR IGNORE INTO approval (hash, name, principal, client, way, at) VALUES (?, ?, ?, ?, ?, ?)"

        def fact(db: sqlite3.Connection) -> None:
            if db.execute(statement, row).rowcount:
                note(db, "approved", by, workflow=version.name, version=version.hash, subject=approval.way)

        await self.write(fact)

    async def revoke(self, version: WorkflowVersion, by: By) -> bool:
        """Take an approval back. False: the version was not approved."""

        def fact(db: sqlite3.Connection) -> bool:
            revoked = db.execute("DELETE FROM approval WHERE hash = ?", (version.hash,)).rowcount > 0
            if revoked:
                note(db, "revoked", by, workflow=version.name, version=version.hash)
            return revoked

        return await self.write(fact)

    async def approval(self, hash: str) -> Approval | None:
        return await self.read(lambda db: approval_of(db, hash))


def approval_of(db: sqlite3.Connection, hash: str) -> Approval | None:
    row = db.execute("SELECT principal, client, way, at FROM approval WHERE hash = ?", (hash,)).fetchone()
    return None if row is None else Approval(principal=row[0], client=row[1], way=row[2], at=row[3])
