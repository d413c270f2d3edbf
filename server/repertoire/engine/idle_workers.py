"""IdleWorkers: the pooled workers between two runs; used by WorkerPool.

After its answer a worker restores things that scripts change as a matter of course, and says whether anything else was changed
(`worker/surroundings`). Until then it is *coming*. A run waits for a coming worker only if no other is free. A worker in which
something was changed is killed, and another one is forked in its place before a run asks for it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import anyio
import anyio.abc

from ..wire import Settled
from .worker_channel import WorkerChannel

if TYPE_CHECKING:
    from .pool import Worker

logger = logging.getLogger(__name__)

_SETTLE_S: Final = 5.0
"""How long a worker may take to restore things. Threads that a run has left behind can slow it down."""
_MAX_COMING: Final = 2
"""From so many coming workers on, a run waits for the first of them. With fewer, a new worker is forked for it."""


class IdleWorkers:
    """`refill` is awaited after a worker was killed, and may put a new one here."""

    def __init__(self, tasks: anyio.abc.TaskGroup, refill: Callable[[], Awaitable[None]]) -> None:
        self._tasks = tasks
        self._refill = refill
        self._free: list[Worker] = []
        self.coming: set[Worker] = set()
        """Workers that have answered and are not free yet."""
        self._changed = anyio.Event()

    def __len__(self) -> int:
        return len(self._free)

    def put(self, worker: Worker) -> None:
        """Add a free worker: it has run nothing since it was started or has settled."""
        self._free.append(worker)
        self._announce()

    def give_back(self, worker: Worker) -> None:
        """The worker has answered, and will say whether its run has changed anything."""
        self.coming.add(worker)
        self._tasks.start_soon(self._settle, worker)

    async def take(self) -> Worker | None:
        """A free worker, perhaps after a moment. None: start one."""
        while True:
            while self._free:
                worker = self._free.pop()
                if not worker.channel.closed:
                    return worker
                await worker.end()
            if len(self.coming) < _MAX_COMING:
                return None
            await self.wait_for_change()

    async def wait_for_change(self) -> None:
        """Wait until another worker is free, or one is gone."""
        await self._changed.wait()

    async def end_all(self) -> None:
        ended, self._free = [*self._free, *self.coming], []
        self.coming.clear()
        for worker in ended:
            await worker.end()

    async def end_free(self) -> None:
        free, self._free = self._free, []
        for worker in free:
            await worker.end()

    async def _settle(self, worker: Worker) -> None:
        settled = await _receive_settled(worker.channel)
        if worker not in self.coming:  # the pool was closed and has killed it
            return
        self.coming.discard(worker)
        if settled is not None and settled.changed is None:
            self.put(worker)
            return
        logger.debug("worker %s is replaced: %s", worker.pid, "it is gone" if settled is None else settled.changed)
        self._announce()
        with anyio.CancelScope(shield=True):
            await worker.end()
        await self._refill()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


async def _receive_settled(channel: WorkerChannel) -> Settled | None:
    """None: the worker says nothing in time, or is gone."""
    with anyio.move_on_after(_SETTLE_S):
        while (frame := await channel.receive()) is not None:
            if isinstance(frame, Settled):
                return frame
    return None
