"""Faults and reasons of runs that end, or cannot begin, for a cause outside their body; used by Runner and its parts, and by the service.

Not the errors of a body, such as `out_of_memory`: worker/body_errors.py.
"""

from __future__ import annotations

from typing import Final

from ..errors import NotApproved, RepertoireError, StorageError
from ..store.audit import By
from ..wire import Fault
from .live_run import Outcome


def worker_death(code: int | None) -> tuple[Fault, bool]:
    """Why the worker is gone. True: the body itself ended its process, so another attempt would end the same way."""
    if code is None or code == -9:
        message = "The process that ran this workflow was killed from outside; most often it used too much memory."
        hint = "Use less memory: stream the input instead of holding all of it."
        return Fault("worker_lost", "WorkerLost", message, hint=hint), False
    if code < 0:
        return Fault("worker_lost", "WorkerLost", f"The process that ran this workflow died of signal {-code}."), False
    message = f"The workflow ended its own process with exit code {code} instead of returning."
    hint = "Return a value or raise an exception; do not call os._exit()."
    return Fault("worker_exit", "WorkerExit", message, hint=hint), True


def bad_frame(why: str) -> Fault:
    """The worker was ended because of a frame that no worker of ours sends."""
    message = f"The process of this run was ended: it has sent the server {why}."
    hint = "Do not write to files and sockets that the workflow has not opened itself; use `step`, `ask` and the like."
    return Fault("bad_frame", "BadFrame", message, hint=hint)


def no_process(error: OSError) -> Fault:
    """No process could be started to inspect a module."""
    message = f"No process could be started to load this module: {error}."
    hint = "Nothing is wrong with the module as far as anybody knows: make the same call again."
    return Fault("worker_lost", "WorkerLost", message, hint=hint)


def server_deaths(count: int) -> Fault:
    message = (
        f"Repertoire's server died {count} times while this workflow was running, and nothing was recorded in between. It is not begun "
        "again: it may be what kills the server."
    )
    hint = "See the server's log for why it died; `repertoire rerun RUN` begins it anew with what was recorded."
    return Fault("worker_lost", "WorkerLost", message, hint=hint)


def timeout(seconds: float) -> Outcome:
    message = f"The run took longer than {seconds:g} s and was stopped."
    hint = 'Do less in one run, or declare __workflow__ = {"timeout_s": ...} in the module.'
    return Outcome(status="failed", error=Fault("timeout", "TimeoutError", message, hint=hint))


def cancellation(by: By | None = None) -> Outcome:
    return Outcome(status="cancelled", error=Fault("cancelled", "Cancelled", "The run was cancelled."), by=by)


def failure(error: RepertoireError) -> Outcome:
    return Outcome(status="failed", error=Fault(error.code, type(error).__name__, error.message, hint=error.hint))


def internal_failure() -> Outcome:
    message = "Repertoire failed to run this; its log has the details."
    return Outcome(status="failed", error=Fault("internal", "InternalError", message))


def start_not_stored(cause: Exception | None) -> StorageError:
    """The error for a caller whose run was stopped because its start could not be stored. Nothing is recorded of such a run."""
    hint = getattr(cause, "hint", None)
    return StorageError(f"The run was not begun: its start could not be stored. {cause}", hint)


NEEDS_DECISION: Final = "somebody to decide"
"""A run that waits for this goes on only when a person resumes it."""


def waits_for_approval(refusal: NotApproved) -> str:
    """Why a run is parked that began before this server demanded approvals."""
    return f"{NEEDS_DECISION}: {refusal.message} {refusal.hint}. Then `repertoire resume RUN` goes on with it"


def foreign_journal(recorded: str, ours: str) -> str:
    """Why a run stays parked: another version of Python or of the journal's format has written its journal."""
    return (
        f"{NEEDS_DECISION}: its journal was written by {recorded}, and this is {ours}. "
        "`repertoire resume RUN` goes on with it all the same"
    )
