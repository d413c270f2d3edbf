"""Outcomes: turns a call's outcome into a value or an exception, and a finished step into a Record; used by BodyCalls."""

from __future__ import annotations

from typing import Any, Final

from ...authoring import ambient
from ...values import big_integers, changes, exceptions, records
from ...values.records import CallError
from ...values.refusals import ResultTooLarge, StateError
from ...values.trees import read_tree
from ...wire import Call, Fault, Record
from ..link.sanitize import clean
from .pending_call import Outcome

_MAX_FAULT_CHARS: Final = 4_000


def value_of(outcome: Outcome) -> Any:
    """The value that a call returns. Raises CallError if the call failed."""
    text = _text_of(outcome)
    return None if text is None else big_integers.loads(text)


def step_value_of(outcome: Outcome) -> Any:
    """The value that a recorded step returns, or its exception, raised.

    A step's values are more than JSON, and its exceptions are the body's own. Its changes of the state are made again.
    """
    text = outcome.result if outcome.error is not None and outcome.result is not None else _text_of(outcome)
    if text is None:
        return None
    known = big_integers.loads(text)
    if (change := known.pop("state", None)) is not None:
        changes.make_again(ambient.current_state(), change)
    if outcome.error is not None:
        raise records.revive(known)
    return read_tree(known["result"])


def _text_of(outcome: Outcome) -> str | None:
    if (fault := outcome.error) is not None:
        raise CallError(fault.message, code=fault.code, type=fault.type, hint=fault.hint)
    return outcome.result


def record_of_value(step: Call | Record, began: float, value: Any, max_bytes: int, change: Any) -> Record:
    """The record of a step that returned `value`. `change` is its change of the state.

    Raises StateError or ResultTooLarge for a value that cannot be recorded.
    """
    text = records.encode(value, change)
    if len(text) > max_bytes:
        raise ResultTooLarge(
            f"the result of the step {step.label}{' with what it changed in session_state' if change else ''} is {len(text)} bytes "
            f"of JSON; at most {max_bytes} are recorded",
            hint="Let the step write it to a file, and return the path.",
        )
    return Record(step.id, step.path, "step", step.hash, step.label, text, None, began)


def record_of_error(step: Call | Record, began: float, error: Exception, change: Any) -> tuple[Record, Exception]:
    """The record of a step that raised, and the exception for the body: the error, or a StateError if a replay could not raise it again."""
    try:
        text = records.describe(error, change)
    except StateError as refusal:
        said = clean(exceptions.text_of(error), _MAX_FAULT_CHARS)
        message = f"the error of the step {step.label} cannot be recorded: {refusal.message}. It was {exceptions.type_name(error)}: {said}"
        error = StateError(
            message, hint="Catch it within the step, and raise an exception of your own or return what matters."
        )
        text = records.describe(error, change)
    fault = Fault("exception", exceptions.type_name(error), clean(exceptions.text_of(error), _MAX_FAULT_CHARS))
    return Record(step.id, step.path, "step", step.hash, step.label, text, fault, began), error
