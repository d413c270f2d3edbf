"""CallHandle: a call of a session that is under way: `await` gives its value, `abort` ends it. Used by `session`, in async bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class CallHandle(Generic[T]):
    """The work has begun when the handle is made, so a handle that is not awaited is done all the same."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self.task: asyncio.Task[T] = asyncio.create_task(work)
        self.signal = asyncio.Event()
        """Set by `abort`."""
        self.reason: str | None = None

    def abort(self, reason: str | None = None) -> bool:
        """End the call: an `await` of it raises CancelledError. False: it has ended already."""
        if self.signal.is_set() or self.task.done():
            return False
        self.reason = reason
        self.signal.set()
        return self.task.cancel()

    def done(self) -> bool:
        return self.task.done()

    def __await__(self) -> Generator[Any, Any, T]:
        return self.task.__await__()

    def __repr__(self) -> str:
        return f"<call {'done' if self.task.done() else 'under way'}>"
