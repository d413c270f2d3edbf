"""Why a workflow, its arguments, its result or its state were refused: one class each, with a stable code.

The message is a sentence for the model that wrote the workflow or called it. Not for exceptions of the body itself.
"""

from __future__ import annotations


class Refusal(Exception):
    """The root; `kind` is what the caller sees as the error's type."""

    code = "refused"
    kind = "Refusal"

    def __init__(self, message: str, *, line: int | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.hint = hint


class SchemaError(Refusal):
    """The signature of `run` cannot become a tool's schema."""

    code = "bad_signature"
    kind = "SchemaError"


class NotMade(SchemaError):
    """A class whose constructor raised. Its cause may lie outside the file, so it is tried again at the next look."""

    code = "import_failed"


class ArgumentError(Refusal):
    """The arguments do not fit the signature; the message names every problem."""

    code = "invalid_arguments"
    kind = "ValidationError"


class ResultNotJson(Refusal):
    """What `run` returned has no JSON form."""

    code = "result_not_json"
    kind = "TypeError"


class ResultMismatch(Refusal):
    """What `run` returned is not what its annotation says."""

    code = "result_mismatch"
    kind = "ValidationError"


class ResultTooLarge(Refusal):
    """What `run` returned is longer than a result may be."""

    code = "result_too_large"
    kind = "ValueError"


class TooManyItems(Refusal):
    """A generator body gave more items than a result may hold."""

    code = "too_many_items"
    kind = "ValueError"


class StateError(Refusal):
    """The session's state holds a value that cannot be stored."""

    code = "state_not_serialisable"
    kind = "TypeError"


class NotAvailable(Refusal):
    """The body used something that this version of Repertoire does not have yet."""

    code = "not_available"
    kind = "NotAvailable"


class NonDeterminism(Refusal):
    """A body that was begun again did something else than the first time; nothing that is recorded fits it any more."""

    code = "non_determinism"
    kind = "NonDeterminism"
