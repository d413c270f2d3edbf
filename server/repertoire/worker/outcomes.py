"""What calls come to: a value or an exception for the body, a record of a step for the journal."""

from __future__ import annotations

from typing import Any, Final

from .. import digits
from ..authoring import recorded
from ..authoring.recorded import CallError
from ..authoring.refusals import ResultTooLarge
from ..wire import Call, Fault, Record
from .slots import Outcome
from .words import clean

_MAX_FAULT_CHARS: Final = 4_000


def value_of(outcome: Outcome) -> Any:
    """What a call gave. Raises what it raised."""
    text = _text_of(outcome)
    return None if text is None else digits.loads(text)


def step_value_of(outcome: Outcome) -> Any:
    """The same of a step: its values are more than JSON, its exceptions the body's own."""
    if outcome.error is not None and outcome.result is not None:
        raise recorded.revive(outcome.result)
    text = _text_of(outcome)
    return None if text is None else recorded.decode(text)


def _text_of(outcome: Outcome) -> str | None:
    if (fault := outcome.error) is not None:
        raise CallError(fault.message, code=fault.code, type=fault.type, hint=fault.hint)
    return outcome.result


def succeeded(step: Call | Record, began: float, value: Any, max_bytes: int) -> Record:
    """Raises StateError or ResultTooLarge for what cannot be recorded."""
    text = recorded.encode(value)
    if len(text) > max_bytes:
        raise ResultTooLarge(
            f"the result of the step {step.label} is {len(text)} bytes of JSON; at most {max_bytes} are recorded",
            hint="Let the step write it to a file, and return the path.",
        )
    return Record(step.id, step.path, "step", step.hash, step.label, text, None, began)


def raised(step: Call | Record, began: float, error: Exception) -> Record:
    fault = Fault("exception", type(error).__name__, clean(str(error), _MAX_FAULT_CHARS))
    return Record(step.id, step.path, "step", step.hash, step.label, recorded.describe(error), fault, began)
