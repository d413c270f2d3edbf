"""Ambient API: `session_state`, `progress`, `log` and `commit_state` of the run that is executing in this process.

A process executes one run at a time. So the current run is a module variable and not a context variable: the body's threads must
reach it too. Outside a run, in a plain script, the same names write to stderr and keep a plain dict. Used by workflow files; the worker
calls `begin`, `end`, `restore` and the like around a run.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Awaitable, Generator
from typing import Any, Final

from ..values import codec
from ..values.refusals import Refusal, StateError
from ..values.update_in_place import merge, update_in_place
from . import awaited_values
from .doors import Doors, EventType

session_state: dict[str, Any] = {}
"""One dict for the life of the process, cleared and filled again for each run, so that every import of it stays valid."""

aside: dict[str, Any] = {}
"""Data that is stored with the state but that the body does not see."""

HIDDEN: Final = frozenset({"__history__", "__sessions__"})
"""Keys of the stored state that go to `aside` when it is restored."""

_replacement: dict[str, Any] | None = None
"""The dict that a class's body assigned: `self.session_state = {...}`."""

_doors: Doors | None = None

_refusal: Refusal | None = None
"""The first thing that the platform refused to the run."""


class _Nothing:
    """The result of `log` and `progress`: None, with and without `await`."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return
        yield

    def __repr__(self) -> str:
        return "None"


_NOTHING = _Nothing()


def begin(doors: Doors | None) -> None:
    """Start a run with an empty state. Its events go through `doors`."""
    global _doors, _refusal, _replacement
    session_state.clear()
    aside.clear()
    awaited_values.begin()
    _doors, _refusal, _replacement = doors, None, None


def become_child(doors: Doors) -> None:
    """In a forked child of a run: take its own doors. The state is a copy that the child may change."""
    global _doors
    _doors = doors


def doors() -> Doors | None:
    """The doors of the current run; None in a plain script."""
    return _doors


def end() -> None:
    """End the run. Later output of its threads goes to stderr only."""
    global _doors, _replacement
    _doors = _replacement = None
    session_state.clear()


def note_refusal(refusal: Refusal) -> Refusal:
    """Note that the platform cannot do what the body wants. Gives the refusal back, to be raised.

    A body may catch it with `except Exception` and go on with a false result. So its run fails all the same (`check_refusal`).
    """
    global _refusal
    if _doors is not None and _refusal is None:
        _refusal = refusal
    return refusal


def check_refusal() -> None:
    """At the end of a body: raises the refusal that was noted in it, if there is one."""
    if _refusal is not None:
        raise _refusal


def emit(type: EventType, data: dict[str, Any]) -> None:
    """Send an event to the watchers of the run; outside a run, do nothing."""
    if _doors is not None:
        _doors.emit(type, data)


def write(type: EventType, data: dict[str, Any]) -> None:
    """Write an event to stderr, as in a plain script."""
    fields = dict(data)
    if type == "log":
        print(
            f"{fields.pop('level')}: {fields.pop('message')}",
            *(f"{key}={value!r}" for key, value in fields.items()),
            file=sys.stderr,
        )
    elif type == "progress":
        total = "" if fields["total"] is None else f"/{fields['total']}"
        print(f"progress {fields['done']}{total}", fields["message"] or "", file=sys.stderr)
    else:
        print(*fields.values(), file=sys.stderr)


def progress(done: float, total: float | None = None, message: str | None = None) -> Awaitable[None]:
    """Tell watchers how far the run has come. Works with and without `await`."""
    _check_number("done", done)
    if total is not None:
        _check_number("total", total)
    if message is not None and not isinstance(message, str):
        raise TypeError(f"progress(done, total, message): message must be a string, got {_show_value(message)}")
    if _doors is not None:
        _doors.emit("progress", {"done": done, "total": total, "message": message})
    else:
        write("progress", {"done": done, "total": total, "message": message})
    return _NOTHING


class Log:
    """`log("text")` or `log.warning("text", key=value)`; the fields stay data. Works with and without `await`."""

    __slots__ = ()  # no attributes: one body cannot change `log` for the next

    def __call__(self, message: object, /, **fields: Any) -> Awaitable[None]:
        return _log("info", message, fields)

    def debug(self, message: object, /, **fields: Any) -> Awaitable[None]:
        return _log("debug", message, fields)

    def info(self, message: object, /, **fields: Any) -> Awaitable[None]:
        return _log("info", message, fields)

    def warning(self, message: object, /, **fields: Any) -> Awaitable[None]:
        return _log("warning", message, fields)

    def error(self, message: object, /, **fields: Any) -> Awaitable[None]:
        return _log("error", message, fields)

    warn = warning


log = Log()


def commit_state() -> Awaitable[None]:
    """Store the session's state now: it stays even if the run fails later. Does nothing outside a run."""
    if _doors is not None:
        _doors.commit(stored_form())
    return _NOTHING


def stored_form() -> str:
    """The text of the state for the store. Raises StateError."""
    return codec.encode(full_state())


def replace(state: dict[str, Any]) -> None:
    """Make this dict the run's state."""
    global _replacement
    _replacement = state


def current_state() -> dict[str, Any]:
    """The dict that the body uses as its state now."""
    return session_state if _replacement is None else _replacement


def full_state() -> dict[str, Any]:
    """The state together with the data in `aside`."""
    return {**current_state(), **aside} if aside else current_state()


def reload(text: str) -> None:
    """Bring the state up to date after the run was parked: other runs may have changed the stored state.

    The body's objects are updated in place. If the stored state is unchanged, they are not touched.
    """
    with contextlib.suppress(StateError):
        if stored_form() == text:
            return
    stored = codec.decode(text)
    for key in aside.keys() & stored.keys():
        aside[key] = stored.pop(key)
    update_in_place(current_state(), stored)


def restore(stored: dict[str, Any]) -> None:
    """Fill the state with the stored one. Stored values win over defaults that the module's top level has set, at every depth.

    Objects in the defaults are updated in place, so the module's references to them stay valid.
    """
    for key in HIDDEN & stored.keys():
        aside[key] = stored.pop(key)
    merge(session_state, stored)


def _log(level: str, message: object, fields: dict[str, Any]) -> Awaitable[None]:
    text = message if isinstance(message, str) else str(message)
    if _doors is not None:
        _doors.emit("log", {**fields, "level": level, "message": text})
    else:
        write("log", {**fields, "level": level, "message": text})
    return _NOTHING


def _check_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"progress(done, total, message): {name} must be a number, got {_show_value(value)}")


def _show_value(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= 100 else text[:97] + '...'} ({type(value).__name__})"
