"""Cache: the decorator `cached` keeps a function's results and returns them again. Used by workflow files.

By default they are in the session's state. With `shared=True` the host keeps them for all sessions of the user, through the run's doors.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from ..values import codec
from ..values.argument_hashes import hash_of, shape_of
from . import ambient

if TYPE_CHECKING:
    from .door_types import Cached

_KEY: Final = "cached"
"""The key of session_state that holds the results: {function: {arguments' hash: {value, at}}}."""
_MOST: Final = 1_000
"""The number of results of one function; beyond it the oldest are dropped."""


class _Place(NamedTuple):
    """The place of one result. `ttl`: it is used for so many seconds. `shared`: by all sessions of the user."""

    function: str
    key: str
    ttl: float | None
    shared: bool


def _cached(
    function: Callable[..., Any] | None = None,
    /,
    *,
    ttl: float | None = None,
    key: Callable[..., Any] | None = None,
    shared: bool = False,
    expires_s: float | None = None,
) -> Any:
    """`@cached` or `@cached(ttl=3600)`: the result is kept in `session_state["cached"]` by the function's name and arguments.

    `ttl` (or `expires_s`): for so many seconds. `key`: a function of the arguments, whose result stands for them. `shared`: the host keeps
    it for all sessions of the user. Works on plain and async functions. The result must be what a session's state can hold; one in the
    state is saved when the run completes.
    """
    if ttl is not None and expires_s is not None:
        raise TypeError("@cached: ttl and expires_s are the same, give one of them")
    ttl = expires_s if ttl is None else ttl
    if key is not None and not callable(key):
        raise TypeError("@cached(key=...) takes a function of the arguments, such as key=lambda url, **others: url")
    if function is None:
        return functools.partial(_cached, ttl=ttl, key=key, shared=shared)
    if not callable(function):
        raise TypeError(f"@cached decorates a function, got {type(function).__name__}")
    name = getattr(function, "__qualname__", "function").replace("<locals>.", "")

    def place_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Place:
        given = [list(args), kwargs] if key is None else key(*args, **kwargs)
        return _Place(name, hash_of(name, shape_of(given)), ttl, shared)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        place = place_of(args, kwargs)
        known = _find_in_host(place) if _is_in_host(place) else _find_in_state(place)
        if known is not None:
            return known[0]
        value = function(*args, **kwargs)
        return _keep_in_host(place, value) if _is_in_host(place) else _keep_in_state(place, value)

    @functools.wraps(function)
    async def acall(*args: Any, **kwargs: Any) -> Any:
        place = place_of(args, kwargs)
        known = await _afind_in_host(place) if _is_in_host(place) else _find_in_state(place)
        if known is not None:
            return known[0]
        value = await function(*args, **kwargs)
        return await _akeep_in_host(place, value) if _is_in_host(place) else _keep_in_state(place, value)

    return acall if inspect.iscoroutinefunction(function) else call


cached = cast("Cached", _cached)


def _is_in_host(place: _Place) -> bool:
    """In a plain script there is no host: its results are in the state that the script has."""
    return place.shared and ambient.doors() is not None


def _find_in_host(place: _Place) -> tuple[Any] | None:
    doors = ambient.doors()
    assert doors is not None
    return _read(doors.call("cache.find", _question(place), place.function))


async def _afind_in_host(place: _Place) -> tuple[Any] | None:
    doors = ambient.doors()
    assert doors is not None
    return _read(await doors.acall("cache.find", _question(place), place.function))


def _keep_in_host(place: _Place, value: Any) -> Any:
    doors = ambient.doors()
    assert doors is not None
    doors.call("cache.keep", {**_question(place), "value": codec.write_value(value)}, place.function)
    return value


async def _akeep_in_host(place: _Place, value: Any) -> Any:
    doors = ambient.doors()
    assert doors is not None
    await doors.acall("cache.keep", {**_question(place), "value": codec.write_value(value)}, place.function)
    return value


def _question(place: _Place) -> dict[str, Any]:
    return {"function": place.function, "key": place.key, "ttl": place.ttl}


def _read(found: str | None) -> tuple[Any] | None:
    return None if found is None else (codec.read_value(found),)


def _find_in_state(place: _Place) -> tuple[Any] | None:
    known: dict[str, Any] | None = _results_of(place.function).get(place.key)
    if known is None or (place.ttl is not None and _now() - known["at"] > place.ttl):
        return None
    return (known["value"],)


def _keep_in_state(place: _Place, value: Any) -> Any:
    results = _results_of(place.function)
    results.pop(place.key, None)
    results[place.key] = {"value": value, "at": _now()}
    while len(results) > _MOST:
        del results[next(iter(results))]
    return value


def _results_of(name: str) -> dict[str, Any]:
    results: dict[str, Any] = ambient.session_state.setdefault(_KEY, {}).setdefault(name, {})
    return results


def _now() -> float:
    doors = ambient.doors()
    return time.time() if doors is None else doors.read_clock(time.time)
