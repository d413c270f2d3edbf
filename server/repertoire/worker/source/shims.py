"""Shims: makes the builtins of workflow files; used by `loader` and by children that can import the workflow.

In them `import` of `time`, `random` and `uuid` gives the run's own modules, and the helpers of `transform` are defined. The loader puts
them as `__builtins__` into the globals of the workflow's module and of its bundled modules. Only code executed in those globals sees
them: libraries import the real modules and see the real time.
"""

from __future__ import annotations

import builtins
import random as _random
import time as _time
import uuid as _uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import CO_COROUTINE
from types import FunctionType, ModuleType
from typing import Any, Final, TypeVar

from ...authoring.awaited_values import awaitable, call_awaited
from ...authoring.door import AIO
from ..replay import seeded_random
from ..replay.run_clock import RunClock
from . import transform

_T = TypeVar("_T")

_MAKERS: Final[dict[str, tuple[ModuleType, Callable[[RunClock], Mapping[str, Any]]]]] = {
    "time": (_time, RunClock.functions),
    "random": (_random, lambda clock: seeded_random.random_names(clock.seed)),
    "uuid": (_uuid, lambda clock: seeded_random.uuid_names(clock.seed, clock.time)),
}


def builtins_for(clock: RunClock | None) -> dict[str, Any]:
    """One dict per run, shared by all its modules. Without a clock (the module is only inspected), time and random are real.

    It copies `builtins` anew for each run, so that workflow files also see names that a library has added there.
    """
    names = {
        **vars(builtins),
        AIO: aio,
        transform.AWAITABLE: awaitable,
        transform.DECORATOR: decorator,
        transform.CLOCK_ATTR: _unchanged if clock is None else clock.attribute,
    }
    if clock is not None:
        names["__import__"] = _import_for(clock)
    return names


def aio(function: Any) -> Any:
    """A door's form for `await`. Any other function is wrapped: if it returns a door's value, the door then knows that it is awaited."""
    kind = type(function)
    if kind is FunctionType:
        return function if function.__code__.co_flags & CO_COROUTINE else partial(call_awaited, function)
    if getattr(kind, "is_door", False) is True:
        return function.aio
    return partial(call_awaited, function) if callable(function) else function


def decorator(function: Any) -> Any:
    """A door's form for `@`, if it has one. Any other function is returned unchanged."""
    if getattr(type(function), "is_door", False) is True:
        return getattr(function, "decorator", function)
    return function


def _unchanged(value: _T) -> _T:
    return value


def _import_for(clock: RunClock) -> Callable[..., Any]:
    real = builtins.__import__
    modules: dict[str, ModuleType] = {}

    def __import__(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if level == 0 and name in _MAKERS:
            return modules.get(name) or modules.setdefault(
                name, _make_module(name, clock)
            )  # two threads must get one module
        return real(name, globals, locals, fromlist, level)

    return __import__


def _make_module(name: str, clock: RunClock) -> ModuleType:
    real, maker = _MAKERS[name]
    module = ModuleType(name)
    vars(module).update(vars(real))
    vars(module).update(maker(clock))
    return module
