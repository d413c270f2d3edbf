"""RunObserver: waits for a run and follows its events, wherever the run goes on; used by Runner.

Watchers do not ask the runner for events. They read the Store's log by number, and `Watch` only tells them that there is more.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Final

import anyio
import msgspec

from ..model.run import Run, RunEvent
from ..store import Store
from .live_run import Live, Watch
from .live_table import LiveTable
from .pool import WorkerPool

_LOOK_AGAIN_S: Final = 0.5
"""How often a caller that was told about storage trouble looks again."""


class RunObserver:
    def __init__(self, store: Store, pool: WorkerPool, live: LiveTable, watch: Watch) -> None:
        self._store = store
        self._pool = pool
        self._live = live
        self._watch = watch

    def current(self, run_id: str) -> Run | None:
        """A live run, with the reason why it waits, which only memory has."""
        live = self._live.get(run_id)
        return None if live is None else self._with_queue_position(live)

    async def wait(self, run_id: str, seconds: float | None) -> Run | None:
        """The run when it has ended or asks a question, or as it is after `seconds`. None: there is no such run.

        A run that is held back is given at once, with the reason. A caller that asks again after that waits.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        first = self._live.get(run_id)
        was_told = first is not None and first.is_held_back
        while True:
            live = self._live.get(run_id)
            changed = None if live is not None else self._watch.next(run_id)
            run = self._with_queue_position(live) if live is not None else await self._store.run(run_id)
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            try:
                held_back = live is not None and live.is_held_back
                if run is None or run.is_settled or left == 0 or (held_back and not was_told):
                    if live is not None:
                        await live.wait_until_recorded()
                    return run
                pause = _LOOK_AGAIN_S if held_back and (left is None or left > _LOOK_AGAIN_S) else left
                with anyio.move_on_after(pause):
                    if live is not None:
                        await (live.done if held_back else live.settled).wait()
                    elif changed is not None:
                        await changed
                if live is not None and live.run.is_settled:
                    return live.run
            finally:
                if changed is not None:
                    self._watch.forget(run_id, changed)

    async def follow(self, run_id: str, after: int = 0, *, nested: bool = False) -> AsyncIterator[RunEvent]:
        """Events from number after + 1 until `run_end`. For a run that nobody resumes: until the end of its log.

        `nested`: events of the runs below it too, from their first, each with its run's id as `run_id` in its data.
        """
        seen = {run_id: after}
        while True:
            changed = self._watch.next(run_id)
            try:
                events = [(of, event) for of in list(seen) for event in await self._store.events(of, seen[of])]
                for of, event in events:
                    seen[of] = event.n
                    if event.type == "run_end" and (live := self._live.get(of)) is not None:
                        await live.done.wait()  # a reader of `run_end` must find the run ended
                    if nested and event.type == "call_start" and "run_id" in event.data:
                        seen.setdefault(event.data["run_id"], 0)
                    yield event if of == run_id else msgspec.structs.replace(event, data={**event.data, "run_id": of})
                    if event.type == "run_end":
                        if of == run_id:
                            return
                        del seen[of]
                if not events:
                    if run_id not in self._live and ((run := await self._store.run(run_id)) is None or run.is_final):
                        return
                    await changed
            finally:
                self._watch.forget(run_id, changed)

    def _with_queue_position(self, live: Live) -> Run:
        if live.run.waiting_for is None or (before := self._pool.before(live.run.id)) is None:
            return live.run
        waiting_for = f"a worker: {before} {'run is' if before == 1 else 'runs are'} before it"
        return msgspec.structs.replace(live.run, waiting_for=waiting_for)
