"""Cancellation: ends runs before their bodies do: on a caller's word, with the run above, or because a run is given up; used by `Runner`.

A run that goes on here is told to stop, and its own task records its end. The end of a run without a worker (parked, or left by an earlier
owner) is recorded here, under a claim.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

import anyio
import anyio.abc

from ..errors import RepertoireError
from ..model.run import Run
from ..model.workflow_version import WorkflowVersion
from ..store import Store
from ..store.audit import By
from ..store.journal import ResumePoint
from ..wire import Fault
from .end_recorder import EndRecorder
from .live_run import Live, Outcome
from .live_table import LiveTable
from .run_faults import cancellation
from .server_tasks import in_server

logger = logging.getLogger(__name__)

_TRIES: Final = 25
_TRY_AGAIN_S: Final = 0.2
"""A run that is resumed is claimed first, and goes on when the process for its worker has been started: a second or so."""


class Cancellation:
    def __init__(
        self,
        store: Store,
        live: LiveTable,
        ends: EndRecorder,
        tasks: anyio.abc.TaskGroup,
        handle: Callable[[Run, WorkflowVersion], Live],
    ) -> None:
        """`handle` makes a handle for a run that is not live."""
        self._store = store
        self._live = live
        self._ends = ends
        self._tasks = tasks
        self._handle = handle

    async def cancel(self, run_id: str, by: By | None = None) -> None:
        """Kill the run's worker, record it as cancelled, and cancel the runs below it. Returns when that is done. A run that has ended
        is no error. `by`: whoever wants it; None: the server itself."""
        for _ in range(_TRIES):  # meanwhile it may be parked or resumed
            if (live := self._live.get(run_id)) is not None:
                live.cancel(by)
                await live.over.wait()
                if not live.done.is_set():
                    return
            elif await in_server(self._tasks, f"cancel {run_id}", partial(self._end_if_unrun, run_id, None, by)):
                break
            elif run_id not in self._live:
                run = await self._store.run(run_id)
                if run is None or run.is_final:
                    break
                await anyio.sleep(_TRY_AGAIN_S)  # it is claimed: it is about to go on here
        await self._ends.cancel_below(run_id)

    async def _end_if_unrun(self, run_id: str, fault: Fault | None, by: By | None = None) -> bool:
        """End a run that has no worker. False: it has ended, or a body of it goes on."""
        if (claimed := await self._store.claim_run(run_id)) is None:
            return False
        await self.end_unrun(*claimed, fault, by)
        return True

    async def give_up(self, run_id: str, fault: Fault) -> None:
        """Record a run that has no worker as failed."""
        await self._end_if_unrun(run_id, fault)

    async def end_unrun(self, run: Run, point: ResumePoint, fault: Fault | None, by: By | None = None) -> None:
        """Record the end of a run that has no worker. Without a fault it is cancelled."""
        outcome = cancellation(by) if fault is None else Outcome(status="failed", error=fault)
        version = await self._store.version(run.version, patient=True)
        if version is None:
            logger.error("%s: its version is gone", run.id)
            return
        self._live.take_env(run.id)
        live = self._handle(run, version)
        live.announce(last_event=point.last_event)
        live.mark_children()
        await self._ends.record(live, outcome)

    async def withdraw(self, run_id: str, path: str) -> None:
        """The body has cancelled the call at `path`: close its questions and cancel the run that it has begun."""
        try:
            if (asked := await self._store.find_question(run_id, path)) is not None:
                self._live.forget_question(asked[0])
            for question in await self._store.side_questions(run_id, path):
                self._live.forget_question(question)
            child = await self._store.child(run_id, path)
            if child is not None and not child.is_final:
                await self.cancel(child.id)
        except RepertoireError:  # the file is damaged or gone: no process resumes the run or its child
            logger.exception("withdrawing the call %s of %s", path, run_id)
