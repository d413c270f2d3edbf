"""Idle: the pooled workers between two runs; used by WorkerPool.

After its answer a worker puts back what its run has changed, and says whether anything else was changed (`worker/surroundings`). Until
then it is on its way back; nobody waits for that as long as another one is free. A worker in which something was changed is ended, and
another is forked in its place before a run asks for it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import anyio
import anyio.abc

from ..wire import Settled
from .worker_channel import ProtocolViolation, WorkerChannel

if TYPE_CHECKING:
    from .pool import Worker

logger = logging.getLogger(__name__)

_SETTLE_S: Final = 5.0
"""How long a worker may take to put things back; threads that a run has left behind can slow it down."""
_ON_THEIR_WAY: Final = 2
"""So many may be on their way back before a run waits for the first of them instead of having a new one forked."""


class Idle:
    """`replace` is awaited after a worker was ended, and may put a new one here."""

    def __init__(self, tasks: anyio.abc.TaskGroup, replace: Callable[[], Awaitable[None]]) -> None:
        self._tasks = tasks
        self._replace = replace
        self._free: list[Worker] = []
        self.coming: set[Worker] = set()
        """Those that have answered and are not free yet."""
        self._changed = anyio.Event()

    def __len__(self) -> int:
        return len(self._free)

    def put(self, worker: Worker) -> None:
        """It has run nothing since it was started or has settled."""
        self._free.append(worker)
        self._announce()

    def give_back(self, worker: Worker) -> None:
        """It has answered, and will say whether it is as it was."""
        self.coming.add(worker)
        self._tasks.start_soon(self._settle, worker)

    async def take(self) -> Worker | None:
        """One that is free, perhaps after a moment; None: start one."""
        while True:
            while self._free:
                worker = self._free.pop()
                if not worker.channel.closed:
                    return worker
                await worker.end()
            if len(self.coming) < _ON_THEIR_WAY:
                return None
            await self.changed()

    async def changed(self) -> None:
        """Until another one is free, or one is gone."""
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
        settled = await _settled(worker.channel)
        if worker not in self.coming:  # the pool has been closed, and has ended it
            return
        self.coming.discard(worker)
        if settled is not None and settled.changed is None:
            self.put(worker)
            return
        logger.debug("worker %s is replaced: %s", worker.pid, "it is gone" if settled is None else settled.changed)
        self._announce()
        with anyio.CancelScope(shield=True):
            await worker.end()
        await self._replace()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


async def _settled(channel: WorkerChannel) -> Settled | None:
    """What it says of itself; None when it does not."""
    with anyio.move_on_after(_SETTLE_S):
        try:
            while (frame := await channel.receive()) is not None:
                if isinstance(frame, Settled):  # else it is of a thread that the body has left behind
                    return frame
        except ProtocolViolation:
            logger.exception("a worker after its answer")
    return None
