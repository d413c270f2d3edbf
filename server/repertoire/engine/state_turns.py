"""Turns: runs that change one session's state go one after the other, in the order in which they came. Used by engine/runner.

The right to change a state is a row of the Store, the place, so a crash cannot leave it taken by nobody; the order is kept here. A run
shares the place with the runs above it and with those below it.

A run waits here without a worker. It may hold another state's place meanwhile (its parent may), so runs could wait in a circle: the one
that would close the circle fails with `deadlock` instead.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

import anyio

from ..errors import RepertoireError
from ..model.run import Run
from ..store import Store
from ..store.runs import Place
from .live_run import Live

_LOOK_AGAIN_S: Final = 1.0
"""How often a run that waits asks again: a holder that was parked or ended elsewhere tells nobody here."""

_Key = tuple[str, str]


class Deadlock(RepertoireError):
    """Raised in a run that waits for a state which will never be free: the run that holds it waits for this one."""

    code = "deadlock"


class Turns:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: dict[_Key, deque[Live]] = {}
        self._holders: dict[Live, str] = {}
        """Which run holds what each of these waits for."""

    def behind(self, run: Run, parent: Live | None) -> str | None:
        """The run behind which a new one has to queue. Below a run with the same place it has that already."""
        while parent is not None:
            if _key(parent.run) == _key(run):
                return None
            parent = parent.parent
        queue = self._queues.get(_key(run))
        return queue[-1].run.id if queue else None

    async def wait(self, live: Live, holder: str) -> Place:
        """The place, when it is this run's turn. Raises Deadlock."""
        queue = self._queues.setdefault(_key(live.run), deque())
        queue.append(live)
        self._holders[live] = holder
        live.queued.set()
        try:
            self._check_circle(live)
            await self._tell(live, holder)
            while True:
                turn = live.turn = asyncio.Event()
                if queue[0] is live:
                    place = await self._take(live)
                    if place.held_by is None:
                        return place
                    self._holders[live] = place.held_by
                    self._check_circle(live)
                with anyio.move_on_after(_LOOK_AGAIN_S):
                    await turn.wait()
        finally:
            queue.remove(live)
            del self._holders[live]
            self.next(live.run)

    def next(self, run: Run) -> None:
        """Wake the first that waits for this run's place; it asks the Store and waits on if somebody still holds it."""
        queue = self._queues.get(_key(run))
        if queue:
            queue[0].turn.set()
        else:
            self._queues.pop(_key(run), None)

    async def _tell(self, live: Live, holder: str) -> None:
        live.announce(waiting_for=holder, started_at=None)
        told = {"level": "info", "message": f"waiting for {holder}"}
        await self._store.add_events(live.run, live.number(1), [("log", time.time(), told)])
        live.announce()

    async def _take(self, live: Live) -> Place:
        if (
            live.begun_again
            and (place := await self._store.unpark(live.run, with_state=True, kin=live.kin)) is not None
        ):
            return place
        return await self._store.claim_place(live.run, live.kin)

    def _check_circle(self, live: Live) -> None:
        """Follow who waits for whom: a run for the holder of its place, a holder for all that wait below it."""
        ours = {live.run.id, *live.kin}
        seen: set[str] = set()
        ahead = [self._holders[live]]
        while ahead:
            holder = ahead.pop()
            if holder in ours:
                raise _deadlock(live, self._holders[live])
            if holder not in seen:
                seen.add(holder)
                ahead += self._waited_for_below(holder)

    def _waited_for_below(self, holder: str) -> Iterator[str]:
        return (waited for one, waited in self._holders.items() if holder == one.run.id or holder in one.kin)


def _deadlock(live: Live, holder: str) -> Deadlock:
    return Deadlock(
        f"{live.run.workflow} waits for the session's state, which {holder} holds, and that run waits for this one.",
        "Runs that share a session must not call each other's workflows in a circle: give the call a session of its own, or keep the "
        "state in one of the workflows.",
    )


def _key(run: Run) -> _Key:
    return run.session_id, run.workflow
