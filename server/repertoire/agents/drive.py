"""Drive: runs an agent's coroutine for a sync caller or an async one, and hands over its items as they come. Used by `agent`.

A sync caller drives a loop of its own (`OwnLoop`), which stands still between two items. The agent's sync tools are called by the caller
itself, outside of that loop: they are in the caller's thread, and may use `asyncio.run`. An async caller's sync tools are in threads, so
that its loop goes on. The coroutine is always one task from beginning to end, because pydantic-ai's scopes belong to a task.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, Final, Protocol, TypeVar

from ..classes.own_loop import OwnLoop

T = TypeVar("T")


class Outlet(Protocol):
    """The way from the agent's coroutine to its caller."""

    def put(self, item: Any) -> None:
        """Hand over an item of a stream."""

    async def call(self, work: Callable[[], T]) -> T:
        """Call a sync function where it does not block the coroutine's loop for others."""


Produce = Callable[[Outlet], Coroutine[Any, Any, Any]]

_END: Final = object()


class AsyncOutlet:
    """Implements Outlet for an async caller. `put` passes the items on."""

    def __init__(self, put: Callable[[Any], None]) -> None:
        self.put = put

    async def call(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)


class _Work:
    """A function that the sync caller is asked to call."""

    def __init__(self, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self._work = work
        self._future = future

    def perform(self) -> None:
        """Call it. The loop stands still meanwhile, so its future can be set from here."""
        try:
            value = self._work()
        except StopIteration as error:  # a future cannot hold it
            self._end(RuntimeError(f"the tool raised StopIteration: {error}"))
        except Exception as error:  # the tool's own: its waiter gets it
            self._end(error)
        else:
            if not self._future.done():
                self._future.set_result(value)

    def _end(self, error: Exception) -> None:
        if not self._future.done():
            self._future.set_exception(error)


class _SyncOutlet:
    """Implements Outlet for a sync caller."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._woken: asyncio.Future[None] | None = None

    def put(self, item: Any) -> None:
        self._items.append(item)
        self.wake()

    async def call(self, work: Callable[[], T]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.put(_Work(work, future))
        return await future

    def wake(self, *_: Any) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def next(self, loop: OwnLoop, task: asyncio.Task[Any]) -> Any:
        """The next item; _END when the task is done. The loop runs until then."""

        def until(running: asyncio.AbstractEventLoop) -> asyncio.Future[None] | None:
            if self._items or task.done():
                return None
            self._woken = running.create_future()
            return self._woken

        loop.turn(until)
        return self._items.popleft() if self._items else _END


def drive(produce: Produce) -> Generator[Any, None, Any]:
    """Run the coroutine for a sync caller. Yields its items, and returns its value. Closing the generator cancels it."""
    outlet = _SyncOutlet()
    with OwnLoop() as loop:
        task: asyncio.Task[Any] = loop.start(lambda: produce(outlet))
        task.add_done_callback(outlet.wake)
        try:
            while (item := outlet.next(loop, task)) is not _END:
                if isinstance(item, _Work):
                    item.perform()
                else:
                    yield item
        finally:
            if not task.done():
                task.cancel()
                loop.run(lambda: asyncio.wait([task]))
        return task.result()


def drive_to_end(produce: Produce) -> Any:
    """Run the coroutine for a sync caller that wants its value only."""
    items = drive(produce)
    try:
        while True:
            next(items)
    except StopIteration as end:
        return end.value


async def adrive(produce: Produce) -> AsyncGenerator[Any, None]:
    """Run the coroutine for an async caller, and yield its items. Closing the generator cancels it."""
    items: asyncio.Queue[Any] = asyncio.Queue()
    task = asyncio.create_task(produce(AsyncOutlet(items.put_nowait)))
    task.add_done_callback(lambda _: items.put_nowait(_END))
    try:
        while (item := await items.get()) is not _END:
            yield item
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


async def adrive_to_end(produce: Produce) -> Any:
    """Run the coroutine for an async caller that wants its value only."""
    return await produce(AsyncOutlet(lambda _: None))
