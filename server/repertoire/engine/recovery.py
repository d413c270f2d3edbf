"""What a new owner of the home finds unfinished goes on; parked runs go on when their time has come."""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final

import anyio
import anyio.abc

from ..errors import RepertoireError
from ..model.run import Run
from ..store import Store
from ..store.journal import Unfinished
from .runner import Runner

logger = logging.getLogger(__name__)

_LONGEST_S: Final = 3600.0
"""Clocks are set and laptops sleep: the time is looked at again at least this often."""


class Recovery:
    def __init__(
        self, runner: Runner, store: Store, tasks: anyio.abc.TaskGroup, env: Mapping[str, str], at_once: int
    ) -> None:
        """`at_once`: how many of the runs that are found may hold a worker at once; the others are for new work."""
        self._runner = runner
        self._store = store
        self._tasks = tasks
        self._env = env
        self._places = anyio.CapacityLimiter(at_once)
        self._alarms: list[tuple[float, str, bool]] = []
        """When, which run, and whether it sleeps; else it asks, and its question expires then."""
        self._changed = anyio.Event()
        runner.on_parked = self.parked

    @property
    def sleeping(self) -> int:
        """Runs that go on at a time of their own. (One that was answered or cancelled before is counted until then.)"""
        return sum(sleeps for _, _, sleeps in self._alarms)

    async def begin(self) -> None:
        """Take over what is unfinished; the runs themselves go on in tasks of their own."""
        found = await self._store.claim_unfinished()
        live = {run.id for run in found if not run.parked}
        self._alarms = [(run.wake_at, run.id, not run.asks) for run in found if run.wake_at is not None]
        heapq.heapify(self._alarms)
        goes_on = [run for run in found if not run.parked and run.parent not in live]
        if goes_on:
            logger.info("%d runs were left unfinished by an earlier server; they go on", len(goes_on))
        for run in _in_turn(goes_on):
            self._tasks.start_soon(self._go_on, run, name=f"recover {run.id}")
        self._tasks.start_soon(self._watch_clock, name="alarms")

    def parked(self, run: Run, wake_at: float | None) -> None:
        if wake_at is not None and not run.is_final:
            heapq.heappush(self._alarms, (wake_at, run.id, run.status == "working"))
            self._changed.set()

    async def _go_on(self, found: Unfinished) -> None:
        async with self._places:
            if (
                found.parent is not None
                and (parent := await self._store.run(found.parent)) is not None
                and parent.is_final
            ):
                await self._runner.cancel(found.id)  # it was to be cancelled with its parent
                return
            await self._resume(found.id)
            if (live := self._runner.live(found.id)) is not None:
                await _either(
                    live.done, live.queued
                )  # who waits for a state's place must not keep its holder from going on

    async def _watch_clock(self) -> None:
        while True:
            self._changed = anyio.Event()
            while self._alarms and self._alarms[0][0] <= time.time():
                _, run_id, _ = heapq.heappop(self._alarms)
                self._tasks.start_soon(self._resume, run_id, name=f"wake {run_id}")
            left = self._alarms[0][0] - time.time() if self._alarms else _LONGEST_S
            with anyio.move_on_after(min(max(left, 0), _LONGEST_S)):
                await self._changed.wait()

    async def _resume(self, run_id: str) -> None:
        try:
            await self._runner.resume(run_id, env=self._env)
        except RepertoireError:
            logger.exception("going on with %s", run_id)


def _in_turn(found: Sequence[Unfinished]) -> list[Unfinished]:
    """Newest first, but those of one state in the order in which they came: the first of them holds its place."""
    alike: dict[str, list[Unfinished]] = {}
    for run in found:
        alike.setdefault(run.state, []).append(run)
    return [alike[run.state].pop() for run in found]


async def _either(*events: asyncio.Event) -> None:
    async with anyio.create_task_group() as tasks:

        async def wait(event: asyncio.Event) -> None:
            await event.wait()
            tasks.cancel_scope.cancel()

        for event in events:
            tasks.start_soon(wait, event)
