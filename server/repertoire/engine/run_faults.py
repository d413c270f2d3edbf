"""Ends that are not the body's own, in words for the caller."""

from __future__ import annotations

from ..errors import StorageError
from ..wire import Fault
from .live_run import Outcome


def death(code: int | None) -> tuple[Fault, bool]:
    """Why the worker is gone, and whether that explains itself: an exit of the body is its end, a death is nobody's wish."""
    if code is None or code == -9:
        return Fault(
            "worker_lost", "WorkerLost", "The process that ran this workflow was killed from outside; most often it used too much memory.",
            hint="Use less memory: stream the input instead of holding all of it.",
        ), False  # fmt: skip
    if code < 0:
        return Fault("worker_lost", "WorkerLost", f"The process that ran this workflow died of signal {-code}."), False
    return Fault(
        "worker_exit", "WorkerExit", f"The workflow ended its own process with exit code {code} instead of returning.",
        hint="Return a value or raise an exception; do not call os._exit().",
    ), True  # fmt: skip


def not_started(error: OSError) -> Fault:
    return Fault(
        "worker_lost", "WorkerLost", f"No process could be started to load this module: {error}.",
        hint="Nothing is wrong with the module as far as anybody knows: make the same call again.",
    )  # fmt: skip


def server_deaths(count: int) -> Fault:
    return Fault(
        "worker_lost", "WorkerLost",
        f"Repertoire's server died {count} times while this workflow was running, and nothing was recorded in between. It is not begun "
        "again: it may be what kills the server.",
        hint="See the server's log for why it died; `repertoire rerun RUN` begins it anew with what was recorded.",
    )  # fmt: skip


def too_long(seconds: float) -> Outcome:
    fault = Fault(
        "timeout", "TimeoutError", f"The run took longer than {seconds:g} s and was stopped.",
        hint='Do less in one run, or declare __workflow__ = {"timeout_s": ...} in the module.',
    )  # fmt: skip
    return Outcome(status="failed", error=fault)


def cancelled() -> Outcome:
    return Outcome(status="cancelled", error=Fault("cancelled", "Cancelled", "The run was cancelled."))


def not_begun(cause: Exception | None) -> StorageError:
    """A run of which nothing is recorded: it was stopped."""
    hint = getattr(cause, "hint", None)
    return StorageError(f"The run was not begun: its start could not be stored. {cause}", hint)


def other_fingerprint(recorded: str, ours: str) -> str:
    return (
        f"somebody to decide: its journal was written by {recorded}, and this is {ours}. "
        "`repertoire resume RUN` goes on with it all the same"
    )
