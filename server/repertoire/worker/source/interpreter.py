"""Interpreter: executes a version's source in pydantic-monty, a process of its own that reaches nothing; used by the loader and its stub.

For code that nobody has approved, on a machine whose kernel has no walls (`sandbox/interpreted.py`). The doors of a body are functions that
the interpreter asks us to call. Whatever crosses is plain data: an object, a path or a function of that code never reaches a door.
Time, memory and the number of calls are always limited. Not the usual way: the worker executes other versions itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from ...authoring import ambient, artifacts, durable
from ...authoring.tools import ToolName, tools
from ..replay.run_clock import RunClock
from .loader import BadSyntax

if TYPE_CHECKING:
    from pydantic_monty import MontySession

_MOST_S: Final = 300.0
"""Seconds of computing. The host kills the run at its own limit of time."""
_LOAD_S: Final = 5.0
"""Seconds for the top level when a version is only read."""
_MOST_BYTES: Final = 512 << 20
_MOST_CALLS: Final = 100_000
_DEEPEST: Final = 100
_SLACK_S: Final = 5.0
"""After this time beyond the limit its process is killed, whatever it does."""
_ARTIFACTS: Final = frozenset({"save", "load", "get", "list", "exists", "delete"})
_PLAIN: Final = (str, int, float, bool, bytes, type(None), datetime, date, timedelta)


def read(source: str, filename: str) -> None:
    """Execute the top level, and nothing of `run`. Raises BadSyntax, and everything that the top level raises."""
    with _session("", _LOAD_S, None) as session, _faults(filename):
        session.feed_run(source, external_lookup=_names(), print_callback=_print)


def call(source: str, filename: str, clock: RunClock | None, /, **arguments: Any) -> Any:
    """Execute the source and call its `run`. Gives the result as plain data."""
    names = _names()
    has_state = "session_state" in source
    given = {"__arguments__": arguments, **({"session_state": dict(ambient.session_state)} if has_state else {})}
    with _session(clock.seed if clock else "", _MOST_S, clock) as session, _faults(filename):
        session.feed_run(source, inputs=given, external_lookup=names, print_callback=_print, os=_clock_of(clock))
        ending = "(run(**__arguments__), session_state)" if has_state else "(run(**__arguments__), None)"
        result, state = session.feed_run(ending, external_lookup=names, print_callback=_print, os=_clock_of(clock))
    if has_state and _plain(state) != ambient.session_state:
        ambient.session_state.clear()
        ambient.session_state.update(state)
    return _plain(result)


@contextmanager
def _session(seed: str, seconds: float, clock: RunClock | None) -> Iterator[MontySession]:
    from pydantic_monty import ExternalModule, Monty

    limits: Any = {
        "max_feed_duration_secs": seconds,
        "max_memory": _MOST_BYTES,
        "max_suspensions": _MOST_CALLS,
        "max_total_sleep_secs": seconds,
    }
    policy: Any = {"random_start": {"seed": seed}, "datetime": "system" if clock is None else "call_host"}
    modules = {"repertoire": ExternalModule(_names())}
    with (
        Monty(max_processes=1, request_timeout=seconds + _SLACK_S, checkout_timeout=_SLACK_S) as pool,
        pool.checkout(limits=limits, os_policy=policy, external_modules=modules) as session,
    ):
        yield session


def _names() -> dict[str, Any]:
    """The doors, as the interpreter gets them."""
    return {
        "tools": _namespace(_call_tool),
        "workflows": _namespace(_call_workflow),
        "artifacts": _namespace(_call_artifact),
        "log": _checked(ambient.log),
        "progress": _checked(ambient.progress),
        "ask": _checked(durable.ask),
        "sleep": _checked(durable.sleep),
        "now": _checked(durable.now),
    }


def _call_tool(path: str, args: tuple[Any, ...], arguments: dict[str, Any]) -> Any:
    door = ToolName(path) if "." in path else getattr(tools, path)
    return door(*args, **arguments)


def _call_workflow(path: str, args: tuple[Any, ...], arguments: dict[str, Any]) -> Any:
    if "." in path:
        raise AttributeError(path)
    return getattr(durable.workflows, path)(*args, **arguments)


def _call_artifact(path: str, args: tuple[Any, ...], arguments: dict[str, Any]) -> Any:
    if path not in _ARTIFACTS:
        raise AttributeError(f"artifacts has no {path!r}")
    return getattr(artifacts.artifacts, path)(*args, **arguments)


def _namespace(door: Callable[[str, tuple[Any, ...], dict[str, Any]], Any], path: str = "") -> Any:
    """An object of the interpreter whose attributes are names, and whose calls go to the door."""
    from pydantic_monty import ClassInstance

    class Names(ClassInstance):  # type: ignore[misc]  # its types are not read: it is an extra
        def lookup_lazy_attrs(self, name: str) -> Any:
            return _namespace(door, _joined(path, name))

        def call_method(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            called = path if name == "__call__" else _joined(path, name)
            return _answer(door(called, tuple(map(_plain, args)), _plain(kwargs)))

    return Names(object())


def _joined(path: str, name: str) -> str:
    if name.startswith("_") or name in ("with_options", "aio") or path.count("."):
        raise AttributeError(name)
    return f"{path}.{name}" if path else name


def _checked(door: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*args: Any, **kwargs: Any) -> Any:
        return _answer(door(*map(_plain, args), **_plain(kwargs)))

    return checked


def _answer(value: Any) -> Any:
    """A door's value. That of `log` and `progress` is None in the interpreter."""
    return _plain(value) if isinstance(value, (*_PLAIN, list, dict, tuple)) else None


