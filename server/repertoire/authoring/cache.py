"""Cache: the decorator `cached` keeps a function's results in the session's state and returns them again. Used by workflow files."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from ..values.argument_hashes import hash_of, shape_of
from . import ambient

if TYPE_CHECKING:
    from .door_types import Cached

_KEY: Final = "cached"
"""The key of session_state that holds the results: {function: {arguments' hash: {value, at}}}."""
_MOST: Final = 1_000
"""The number of results of one function; beyond it the oldest are dropped."""


def _cached(function: Callable[..., Any] | None = None, /, *, expires_s: float | None = None) -> Any:
    """`@cached` or `@cached(expires_s=3600)`: the result is kept in `session_state["cached"]` by the function's name and arguments.

    Works on plain and async functions. The result must be what a session's state can hold; it is saved when the run completes.
    """
    if function is None:
        return functools.partial(_cached, expires_s=expires_s)
    if not callable(function):
        raise TypeError(f"@cached decorates a function, got {type(function).__name__}")
    name = getattr(function, "__qualname__", "function").replace("<locals>.", "")

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        results, key = _results_of(name), hash_of(name, shape_of([list(args), kwargs]))
        if (known := _find_fresh(results, key, expires_s)) is not None:
            return known["value"]
        return _keep(results, key, function(*args, **kwargs))

    @functools.wraps(function)
    async def acall(*args: Any, **kwargs: Any) -> Any:
        results, key = _results_of(name), hash_of(name, shape_of([list(args), kwargs]))
        if (known := _find_fresh(results, key, expires_s)) is not None:
            return known["value"]
        return _keep(results, key, await function(*args, **kwargs))

    return acall if inspect.iscoroutinefunction(function) else call


cached = cast("Cached", _cached)


def _results_of(name: str) -> dict[str, Any]:
    results: dict[str, Any] = ambient.session_state.setdefault(_KEY, {}).setdefault(name, {})
    return results


def _find_fresh(results: dict[str, Any], key: str, expires_s: float | None) -> dict[str, Any] | None:
    known: dict[str, Any] | None = results.get(key)
    if known is None or (expires_s is not None and _now() - known["at"] > expires_s):
        return None
    return known


def _keep(results: dict[str, Any], key: str, value: Any) -> Any:
    results.pop(key, None)
    results[key] = {"value": value, "at": _now()}
    while len(results) > _MOST:
        del results[next(iter(results))]
    return value


def _now() -> float:
    doors = ambient.doors()
    return time.time() if doors is None else doors.read_clock(time.time)
