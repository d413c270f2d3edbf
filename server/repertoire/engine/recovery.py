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
from .faults import server_deaths
from .runner import Runner

logger = logging.getLogger(__name__)

_SLACK: Final = 64
"""So many alarms that are no longer so are not worth clearing away."""
_LONGEST_S: Final = 3600.0
"""Clocks are set and laptops sleep: the time is looked at again at least this often."""


class Recovery:
    def __init__(
        self, runner: Runner, store: Store, tasks: anyio.abc.TaskGroup, env: Mapping[str, str], at_once: int, max_deaths: int
    ) -> None:  # fmt: skip
        """`at_once`: how many of the runs that are found may hold a worker at once; the others are for new work. `max_deaths`: of
        servers, after which a run that they held a worker for is given up."""
        self._runner = runner
        self._store = store
        self._tasks = tasks
        self._env = env
        self._places = anyio.CapacityLimiter(at_once)
        self._max_deaths = max_deaths
        self._alarms: dict[str, tuple[float, bool]] = {}
        """Of each parked run that goes on at a time of its own: when, and whether it sleeps; else it asks, and its question expires then."""
        self._queue: list[tuple[float, str]] = []
        """The same in the order of time, and what is no longer so: that is passed over."""
        self._changed = anyio.Event()
        runner.on_parked = self.parked

    @property
    def sleeping(self) -> int:
        """Runs that sleep while they are parked."""
        return sum(sleeps for _, sleeps in self._alarms.values())

    async def begin(self) -> None:
        """Take over what is unfinished; the runs themselves go on in tasks of their own."""
        found = await self._store.claim_unfinished()
        given_up = self._given_up(found)
        for run in given_up:
            await self._give_up(run)
        found = [run for run in found if run not in given_up]
        live = {run.id for run in found if not run.parked}
        for run in found:
            if run.wake_at is not None:
                self._set_alarm(run.id, run.wake_at, sleeps=not run.asks)
        goes_on = [run for run in found if not run.parked and run.parent not in live]
        if goes_on:
            logger.info("%d runs were left unfinished by an earlier server; they go on", len(goes_on))
        for run in _in_turn(goes_on):
            self._tasks.start_soon(self._go_on, run, name=f"recover {run.id}")
        self._tasks.start_soon(self._watch_clock, name="alarms")

    def parked(self, run: Run, wake_at: float | None) -> None:
        """A run has been parked, or has ended: only its last alarm counts."""
        self._alarms.pop(run.id, None)
        if wake_at is not None and not run.is_final:
            self._set_alarm(run.id, wake_at, sleeps=run.status == "working")
            self._changed.set()

    def _set_alarm(self, run_id: str, at: float, *, sleeps: bool) -> None:
        self._alarms[run_id] = at, sleeps
        if len(self._queue) > 2 * len(self._alarms) + _SLACK:
            self._queue = [(at, run_id) for run_id, (at, _) in self._alarms.items()]
            heapq.heapify(self._queue)
        else:
            heapq.heappush(self._queue, (at, run_id))

    def _given_up(self, found: Sequence[Unfinished]) -> list[Unfinished]:
        """Of runs above each other only the lowest: the others did nothing but wait for it, as far as anybody can know."""
        lost = {run.id for run in found if run.deaths > self._max_deaths}
        above = {run.id: run.parent for run in found}
        spared = set()
        for one in lost:
            parent = above[one]
            while parent is not None:
                spared.add(parent)
                parent = above.get(parent)
        return [run for run in found if run.id in lost - spared]

    async def _give_up(self, run: Unfinished) -> None:
        logger.error("%s: the server died %d times of it or beside it; it is given up", run.id, run.deaths)
        try:
            await self._runner.give_up(run.id, server_deaths(run.deaths))
        except RepertoireError:
            logger.exception("giving up %s", run.id)

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
            while self._queue and self._queue[0][0] <= time.time():
                at, run_id = heapq.heappop(self._queue)
                if self._alarms.get(run_id, (None,))[0] == at:
                    del self._alarms[run_id]
                    self._tasks.start_soon(self._resume, run_id, name=f"wake {run_id}")
            left = self._queue[0][0] - time.time() if self._queue else _LONGEST_S
            with anyio.move_on_after(min(max(left, 0), _LONGEST_S)):
                await self._changed.wait()

    async def _resume(self, run_id: str) -> None:
        if (live := self._runner.live(run_id)) is not None and not live.parking:
            return  # it hears by itself of what it waits for
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
