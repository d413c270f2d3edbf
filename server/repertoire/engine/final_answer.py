"""Final answer: the end of a run as its worker told it, checked again; used by Attempt.

The worker has checked it already, but the body can write to the worker's socket by itself. A long text is checked in a thread.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio.to_thread

from ..limits import Limits
from ..store.runs import NewEvent
from ..values.json_check import SHORT_CHARS, NotJson, check_long_json, without_halves
from ..values.state_check import check_state
from ..wire import Done, Fault
from .live_run import Outcome


async def outcome_of(done: Done, limits: Limits, events: Sequence[NewEvent]) -> Outcome:
    """The run has completed, or has failed because nobody could read what it gave."""
    fault = _size_fault(done, limits)
    if fault is None:
        if len(done.result) + len(done.state or "") <= SHORT_CHARS:
            fault = _fault_of(done)
        else:
            fault = await anyio.to_thread.run_sync(_fault_of, done)
    if fault is not None:
        return Outcome(status="failed", error=fault, events=tuple(events))
    result = without_halves(done.result)
    return Outcome(status="completed", result=result, remark=done.remark, state=done.state, events=tuple(events))


def _size_fault(done: Done, limits: Limits) -> Fault | None:
    if len(done.result) > limits.max_result_bytes:
        message = f"run() returned {len(done.result)} bytes of JSON; at most {limits.max_result_bytes} are allowed."
        return Fault("result_too_large", "ResultTooLarge", message, hint="Write large data to a file; return its path.")
    return state_size_fault(done.state, limits)


def state_size_fault(state: str | None, limits: Limits) -> Fault | None:
    if state is None or len(state) <= limits.max_state_bytes:
        return None
    message = f"The session's state has {len(state)} bytes as JSON; at most {limits.max_state_bytes} are stored."
    return Fault("state_too_large", "StateError", message, hint="Save large data as an artifact, and store its name.")


def _fault_of(done: Done) -> Fault | None:
    try:
        check_long_json(done.result)
    except NotJson as error:
        return Fault("result_not_json", "ResultNotJson", f"The result is no JSON that the server reads: {error}.")
    try:
        check_state(done.state)
    except NotJson as error:
        message = f"The session's state is not one that a run can read: {error}."
        return Fault("state_not_serialisable", "StateError", message)
    return None
