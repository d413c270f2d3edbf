"""Recovery: resumes the runs that an earlier owner of the home left unfinished, and parked runs when their time has come.

Used by the app, when the home is opened. Recovery decides which runs are resumed and in which order; the Runner resumes them.
"""

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
        self,
        runner: Runner,
        store: Store,
        tasks: anyio.abc.TaskGroup,
        env: Mapping[str, str],
        at_once: int,
        max_deaths: int,
        clock: Clock,
    ) -> None:
        """At most `at_once` of the unfinished runs hold a worker at once; the other workers are for new runs. A run is given up when
        more than `max_deaths` servers have died while it held a worker, and nothing was recorded in between."""
        self._runner = runner
        self._store = store
        self._tasks = tasks
        self._env = env
        self._at_once = anyio.CapacityLimiter(at_once)
        self._max_deaths = max_deaths
        self._alarms = Alarms(clock)
        self._changed = anyio.Event()
        runner.on_parked(self.set_alarm)

    @property
    def sleeping(self) -> int:
        """How many runs are parked and sleep."""
        return self._alarms.sleeping

    async def begin(self) -> None:
        """Take over the unfinished runs. Each is resumed in a task of its own."""
        found = await self._store.claim_unfinished()
        given_up = self._runs_to_give_up(found)
        for run in given_up:
            await self._give_up(run)
        found = [run for run in found if run not in given_up]
        live = {run.id for run in found if not run.parked}
        for run in found:
            if run.wake_at is not None:
                self._alarms.set(run.id, run.wake_at, sleeps=not run.asks)
        resumed = [run for run in found if not run.parked and run.parent not in live]
        if resumed:
            logger.info("%d runs were left unfinished by an earlier server; they go on", len(resumed))
        for run in _in_order(resumed):
            self._tasks.start_soon(self._recover, run, name=f"recover {run.id}")
        self._tasks.start_soon(self._watch_clock, name="alarms")

    def set_alarm(self, run: Run, wake_at: float | None) -> None:
        """The run has been parked, or has ended. Only its last alarm counts."""
        self._alarms.drop(run.id)
        if wake_at is not None and not run.is_final:
            self._alarms.set(run.id, wake_at, sleeps=run.status == "working")
            self._changed.set()

    def _runs_to_give_up(self, found: Sequence[Unfinished]) -> list[Unfinished]:
        """Runs for which too many servers died. Of a run and the runs above it, only the lowest: the others most likely only waited."""
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

    async def _recover(self, found: Unfinished) -> None:
        async with self._at_once:
            if await self._cancel_with_parent(found):
                return
            await self._resume(found.id)
            if (live := self._runner.live(found.id)) is not None:
                # a run that waits for a state must not keep the holder of that state from being resumed
                await _first_of(live.done, live.queued)

    async def _cancel_with_parent(self, found: Unfinished) -> bool:
        """Cancel the run if its parent has ended: the earlier server died before it could. False: the run has to be resumed."""
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
        if (live := self._runner.live(run_id)) is not None and not live.is_parking:
            return  # its task waits for the news by itself
        try:
            await self._runner.resume(run_id, env=self._env)
        except RepertoireError:
            logger.exception("going on with %s", run_id)


def _in_order(found: Sequence[Unfinished]) -> list[Unfinished]:
    """Newest first. Runs of one state go in the order in which they came, because the first of them holds the state's turn."""
    by_state: dict[str, list[Unfinished]] = {}
    for run in found:
        by_state.setdefault(run.state, []).append(run)
    return [by_state[run.state].pop() for run in found]


async def _first_of(*events: asyncio.Event) -> None:
    async with anyio.create_task_group() as tasks:

        async def wait(event: asyncio.Event) -> None:
            await event.wait()
            tasks.cancel_scope.cancel()

        for event in events:
            tasks.start_soon(wait, event)
