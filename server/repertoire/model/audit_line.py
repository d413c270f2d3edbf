"""AuditLine: one line of the audit log, and the names of the actions in it; used by the store, the service and the command line."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .run import iso

Action = Literal[
    "draft",
    "published",
    "deleted",
    "forgotten",
    "created",
    "restored",
    "approved",
    "revoked",
    "pinned",
    "unpinned",
    "started",
    "ended",
    "cancelled",
    "resumed",
    "answered",
    "session_reset",
    "session_renamed",
    "session_deleted",
    "artifact_saved",
    "artifact_deleted",
    "runs_deleted",
    "audit_cut",
]
"""`docs/audit.md` says what each means. A test compares the two."""


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done. A text that is not known, or does not apply, is empty.

    `arguments` is a hash. `subject` is a thing that is no workflow: a question, a session, an artifact, the run above a started one.
    """

    n: int
    action: Action
    at: float
    principal: str
    client: str
    session_id: str
    workflow: str
    version: str
    run_id: str
    arguments: str
    status: str
    subject: str
    based_on: str | None = None
    """The version that was published before."""

    def public(self) -> dict[str, Any]:
        values = msgspec.structs.asdict(self)
        del values["arguments"]
        return {**values, "at": iso(self.at), "arguments_sha256": self.arguments, "based_on": self.based_on or ""}
