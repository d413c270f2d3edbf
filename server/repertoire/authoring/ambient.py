"""What a body has around it without asking: `session_state`, `progress`, `log`, `commit_state`.

One run at a time per process, so the current run is a module's variable and not a context variable: threads that the body
starts must reach it too. Outside a run (a plain script) the same names write to stderr and keep a plain dict.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Awaitable, Generator
from typing import Any

from ..values import codec, merge
from ..values.refusals import StateError
from . import awaited_values
from .doors import Doors, EventType

session_state: dict[str, Any] = {}
"""One real dict for the life of the process, emptied and filled again for each run: every import of it stays true."""

aside: dict[str, Any] = {}
"""What is stored with the state and is not the body's to see."""

_instead: dict[str, Any] | None = None
"""The dict that a class's body has put in the state's place: `self.session_state = {...}`."""

_doors: Doors | None = None


class _Nothing:
    """What the calls return: nothing, whether awaited or not."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return
        yield

    def __repr__(self) -> str:
        return "None"


_NOTHING = _Nothing()


def begin(doors: Doors | None) -> None:
    """Start a run with an empty state; its events go through `doors`."""
    global _doors, _instead
    session_state.clear()
    aside.clear()
    awaited_values.begin()
    _doors, _instead = doors, None


def become_child(doors: Doors) -> None:
    """In a forked child of a run: the state is a copy that it may change, and its doors are others."""
    global _doors
    _doors = doors


def doors() -> Doors | None:
    """Those of the run that goes on; None in a plain script."""
    return _doors


def end() -> None:
    """The run is over: what threads still say goes nowhere but stderr."""
    global _doors, _instead
    _doors = _instead = None
    session_state.clear()


def emit(type: EventType, data: dict[str, Any]) -> None:
    """Tell whoever watches the run, if there is one."""
    if _doors is not None:
        _doors.emit(type, data)


def write(type: EventType, data: dict[str, Any]) -> None:
    """As a plain script tells it: to stderr."""
    said = dict(data)
    if type == "log":
        print(
            f"{said.pop('level')}: {said.pop('message')}",
            *(f"{key}={value!r}" for key, value in said.items()),
            file=sys.stderr,
        )
    elif type == "progress":
        total = "" if said["total"] is None else f"/{said['total']}"
        print(f"progress {said['done']}{total}", said["message"] or "", file=sys.stderr)
    else:
        print(*said.values(), file=sys.stderr)


def progress(done: float, total: float | None = None, message: str | None = None) -> Awaitable[None]:
    """Tell watchers how far the run has come. Works with and without `await`."""
    _check_number("done", done)
    if total is not None:
        _check_number("total", total)
    if message is not None and not isinstance(message, str):
        raise TypeError(f"progress(done, total, message): message must be a string, got {_shown(message)}")
    if _doors is not None:
        _doors.emit("progress", {"done": done, "total": total, "message": message})
    else:
        write("progress", {"done": done, "total": total, "message": message})
    return _NOTHING


class Log:
    """`log("text")` or `log.warning("text", key=value)`; the fields stay data. Works with and without `await`."""

    __slots__ = ()  # no body can put something else where the next one looks

    def __call__(self, message: object, /, **fields: Any) -> Awaitable[None]:
        return _say("info", message, fields)

    def debug(self, message: object, /, **fields: Any) -> Awaitable[None]:
        return _say("debug", message, fields)

    def info(self, message: object, /, **fields: Any) -> Awaitable[None]:
        return _say("info", message, fields)

    def warning(self, message: object, /, **fields: Any) -> Awaitable[None]:
        return _say("warning", message, fields)

    def error(self, message: object, /, **fields: Any) -> Awaitable[None]:
        return _say("error", message, fields)

    warn = warning


log = Log()


def commit_state() -> Awaitable[None]:
    """Store the session's state now: it stays even if the run fails later. Does nothing outside a run."""
    if _doors is not None:
        _doors.commit(stored_form())
    return _NOTHING


def stored_form() -> str:
    """The state's text as it is stored. Raises StateError."""
    return codec.encode(whole())


def replace(state: dict[str, Any]) -> None:
    """From now on this dict is the run's state."""
    global _instead
    _instead = state


def held() -> dict[str, Any]:
    """The dict that the body goes on with."""
    return session_state if _instead is None else _instead


def whole() -> dict[str, Any]:
    """The state with what is stored beside it."""
    return {**held(), **aside} if aside else held()


def reload(text: str) -> None:
    """The run was parked, and others may have gone on with the state: the same objects now hold what they left.

    Where nobody has, they are left alone: what the body holds is just what is stored.
    """
    with contextlib.suppress(StateError):
        if stored_form() == text:
            return
    stored = codec.decode(text)
    for key in aside.keys() & stored.keys():
        aside[key] = stored.pop(key)
    merge.update_in_place(held(), stored)


def restore(stored: dict[str, Any]) -> None:
    """Fill the state with what was stored; it wins over defaults that the module's top level has set, at every depth.

    What the top level holds of its defaults stays the state's.
    """
    merge.merge(session_state, stored)


def _say(level: str, message: object, fields: dict[str, Any]) -> Awaitable[None]:
    text = message if isinstance(message, str) else str(message)
    if _doors is not None:
        _doors.emit("log", {**fields, "level": level, "message": text})
    else:
        write("log", {**fields, "level": level, "message": text})
    return _NOTHING


def _check_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"progress(done, total, message): {name} must be a number, got {_shown(value)}")


def _shown(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= 100 else text[:97] + '...'} ({type(value).__name__})"
