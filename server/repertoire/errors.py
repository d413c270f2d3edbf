"""Errors that reach a caller: each has a stable code, a sentence, and a hint that says what to do next.

Raised anywhere below the surfaces, which turn them into a tool error, an HTTP body or a line on the terminal. What is not one
of these is a fault of ours: it is logged with its traceback and the caller hears only that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class RepertoireError(Exception):
    """Base of all. `code` never changes once released; `message` and `hint` are sentences a model can act on."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UnknownWorkflow(RepertoireError):
    """No workflow of that name is visible to this caller."""

    code = "unknown_workflow"


class UnknownRun(RepertoireError):
    """No run of that id, or it belongs to another principal: the two are not told apart."""

    code = "unknown_run"


class UnknownSession(RepertoireError):
    """No session of that id, it belongs to another principal, or it has expired."""

    code = "unknown_session"


class BadArguments(RepertoireError):
    """The arguments do not have the shape the tool takes; nothing was run."""

    code = "invalid_arguments"


class Refused(RepertoireError):
    """A source that cannot be published. `details` are JSON values that whoever corrects it needs besides."""

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


class Busy(RepertoireError):
    """Too many runs wait already; `retry_after_s` is a guess at when a place is free."""

    code = "busy"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message, f"Try again in about {retry_after_s:g} s.")
        self.retry_after_s = retry_after_s


class Expired(RepertoireError):
    """A question that nobody has answered in time."""

    code = "expired"


class OverBudget(RepertoireError):
    """The run has used what it may use."""

    code = "over_budget"


class LostClaim(RepertoireError):
    """Another process has taken this run over: what this one was about to write is discarded."""

    code = "lost_claim"


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
    """A flag, variable or configuration file that cannot be used."""

    code = "bad_settings"


def cause_of(error: BaseException) -> BaseException:
    """Task groups wrap what went wrong; where that is one thing, it is this one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