def _plain(value: Any, depth: int = 0) -> Any:
    """The value, if it is plain data at every level. Raises TypeError."""
    kind = type(value)
    if depth > _DEEPEST:
        raise ValueError("the data is nested too deeply")
    if kind in _PLAIN:
        return value
    if kind is dict:
        return {_plain(key, depth + 1): _plain(one, depth + 1) for key, one in value.items()}
    if kind in (list, tuple, set, frozenset):
        return kind(_plain(one, depth + 1) for one in value)
    raise TypeError(
        f"only plain data comes out of code that nobody has approved, got {kind.__name__}: use dicts, lists, texts and numbers"
    )


def _clock_of(clock: RunClock | None) -> Any:
    """Answers the interpreter's questions for the time from the run's clock, so that a replay reads the same."""
    if clock is None:
        return None
    from pydantic_monty import NOT_HANDLED

    def answer(*, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], is_async: bool, **more: Any) -> Any:
        if name == "time.time":
            return clock.time()
        if name == "datetime.now":
            return datetime.fromtimestamp(clock.time(), args[0] if args else None)
        if name == "date.today":
            return datetime.fromtimestamp(clock.time(), UTC).date()
        return NOT_HANDLED

    return answer


def _print(stream: str, text: str) -> None:
    (sys.stderr if stream == "stderr" else sys.stdout).write(text)


@contextmanager
def _faults(filename: str) -> Iterator[None]:
    """Raise an error of the interpreter as the error that it stands for, at the line of the source."""
    from pydantic_monty import MontyCrashedError, MontyError, MontyRuntimeError, MontySyntaxError

    try:
        yield
    except MontySyntaxError as error:
        frames = error.traceback()
        raise BadSyntax(
            f"pydantic-monty cannot run it: {error.display('msg')}", frames[-1].line if frames else None
        ) from None
    except MontyCrashedError as error:
        raise (TimeoutError if error.timed_out else MemoryError)("the interpreter was stopped at its limit") from None
    except MontyRuntimeError as error:
        lines = [frame.line for frame in error.traceback() if frame.filename == _FIRST_FEED]
        stood_for = error.exception()
        if isinstance(stood_for, NotImplementedError) and _OF_PARSER in str(stood_for):
            raise BadSyntax(f"pydantic-monty cannot run it: {stood_for}", lines[-1] if lines else None) from None
        _raise_at(stood_for, filename, lines[-1] if lines else 1)
    except MontyError as error:
        raise RuntimeError(f"pydantic-monty: {error}") from None


_FIRST_FEED: Final = "<python-input-0>"
_OF_PARSER: Final = "monty syntax parser"


def _raise_at(error: BaseException, filename: str, line: int) -> None:
    """Raise it as if that line of the source had: the traceback then shows the line."""
    exec(compile("\n" * (line - 1) + "raise error from None", filename, "exec"), {"error": error})
