"""What calls come to: a value or an exception for the body, a record of a step for the journal."""

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
    """What a call gave. Raises what it raised."""
    text = _text_of(outcome)
    return None if text is None else big_integers.loads(text)


def step_value_of(outcome: Outcome) -> Any:
    """The same of a step: its values are more than JSON, its exceptions the body's own. What it changed in the state is changed again."""
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


def succeeded(step: Call | Record, began: float, value: Any, max_bytes: int, change: Any) -> Record:
    """`change` is what the step has changed in the state. Raises StateError or ResultTooLarge for what cannot be recorded."""
    text = records.encode(value, change)
    if len(text) > max_bytes:
        raise ResultTooLarge(
            f"the result of the step {step.label}{' with what it changed in session_state' if change else ''} is {len(text)} bytes "
            f"of JSON; at most {max_bytes} are recorded",
            hint="Let the step write it to a file, and return the path.",
        )
    return Record(step.id, step.path, "step", step.hash, step.label, text, None, began)


def raised(step: Call | Record, began: float, error: Exception, change: Any) -> tuple[Record, Exception]:
    """The record, and what the body gets: the error, or a StateError where that could not be made again."""
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
