"""Steps: `step` calls a function of the workflow and records its result, so that a replay does not call it again.

`Step` is the API, `Decorated` a function under `@step`. Used by workflow files and `context`. The recording itself is the worker's, behind
`Doors.step`; a plain script records nothing.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Awaitable, Callable
from types import FrameType, MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, cast

from . import ambient
from .awaited_values import in_a_loop, is_awaited, is_decorating, remember
from .step_identity import StepIdentity, identity
from .time_limit import within

if TYPE_CHECKING:
    from .door_types import Step as DoorTypes

_LONGEST_WAIT_S: Final = 10.0
"""The longest pause between attempts: a worker should not idle longer. Pauses begin with stamina's 0.1 s and double."""


class _Work(NamedTuple):
    """One step: the function, its arguments, the number of retries and the time limit of each attempt."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    retries: int
    timeout: float | None
    is_method: bool = False
    """The function is a decorated method, bound to its object."""

    @property
    def identity(self) -> StepIdentity:
        return identity(self.function, self.args, self.kwargs, is_method=self.is_method)

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    def run(self) -> Any:
        if not self.retries:
            return self._once()
        import stamina

        for attempt in stamina.retry_context(on=Exception, **self._retry_options()):
            with attempt:
                return self._once()
        raise AssertionError("stamina raises after the last attempt")

    async def arun(self) -> Any:
        if not self.retries:
            return await self._aonce()
        import stamina

        async for attempt in stamina.retry_context(on=Exception, **self._retry_options()):
            with attempt:
                return await self._aonce()
        raise AssertionError("stamina raises after the last attempt")

    def _retry_options(self) -> dict[str, Any]:
        return {"attempts": self.retries + 1, "timeout": None, "wait_max": _LONGEST_WAIT_S}

    def _once(self) -> Any:
        if self.timeout is None:
            return _resolve(self.function(*self.args, **self.kwargs))
        return within(self.timeout, lambda: _resolve(self.function(*self.args, **self.kwargs)))

    async def _aonce(self) -> Any:
        async with asyncio.timeout(self.timeout):
            value = self.function(*self.args, **self.kwargs)
            return await value if inspect.isawaitable(value) else value


class Step:
    """`step(fn, *args, retries=0, timeout=None, **kwargs)`, `await step(async_fn, ...)`, `@step` and `@step(retries=3)`.

    The result must be a value that a session's state can hold. An exception is recorded too, after the last attempt, and raised again
    on replay. `timeout` limits each attempt, in seconds. In a plain script nothing is recorded.
    """

    is_door: ClassVar[bool] = True
    __name__ = "step"

    def __call__(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *args: Any,
        retries: int = 0,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Any:
        caller = sys._getframe(1)
        if function is None or (not args and not kwargs and is_decorating(caller)):
            return self.decorator(function, retries=retries, timeout=timeout)
        return _do(_Work(_check_callable(function), args, kwargs, retries, timeout), caller)

    def aio(
        self, function: Callable[..., Any], /, *args: Any, retries: int = 0, timeout: float | None = None, **kwargs: Any
    ) -> Awaitable[Any]:
        return _do_async(_Work(_check_callable(function), args, kwargs, retries, timeout))

    def decorator(
        self, function: Callable[..., Any] | None = None, /, *, retries: int = 0, timeout: float | None = None
    ) -> Any:
        if function is None:
            return functools.partial(self.decorator, retries=retries, timeout=timeout)
        return Decorated(_check_callable(function), retries, timeout)

    @property
    def key(self) -> str:
        """The current step's key, the same at each attempt and replay: use it as an idempotency key. "" outside a step."""
        doors = ambient.doors()
        return "" if doors is None else doors.step_key()

    def __repr__(self) -> str:
        return "<step>"


class Decorated:
    """A function under `@step`: each call is a step."""

    is_door: ClassVar[bool] = True

    def __init__(
        self, function: Callable[..., Any], retries: int, timeout: float | None, *, is_method: bool = False
    ) -> None:
        self._is_method = is_method
        functools.update_wrapper(self, function)
        self._function = function
        self._retries = retries
        self._timeout = timeout

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _do(self._work(args, kwargs), sys._getframe(1))

    def aio(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        return _do_async(self._work(args, kwargs))

    def _work(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Work:
        return _Work(self._function, args, kwargs, self._retries, self._timeout, self._is_method)

    def __reduce__(self) -> str:
        """Pickle by name, like any function. So it can be sent to another process; a call there raises a clear error."""
        return str(vars(self)["__qualname__"])

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return Decorated(MethodType(self._function, instance), self._retries, self._timeout, is_method=True)


step: Final = cast("DoorTypes", Step())


def _do(work: _Work, caller: FrameType) -> Any:
    """The step's value. In an async body an awaitable, if the call is awaited or the function is async."""
    if not in_a_loop():
        return asyncio.run(_wait_for(_do_async(work))) if work.is_async else _do_blocking(work)
    if work.is_async or is_awaited(caller):
        return _do_async(work)
    return remember(_do_blocking(work))


def _do_blocking(work: _Work) -> Any:
    doors = ambient.doors()
    return work.run() if doors is None else doors.step(work.identity, work.run)


def _do_async(work: _Work) -> Awaitable[Any]:
    doors = ambient.doors()
    return work.arun() if doors is None else doors.astep(work.identity, work.arun)


def _check_callable(function: Any) -> Callable[..., Any]:
    if not callable(function):
        hint = "step(function, argument, ...): give the function itself, not its result"
        raise TypeError(f"step: {type(function).__name__} is not a function. {hint}")
    return function  # type: ignore[no-any-return]  # checked above


def _resolve(value: Any) -> Any:
    """Run an awaitable to its value outside a loop: a lambda may return a coroutine that sync code cannot await."""
    return asyncio.run(_wait_for(value)) if inspect.isawaitable(value) and not in_a_loop() else value


async def _wait_for(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
