"""Whether a door's value is awaited: decided where the door is called; used by Door, step and the loader's helpers.

A door called in sync code blocks and gives a plain value. A door under `await` must give something to await instead, so that calls
under `gather` overlap. Python tells a function nothing of that, so it is found in this order:

1. The loader has marked the call (worker/source/awaited.py): `await f(x)`, and calls that reach gather, create_task and the like. A door is
   then called in its awaited form; any other function through `call_awaited`.
2. Where a loop runs in this thread, the bytecode of the callers says what they do with the value (`is_awaited`): a lambda, a helper
   or a `partial` that returns it to an `await`, in a workflow file or in a library, awaits it. So does `call_awaited`.
3. Otherwise the door blocks, as an unawaited call in an async body always did, and its value is remembered. Awaiting that very value
   later gives it (`awaitable`), in workflow files and in asyncio's own functions. Such calls are made one after the other.

Values are never wrapped: whoever does not await sees plain Python values.
"""

from __future__ import annotations

import dis
import sys
from collections import OrderedDict
from collections.abc import Callable, Generator
from functools import lru_cache
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from types import CodeType, FrameType
from typing import Any, Final

_MOST: Final = 1_000
"""Values remembered; a body that holds more of them unawaited keeps the newest."""
_GIVES_SOMETHING_ELSE: Final = CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR
"""A `return` in these is not what their caller gets from the call."""

_given: OrderedDict[int, Any] = OrderedDict()


class _Ready:
    """Something to await that has its value already."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[None, None, Any]:
        return self._value
        yield


def begin() -> None:
    """A new run: what another one was given is not its own."""
    _given.clear()


def in_a_loop() -> bool:
    """Whether an event loop runs in this thread."""
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None


def is_awaited(frame: FrameType | None) -> bool:
    """Whether the value of the call that this frame is at will be awaited."""
    while frame is not None:
        if frame.f_code is call_awaited.__code__:
            return True
        use = _uses(frame.f_code).get(frame.f_lasti)
        if use != "RETURN_VALUE":
            return use == "GET_AWAITABLE"
        if frame.f_code.co_flags & _GIVES_SOMETHING_ELSE:
            return False
        frame = frame.f_back
    return False


def call_awaited(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """What it gives, to be awaited; `is_awaited` knows this frame."""
    value = function(*args, **kwargs)
    return _Ready(value) if _given and is_given(value) else value


def blocked(value: Any) -> Any:
    """The value of a door that blocked where a loop runs."""
    _given[id(value)] = value
    if len(_given) > _MOST:
        _given.popitem(last=False)
    return value


def awaitable(value: Any) -> Any:
    """Something to await for a value that a door gave; anything else as it is."""
    return _Ready(value) if _given and is_given(value) else value


def is_given(value: Any) -> bool:
    return id(value) in _given


def coroutine_of(value: Any) -> Any:
    """A coroutine for a value that a door gave; anything else as it is."""
    return _wait_for(value) if type(value) is _Ready or (_given and is_given(value)) else value


async def _wait_for(value: Any) -> Any:
    return await value if type(value) is _Ready else value


@lru_cache(maxsize=1024)
def _uses(code: CodeType) -> dict[int, str]:
    """For each call in this code: what is done next with its value. Meanwhile its frame is anywhere in the call's inline caches."""
    uses: dict[int, str] = {}
    call = -1
    for one in dis.get_instructions(code):
        if call >= 0:
            uses.update(dict.fromkeys(range(call, one.offset), one.opname))
        call = one.offset if one.opname.startswith("CALL") else -1
    return uses
