"""What a new owner of the home finds unfinished goes on; parked runs go on when their time has come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

import anyio
import anyio.abc

from ..errors import RepertoireError
from ..model.run import Run
from ..store import Store
from ..store.journal import Unfinished
from .run_faults import server_deaths
from .runner import Runner
from .wall_clock import Alarms, Clock

logger = logging.getLogger(__name__)


class Recovery:
    def __init__(
        self, runner: Runner, store: Store, tasks: anyio.abc.TaskGroup, env: Mapping[str, str], at_once: int, max_deaths: int,
        clock: Clock,
    ) -> None:  # fmt: skip
        """`at_once`: how many of the runs that are found may hold a worker at once; the others are for new work. `max_deaths`: of
        servers, after which a run that they held a worker for is given up."""
        self._runner = runner
        self._store = store
        self._tasks = tasks
        self._env = env
        self._places = anyio.CapacityLimiter(at_once)
        self._max_deaths = max_deaths
        self._alarms = Alarms(clock)
        self._changed = anyio.Event()
        runner.on_parked = self.parked

    @property
    def sleeping(self) -> int:
        """Runs that sleep while they are parked."""
        return self._alarms.sleeping

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
                self._alarms.set(run.id, run.wake_at, sleeps=not run.asks)
        goes_on = [run for run in found if not run.parked and run.parent not in live]
        if goes_on:
            logger.info("%d runs were left unfinished by an earlier server; they go on", len(goes_on))
        for run in _in_turn(goes_on):
            self._tasks.start_soon(self._go_on, run, name=f"recover {run.id}")
        self._tasks.start_soon(self._watch_clock, name="alarms")

    def parked(self, run: Run, wake_at: float | None) -> None:
        """A run has been parked, or has ended: only its last alarm counts."""
        self._alarms.drop(run.id)
        if wake_at is not None and not run.is_final:
            self._alarms.set(run.id, wake_at, sleeps=run.status == "working")
            self._changed.set()

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
            if await self._is_left_over(found):
                return
            await self._resume(found.id)
            if (live := self._runner.live(found.id)) is not None:
                await _either(
                    live.done, live.queued
                )  # who waits for a state's place must not keep its holder from going on

    async def _is_left_over(self, found: Unfinished) -> bool:
        """Whether it was to be cancelled with its parent, which has ended; it is cancelled now."""
        try:
            parent = None if found.parent is None else await self._store.run(found.parent, patient=True)
            if parent is None or not parent.is_final:
                return False
            await self._runner.cancel(found.id)
        except RepertoireError:
            logger.exception("cancelling %s with its parent", found.id)
        return True

    async def _watch_clock(self) -> None:
        while True:
            self._changed = anyio.Event()
            for run_id in self._alarms.due():
                self._tasks.start_soon(self._resume, run_id, name=f"wake {run_id}")
            with anyio.move_on_after(self._alarms.look_s()):
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
