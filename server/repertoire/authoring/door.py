"""A callable that leaves the body: `door(...)` blocks, `door.aio(...)` is awaited. The loader turns `await door(...)` into the latter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Door(Generic[P, T]):
    """`blocking` and `awaited` take the same arguments."""

    is_door: ClassVar[bool] = True

    def __init__(self, blocking: Callable[P, T], awaited: Callable[P, Awaitable[T]]) -> None:
        self._blocking = blocking
        self.aio = awaited
        self.__name__ = getattr(blocking, "__name__", "door")
        self.__doc__ = blocking.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._blocking(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.__name__}>"
