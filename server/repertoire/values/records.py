"""Values, arguments and exceptions as the journal keeps them."""

from __future__ import annotations

import builtins
import hashlib
import json
from importlib import import_module
from typing import Any

from . import codec, exceptions, former_hashes
from .former_modules import current_module
from .refusals import StateError
from .trees import Encoder


class CallError(RuntimeError):
    """What a door was asked to do failed. `code`, `type` and `hint` say how; of a workflow, `run_id` is the run that failed."""

    def __init__(self, message: str, *, code: str, type: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.type = type
        self.hint = hint


def hash_of(op: str, text: str) -> str:
    """64 bits of sha256: enough to notice that a call is another one."""
    return hashlib.sha256(f"{op}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def shape_of(value: Any) -> str:
    """Arguments of a step as text, to be compared on replay. What cannot be stored counts by its type."""
    try:
        return codec.written({"": value}, Encoder(_type_of), "")
    except (StateError, RecursionError):  # something in it cannot be written as it is, though its type can be
        return former_hashes.shape_of(value)


def former_hash(label: str, args: Any) -> str:
    """Of a step, as the first versions recorded it."""
    return hash_of("step", f"{label}\0{former_hashes.shape_of(args)}")


def _type_of(value: Any, path: str) -> str:
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def encode(value: Any, change: Any = None) -> str:
    """With what has changed in the state. Raises StateError naming the place of what cannot be recorded."""
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
    """An exception so that `revive` makes one like it, as JSON, with what has changed in the state. Raises StateError."""
    return json.dumps({**exceptions.describe(error), **({} if change is None else {"state": change})})


def revive(known: dict[str, Any]) -> BaseException:
    """The same exception, so that the body's `except` clauses do what they did."""
    if "args" not in known or not isinstance(known["args"], str | None):
        return exceptions.made(known)
    return _revive_first(known)


def _revive_first(known: dict[str, Any]) -> BaseException:
    """As the first versions wrote one: the same type where it can be found and made from its arguments."""
    try:
        kind: Any = builtins if known["module"] == "builtins" else import_module(current_module(known["module"]))
        for part in known["name"].split("."):
            kind = getattr(kind, part)
        args = codec.decode(known["args"])["args"]
        error = _made(kind, args, known["text"])
        if isinstance(error, BaseException):
            return error
    except Exception:  # its module is gone, or it was made in a function
        pass
    return CallError(known["text"], code="exception", type=known["name"])


def _made(kind: Any, args: list[Any], text: str) -> Any:
    """As its author makes it, if that says the same; else without asking its constructor, which may want something else."""
    try:
        error = kind(*args)
        if str(error) == text:
            return error
    except Exception:  # the constructor is the author's
        pass
    return kind.__new__(kind, *args)
