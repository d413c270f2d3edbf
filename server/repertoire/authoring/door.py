"""Door: a function that a body may call to reach the host. `door(...)` blocks, `door.aio(...)` is awaited. Used by `durable`.

The loader turns `await door(...)` into `await door.aio(...)`. If it could not see the `await`, `awaited_values` decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from sys import _getframe
from typing import ClassVar, Final, Generic, ParamSpec, TypeVar

from .awaited_values import in_a_loop, is_awaited, remember

P = ParamSpec("P")
T = TypeVar("T")

AIO: Final = "__aio__"
"""The builtin by which rewritten code calls the awaited form of a door."""


class Door(Generic[P, T]):
    """A pair of functions with the same arguments: `blocking` returns the value, `awaited` an awaitable."""

    is_door: ClassVar[bool] = True

    def __init__(self, blocking: Callable[P, T], awaited: Callable[P, Awaitable[T]]) -> None:
        self._blocking = blocking
        self.aio = awaited
        self.__name__ = getattr(blocking, "__name__", "door")
        self.__doc__ = blocking.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        if not in_a_loop():
            return self._blocking(*args, **kwargs)
        if is_awaited(_getframe(1)):
            return self.aio(*args, **kwargs)  # type: ignore[return-value]  # its `await` gives a T
        return remember(self._blocking(*args, **kwargs))  # type: ignore[no-any-return]  # the same value

    def __repr__(self) -> str:
        return f"<{self.__name__}>"
