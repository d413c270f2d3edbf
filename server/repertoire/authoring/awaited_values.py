"""Awaited values: decides at the call of a door if its value will be awaited. Used by `Door`, `step` and the loader's helpers.

Theory of operation. A door in sync code blocks and returns a plain value. A door under `await` must return an awaitable instead, so that
calls under `gather` overlap. Python does not tell a function if its value is awaited. So we find out in this order:

1. The loader has marked the call (worker/source/awaited.py): `await f(x)`, and calls that reach gather, create_task and the like.
   The marked code calls a door in its awaited form, and any other function through `call_awaited`.
2. If a loop runs in this thread, the callers' bytecode tells what they do with the value (`is_awaited`). A lambda, a helper or a
   `partial` may return it to an `await`, in a workflow file or in a library: then it is awaited. The same holds under `call_awaited`.
3. Otherwise the door blocks, as an unawaited call in an async body always did, and its value is remembered. A later `await` of the
   same value gives the value (`awaitable`), in workflow files and in asyncio's own functions. Such calls run one after the other.

Values are never wrapped, so code without `await` sees plain Python values.
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
"""The number of remembered values; beyond it the oldest are forgotten."""
_RETURNS_SOMETHING_ELSE: Final = CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR
"""Kinds of functions whose caller does not get the value of their `return` from the call."""

_remembered: OrderedDict[int, Any] = OrderedDict()
"""Values of doors that blocked where a loop runs, by id. The value itself is kept, so that no other object gets its id."""


class Ready:
    """An awaitable that already has its value."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[None, None, Any]:
        return self._value
        yield


def begin() -> None:
    """Forget the values of the run before."""
    _remembered.clear()


def in_a_loop() -> bool:
    """True if an event loop runs in this thread."""
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None


def is_awaited(frame: FrameType | None) -> bool:
    """True if the value of the call that this frame executes will be awaited."""
    while frame is not None:
        if frame.f_code is call_awaited.__code__:
            return True
        use = _uses(frame.f_code).get(frame.f_lasti)
        if use != "RETURN_VALUE":
            return use == "GET_AWAITABLE"
        if frame.f_code.co_flags & _RETURNS_SOMETHING_ELSE:
            return False
        frame = frame.f_back
    return False


def is_decorating(frame: FrameType) -> bool:
    """True if the call that this frame executes applies a decorator: `@step` over a function."""
    return frame.f_lasti in _decorations(frame.f_code)


def call_awaited(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function whose value is awaited. `is_awaited` recognizes this frame."""
    value = function(*args, **kwargs)
    return Ready(value) if _remembered and is_remembered(value) else value


def remember(value: Any) -> Any:
    """Remember and return the value of a door that blocked where a loop runs."""
    _remembered[id(value)] = value
    if len(_remembered) > _MOST:
        _remembered.popitem(last=False)
    return value


def awaitable(value: Any) -> Any:
    """An awaitable for a remembered value; any other value itself."""
    return Ready(value) if _remembered and is_remembered(value) else value


def is_remembered(value: Any) -> bool:
    return id(value) in _remembered


def coroutine_of(value: Any) -> Any:
    """A coroutine for a remembered value or its awaitable; any other value itself."""
    return _wait_for(value) if type(value) is Ready or (_remembered and is_remembered(value)) else value


async def _wait_for(value: Any) -> Any:
    return await value if type(value) is Ready else value


@lru_cache(maxsize=1024)
def _decorations(code: CodeType) -> frozenset[int]:
    """Offsets of calls that apply a decorator. Python calls it with the function in the place of the object, as `CALL 0`.

    A call without any argument has the same form, so this says nothing about those.
    """
    offsets: set[int] = set()
    call: dis.Instruction | None = None
    for one in dis.get_instructions(code):
        if call is not None:
            offsets.update(range(call.offset, one.offset))
        call = one if one.opname == "CALL" and one.arg == 0 else None
    return frozenset(offsets)


@lru_cache(maxsize=1024)
def _uses(code: CodeType) -> dict[int, str]:
    """For each call in this code, the instruction that uses its value, by offset.

    During a call, `f_lasti` may point at any of the call's inline caches, so each of these offsets has an entry.
    """
    uses: dict[int, str] = {}
    call = -1
    for one in dis.get_instructions(code):
        if call >= 0:
            uses.update(dict.fromkeys(range(call, one.offset), one.opname))
        call = one.offset if one.opname.startswith("CALL") else -1
    return uses
