"""Values, arguments and exceptions as the journal keeps them."""

from __future__ import annotations

import builtins
import hashlib
import json
from importlib import import_module
from typing import Any

from . import codec
from .refusals import StateError


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
        return codec.encode({"": value})
    except (StateError, RecursionError):
        pass
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{shape_of(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(shape_of, value)) + "]"
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def encode(value: Any) -> str:
    """Raises StateError naming the place of what cannot be recorded."""
    try:
        return codec.encode({"result": value})
    except StateError as error:
        message = error.message.removeprefix("session_state").replace("session_state", "result", 1)
        raise StateError(
            f"a step's result cannot be recorded: {message}",
            hint="Return plain data from the step: JSON values, dates, dataclasses, pydantic models.",
        ) from None


def decode(text: str) -> Any:
    return codec.decode(text)["result"]


def describe(error: BaseException) -> str:
    """An exception so that `revive` makes one like it, as JSON."""
    kind = type(error)
    try:
        made = error.__reduce__()
        args = codec.encode({"args": list(made[1]) if isinstance(made, tuple) else list(error.args)})
    except Exception:  # what it holds cannot be stored, or it does not say what it is made of
        args = None
    return json.dumps({"module": kind.__module__, "name": kind.__qualname__, "args": args, "text": str(error)})


def revive(text: str) -> BaseException:
    """The same type where it can be found and made from its arguments, so that the body's `except` clauses do what they did."""
    known = json.loads(text)
    try:
        kind: Any = builtins if known["module"] == "builtins" else import_module(known["module"])
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
