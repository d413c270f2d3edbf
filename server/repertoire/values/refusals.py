"""Refusals: one exception class, with a stable code, for each reason to refuse a workflow, its arguments, its result or its state.

The message is a sentence for the model that wrote or called the workflow. Used everywhere; not for exceptions of the body itself.
"""

from __future__ import annotations


class Refusal(Exception):
    """The base class. The caller sees `kind` as the error's type."""

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


class ConstructorFailed(SchemaError):
    """The constructor of a class raised. The cause may lie outside the file, so the next look at the file tries again."""

    code = "import_failed"


class ArgumentError(Refusal):
    """The arguments do not fit the signature; the message names every problem."""

    code = "invalid_arguments"
    kind = "ValidationError"


class ResultNotJson(Refusal):
    """The value that `run` returned has no JSON form."""

    code = "result_not_json"
    kind = "TypeError"


class ResultMismatch(Refusal):
    """The value that `run` returned does not match its annotation."""

    code = "result_mismatch"
    kind = "ValidationError"


class ResultTooLarge(Refusal):
    """The value that `run` returned is longer than a result may be."""

    code = "result_too_large"
    kind = "ValueError"


class TooManyItems(Refusal):
    """A generator body yielded more items than a result may hold."""

    code = "too_many_items"
    kind = "ValueError"


class StateError(Refusal):
    """The session's state holds a value that cannot be stored."""

    code = "state_not_serialisable"
    kind = "TypeError"


class NotAvailable(Refusal):
    """The body used a feature that this version of Repertoire does not have yet."""

    code = "not_available"
    kind = "NotAvailable"


class NonDeterminism(Refusal):
    """On replay the body made another call than the first time, so the journal no longer fits it."""

    code = "non_determinism"
    kind = "NonDeterminism"
