"""Records: writes a step's result, arguments and exception as the journal keeps them, and reads them back.

`encode` writes results, `describe` and `revive` keep exceptions. `CallError` is a failed call. Used by the worker.
Hashes of arguments, which a replay compares, are in `argument_hashes`.
"""

from __future__ import annotations

import builtins
import json
from importlib import import_module
from typing import Any

from . import codec, exceptions
from .former_modules import current_module
from .refusals import StateError


class CallError(RuntimeError):
    """Raised in the body when a call through a door failed. `code`, `type` and `hint` say how.

    For a failed workflow, `run_id` is the run that failed.
    """

    def __init__(self, message: str, *, code: str, type: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.type = type
        self.hint = hint


def encode(value: Any, change: Any = None) -> str:
    """A step's result as JSON, with its change of the state. Raises StateError that names the place that cannot be recorded."""
    try:
        text = codec.encode({"result": value})
        return text if change is None else f'{text[:-1]},"state":{json.dumps(change)}}}'
    except StateError as error:
        message = error.message.removeprefix("session_state").replace("session_state", "result", 1)
        raise StateError(
            f"a step's result cannot be recorded: {message}",
            hint="Return plain data from the step: JSON values, dates, dataclasses, pydantic models.",
        ) from None


def describe(error: BaseException, change: Any = None) -> str:
    """An exception as JSON for `revive`, with the step's change of the state. Raises StateError."""
    return json.dumps({**exceptions.describe(error), **({} if change is None else {"state": change})})


def revive(known: dict[str, Any]) -> BaseException:
    """The exception that `describe` wrote, so that the body's `except` clauses match it again."""
    if "args" not in known or not isinstance(known["args"], str | None):
        return exceptions.rebuild(known)
    return _revive_first(known)


def _revive_first(known: dict[str, Any]) -> BaseException:
    """Read the first versions' form: the same type if its class can be found and its arguments build it."""
    try:
        kind: Any = builtins if known["module"] == "builtins" else import_module(current_module(known["module"]))
        for part in known["name"].split("."):
            kind = getattr(kind, part)
        args = codec.decode(known["args"])["args"]
        error = _build(kind, args, known["text"])
        if isinstance(error, BaseException):
            return error
    except Exception:  # its module is gone, or its class is defined in a function
        pass
    return CallError(known["text"], code="exception", type=known["name"])


def _build(kind: Any, args: list[Any], text: str) -> Any:
    """Call the constructor if that gives the same text. Else skip it: it may want other arguments."""
    try:
        error = kind(*args)
        if str(error) == text:
            return error
    except Exception:  # the constructor is the author's
        pass
    return kind.__new__(kind, *args)
