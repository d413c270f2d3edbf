"""Errors that reach a caller: each has a stable code (fault_codes.py), a sentence, and a hint that says what to do next.

Raised anywhere below the surfaces, which turn them into a tool error, an HTTP body or a line on the terminal. Any other exception is a
defect of Repertoire: it is logged with its traceback, and the caller hears only that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal


class RepertoireError(Exception):
    """The base class. `code` never changes once released. `message` and `hint` are sentences that a model can act on."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UnknownWorkflow(RepertoireError):
    """No workflow of that name is visible to this caller. `close`: names like it. `deleted`: the version that the name had, if it was
    deleted. `draft`: the version of its last draft, if it has only drafts; `flaw`: the part of it that stops its publication, if known."""

    code = "unknown_workflow"

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        *,
        close: Sequence[str] = (),
        deleted: str | None = None,
        draft: str | None = None,
        flaw: Literal["examples", "source", "approval"] | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.close = tuple(close)
        self.deleted = deleted
        self.draft = draft
        self.flaw = flaw


class UnknownRun(RepertoireError):
    """There is no run of that id, or it belongs to another principal: the error is the same for both."""

    code = "unknown_run"


class UnknownSession(RepertoireError):
    """No session of that id, it belongs to another principal, or it has expired."""

    code = "unknown_session"


class BadArguments(RepertoireError):
    """The arguments do not fit the tool; nothing was run."""

    code = "invalid_arguments"


class Refused(RepertoireError):
    """A source cannot be published. `details` are further JSON values for the author who corrects it."""

    code = "refused"

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        *,
        code: str = "refused",
        line: int | None = None,
        column: int | None = None,
        file: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.details = dict(details or {})
        self.reason = code
        self.line = line
        self.column = column
        self.file = file


class NotDeletable(RepertoireError):
    """The workflow comes from a file: only removing the file removes it."""

    code = "from_a_file"


class NotApproved(RepertoireError):
    """A run is refused because no person has approved its version, and this server runs no other."""

    code = "approval_required"


class WorkflowNotAllowed(RepertoireError):
    """A run may not call this workflow: one of the two is trusted, and the other is not."""

    code = "workflow_not_allowed"


class Busy(RepertoireError):
    """Too many runs wait already. `retry_after_s` is an estimate of when a worker is free."""

    code = "busy"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message, f"Try again in about {retry_after_s:g} s.")
        self.retry_after_s = retry_after_s


class Expired(RepertoireError):
    """Nobody answered a question in time."""

    code = "expired"


class RunRefused(RepertoireError):
    """The platform refuses what a body wants. It ends the run: a body that caught it would go on with a false result."""


class OverBudget(RunRefused):
    """The run has used up its budget."""

    code = "over_budget"


class NoModel(RunRefused):
    """No model can be asked here: there is no key, the provider refuses it, or the name is unknown."""

    code = "no_model"


class NoShell(RunRefused):
    """The run may not use a shell."""

    code = "shell_refused"


class ModelFailed(RepertoireError):
    """A provider of models gave no usable reply."""

    code = "model_failed"


class LostClaim(RepertoireError):
    """Another process has taken this run over. The write of this process is discarded."""

    code = "lost_claim"


class UnknownArtifact(RepertoireError):
    """There is no artifact of that name, or it belongs to another principal: the error is the same for both."""

    code = "unknown_artifact"


class ArtifactTooLarge(RepertoireError):
    """A content is larger than `max_artifact_bytes`. Nothing was stored."""

    code = "artifact_too_large"


class ArtifactsFull(RepertoireError):
    """There are as many artifacts, or as many bytes of them, as the settings allow. Nothing was stored."""

    code = "artifacts_full"


class DamagedArtifact(RepertoireError):
    """The file of an artifact is gone, or its bytes have changed."""

    code = "damaged_artifact"


class RecordNotStored(RepertoireError):
    """A result, or a recorded answer, of more than 256 KiB has no room on the disk. The run fails, and what it has recorded is kept."""

    code = "not_recorded"


class NewerSchema(RepertoireError):
    """The database was written by a newer Repertoire; this one must not write to it."""

    code = "newer_schema"


class DamagedStore(RepertoireError):
    """The database file cannot be read as one of ours. It is never overwritten."""

    code = "damaged_store"


class StorageError(RepertoireError):
    """The database cannot be read or written now: the disk is full or read-only, or another program holds a lock."""

    code = "storage"


class BadSettings(RepertoireError):
    """A flag, variable or configuration file cannot be used."""

    code = "bad_settings"


def cause_of(error: BaseException) -> BaseException:
    """The one error inside the groups that task groups wrap around it; a group of several stays."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
