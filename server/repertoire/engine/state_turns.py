"""Turns: lets runs that change one session's state go one after the other, in the order in which they came; used by Runner and Attempts.

The right to change a state is a row in the Store, the turn. So a crash cannot leave it taken by a run that is gone. The order of those
that wait is kept here, in memory. A run shares the turn with the runs above it and with those below it.

A run waits here without a worker. Meanwhile it (or its parent) may hold the turn of another state, so runs could wait in a circle. The
run that would close the circle fails with `deadlock` instead.
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
from ..store.state_turns import StateTurn
from .live_run import Live

_LOOK_AGAIN_S: Final = 1.0
"""How often a waiting run asks the Store again: the end or the parking of a holder in another process is not announced here."""

_StateKey = tuple[str, str]


class Deadlock(RepertoireError):
    """Raised in a run that waits for a state which will never be free: the run that holds it waits for this one."""

    code = "deadlock"


class _Waiter:
    """A run in the queue. `holder` is the run that has the turn, as far as is known. `turn` is set when the queue has moved."""

    def __init__(self, live: Live, holder: str) -> None:
        self.live = live
        self.holder = holder
        self.turn = asyncio.Event()


class Turns:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: dict[_StateKey, deque[_Waiter]] = {}

    def run_before(self, run: Run, parent: Live | None) -> str | None:
        """The last run in the queue for this run's state. None: there is no queue, or a run above this one has the turn already."""
        while parent is not None:
            if _state_key(parent.run) == _state_key(run):
                return None
            parent = parent.parent
        queue = self._queues.get(_state_key(run))
        return queue[-1].live.run.id if queue else None

    async def wait(self, live: Live, holder: str) -> StateTurn:
        """The turn, when it is this run's turn. Raises Deadlock."""
        queue = self._queues.setdefault(_state_key(live.run), deque())
        waiter = _Waiter(live, holder)
        queue.append(waiter)
        live.mark_queued()
        try:
            self._check_circle(waiter)
            await self._announce_wait(live, holder)
            while True:
                turn = waiter.turn = asyncio.Event()
                if queue[0] is waiter:
                    claimed = await self._claim_turn(live)
                    if claimed.held_by is None:
                        return claimed
                    if claimed.held_by != waiter.holder:
                        waiter.holder = claimed.held_by
                        await self._announce_wait(live, claimed.held_by)
                    self._check_circle(waiter)
                with anyio.move_on_after(_LOOK_AGAIN_S):
                    await turn.wait()
        finally:
            queue.remove(waiter)
            self.wake_next(live.run)

    def wake_next(self, run: Run) -> None:
        """Wake the first run in the queue for this run's state. It asks the Store, and waits on if the turn is still held."""
        queue = self._queues.get(_state_key(run))
        if queue:
            queue[0].turn.set()
        else:
            self._queues.pop(_state_key(run), None)

    async def _announce_wait(self, live: Live, holder: str) -> None:
        waiting_for = f"{holder} (same session)"
        live.announce(waiting_for=waiting_for, started_at=None)
        data = {"level": "info", "message": f"waiting for {waiting_for}"}
        await self._store.add_events(live.run, live.number_events(1), [("log", time.time(), data)])
        live.announce()

    async def _claim_turn(self, live: Live) -> StateTurn:
        if live.begun_again:
            claimed = await self._store.unpark(live.run, with_state=True, ancestors=live.ancestors)
            if claimed is not None:
                return claimed
        return await self._store.claim_turn(live.run, live.ancestors)

    def _check_circle(self, waiter: _Waiter) -> None:
        """Raises Deadlock. Follows the waits: from a waiting run to the holder of its turn, from a holder to all that wait below it."""
        live = waiter.live
        ours = {live.run.id, *live.ancestors}
        seen: set[str] = set()
        ahead = [waiter.holder]
        while ahead:
            holder = ahead.pop()
            if holder in ours:
                raise _deadlock(live, waiter.holder)
            if holder not in seen:
                seen.add(holder)
                ahead += self._waited_for_below(holder)

    def _waited_for_below(self, holder: str) -> Iterator[str]:
        for queue in self._queues.values():
            for waiter in queue:
                if holder == waiter.live.run.id or holder in waiter.live.ancestors:
                    yield waiter.holder


def _deadlock(live: Live, holder: str) -> Deadlock:
    return Deadlock(
        f"{live.run.workflow} waits for the session's state, which {holder} holds, and that run waits for this one.",
        "Runs that share a session must not call each other's workflows in a circle: give the call a session of its own, or keep the "
        "state in one of the workflows.",
    )


def _state_key(run: Run) -> _StateKey:
    return run.session_id, run.workflow
