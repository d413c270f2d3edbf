"""Attempts: runs a body in one worker after another, until it ends or is parked, or workers have died too often; used by Runner.

A worker that dies is no failure of the run: the next one begins the body again and answers it from the journal. The limits:

1. A worker that died with its zygote does not count, up to `_MAX_ZYGOTE_DEATHS`: the zygote's death is the cause.
2. Other deaths count from the last record on. So a run that records something between two deaths may go on for ever.
3. More than `max_deaths` deaths without a record in between end the run: the body itself may be the cause.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

import anyio.abc

from ..limits import Limits
from ..store import Store
from ..store.journal import ResumePoint
from ..store.state_turns import StateTurn
from .attempt import Attempt, Death
from .doors import Door
from .interpreted import Interpreted
from .live_run import Live, Outcome, Parking
from .pool import WorkerPool
from .sandboxed_zygote import Kind
from .state_turns import Turns

logger = logging.getLogger(__name__)

_MAX_ZYGOTE_DEATHS: Final = 10
A_WORKER: Final = "a worker: as many runs as the `workers` setting allows are going on"
"""The reason why a run waits, for people."""

Withdraw = Callable[[str, str], Coroutine[Any, Any, None]]
"""Called with a run's id and the path of a call that its body has cancelled."""


class Attempts:
    def __init__(
        self,
        store: Store,
        pool: WorkerPool,
        limits: Limits,
        tasks: anyio.abc.TaskGroup,
        turns: Turns,
        doors: Mapping[str, Door],
        withdraw: Withdraw,
        interpreted: Interpreted,
    ) -> None:
        self._store = store
        self._pool = pool
        self._limits = limits
        self._tasks = tasks
        self._turns = turns
        self._doors = doors
        self._withdraw = withdraw
        self._interpreted = interpreted

    async def perform(self, live: Live, turn: StateTurn | None) -> Outcome | Parking:
        """`turn` is that of the session's state: held by this run, or by another one that this run has to wait for."""
        if live.is_resumed:
            turn = await self._regain_turn(live)
        if live.was_interrupted:
            await self._note_resumed(live, "the server had ended while the body went on")
        while turn is not None and turn.held_by is not None:
            turn = await self._turns.wait(live, turn.held_by)
            live.announce(waiting_for=None if self._pool.has_room else A_WORKER)
        deaths = zygote_deaths = 0
        while True:
            point = await self._store.resume_point(live.run) if live.begun_again else ResumePoint()
            end = await self._attempt(live, turn, point)
            if not isinstance(end, Death):
                return end
            if not end.may_go_on:
                return Outcome(status="failed", error=end.fault)
            logger.warning("%s: its worker died (%s); it is begun again", live.run.id, end.fault.message)
            live.mark_begun_again()
            if not end.with_zygote or (zygote_deaths := zygote_deaths + 1) > _MAX_ZYGOTE_DEATHS:
                deaths = 1 if end.progressed else max(deaths, point.deaths) + 1
                if deaths > self._limits.max_deaths:
                    return Outcome(status="failed", error=end.fault)
                await self._store.note_deaths(live.run, deaths)
            await self._note_resumed(live, f"its worker had died: {end.fault.message}")

    async def _attempt(self, live: Live, turn: StateTurn | None, point: ResumePoint) -> Outcome | Parking | Death:
        withdraw = partial(self._withdraw, live.run.id)
        doors, by_interpreter = live.rehearsal or self._doors, await self._interpreted.takes(live.version)
        attempt = Attempt(live, self._store, doors, self._tasks, self._limits, withdraw, by_interpreter=by_interpreter)
        kind: Kind = "agents" if live.version.uses_agents else "plain"
        async with self._pool.lease(
            trusted=live.version.is_trusted or by_interpreter,
            kind=kind,
            once=by_interpreter,
            on_wait=partial(_announce_wait, live),
            caller=live.lane,
            name=live.run.id,
        ) as worker:
            if live.run.started_at is None:
                live.announce(started_at=time.time(), waiting_for=None)
                await self._store.mark_started(live.run, live.run.started_at or 0.0)
            elif live.is_resumed:
                await self._store.mark_started(live.run, live.run.started_at)
            live.worker_pid = worker.pid if worker.sees_files else None  # in the sandbox it is another process's number
            return await attempt.run(worker, turn, point)

    async def _note_resumed(self, live: Live, why: str) -> None:
        """Tell the run's callers that its body is begun again: effects outside of its steps have happened already."""
        event = live.number_events(1)
        await self._store.note_resumed(live.run, event, why)
        live.announce(resumed=live.run.resumed + 1)

    async def _regain_turn(self, live: Live) -> StateTurn | None:
        """The turn of the run's state: it has held it all the time, or has given it up while it was parked."""
        uses_state = live.version.uses_state
        turn = await self._store.unpark(live.run, with_state=uses_state, ancestors=live.ancestors)
        if turn is None and uses_state:
            turn = await self._store.claim_turn(live.run, live.ancestors)
        live.announce(waiting_for=None)
        return turn


def _announce_wait(live: Live, reason: str | None) -> None:
    if reason is not None:
        live.announce(waiting_for=reason)
    elif live.run.started_at is not None:
        live.announce(waiting_for=None)
