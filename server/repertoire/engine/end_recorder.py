"""EndRecorder: stores the end or the parking of a run, and then goes on with the runs that depend on it; used by Runner.

After an end: questions of the run are closed, the next run in the queue for its session's state is woken, runs below it are cancelled,
and a parked parent is resumed. A run whose end cannot be stored stays unfinished: the next owner of the home resumes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import anyio.abc
import msgspec

from ..errors import LostClaim, RecordNotStored, RepertoireError, StorageError
from ..model.run import Run
from ..store import Store
from ..store.runs import KeyTaken
from ..wire import Fault
from .live_run import Live, Outcome, Parking
from .live_table import LiveTable
from .run_log import log_end
from .state_turns import Turns

logger = logging.getLogger(__name__)

_WAKE_AGAIN_S: Final = 1.0
"""How often resuming is tried while the store cannot be read."""

OnParked = Callable[[Run, float | None], None]


class EndRecorder:
    def __init__(
        self,
        store: Store,
        live: LiveTable,
        turns: Turns,
        tasks: anyio.abc.TaskGroup,
        resume: Callable[[str], Awaitable[Any]],
        cancel: Callable[[str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._live = live
        self._turns = turns
        self._tasks = tasks
        self._resume = resume
        self._cancel = cancel
        self.on_parked: OnParked = _do_nothing
        """Called with each run that was parked and the time when it wakes; and with each that has ended."""

    async def park(self, live: Live, parking: Parking) -> None:
        run = live.run
        storing = self._store.park(
            run, parking.why, wake_at=parking.wake_at, state=parking.state, held_s=live.stopwatch.used_s
        )
        try:
            parked = await storing
        except Exception:  # the run is stored as it was before, and is resumed at once
            logger.exception("parking %s", run.id)
            parked = run
            self._live.note_news(run.id)
            self._store.release_run(run)
        self._live.remove(run.id)
        self._live.keep_env(live)
        live.end(parked)
        self._turns.wake_next(run)
        self.on_parked(parked, parking.wake_at)
        if self._live.take_news(run.id):
            self._tasks.start_soon(self._wake, run.id)

    async def record(self, live: Live, outcome: Outcome) -> None:
        run = live.run
        try:  # if the server is stopped in between, the next owner resumes from the stored records
            try:
                finished = await self._store_end(run, outcome)
            except RecordNotStored as error:
                logger.error("run %s: its result could not be stored: %s", run.id, error.message)
                finished = await self._store_end(run, _not_stored(error, outcome))
        except Exception as error:  # the file is damaged, or the run belongs to another process
            finished = await self._known_end(live, error)
        log_end(finished)
        self._end(live, finished)
        if live.has_children:
            try:
                await self.cancel_below(run.id)
            except RepertoireError:  # the file is damaged or gone
                logger.exception("cancelling what %s has begun", run.id)

    def _store_end(self, run: Run, outcome: Outcome) -> asyncio.Future[Run]:
        return self._store.finish_run(
            run,
            outcome.status,
            result=outcome.result,
            remark=outcome.remark,
            error=outcome.error,
            state=outcome.state,
            events=outcome.events,
            by=outcome.by,
        )

    def drop_unrecorded(self, live: Live) -> None:
        """The start could not be stored, so there is no end to record. The caller gets an error instead of a run."""
        if not isinstance(live.unrecorded, KeyTaken):
            logger.error(
                "run %s: its start could not be stored, so it was stopped", live.run.id, exc_info=live.unrecorded
            )
        self._live.remove(live.run.id)
        live.end()
        self._turns.wake_next(live.run)

    async def cancel_below(self, run_id: str) -> None:
        for child in await self._store.unfinished_below(run_id):
            await self._cancel(child)

    async def _known_end(self, live: Live, error: Exception) -> Run:
        """The stored record of a run whose end could not be stored."""
        if not isinstance(error, LostClaim):
            logger.error("run %s: its end could not be stored", live.run.id, exc_info=error)
        try:
            known = await self._store.run(live.run.id, patient=True)
        except RepertoireError:
            known = None
        if known is not None and known.is_final:
            return known  # another process has ended it
        return msgspec.structs.replace(live.run, waiting_for=f"its record to be written: {error}")

    def _end(self, live: Live, finished: Run) -> None:
        self._live.remove(finished.id)
        self._live.take_news(finished.id)
        self.on_parked(finished, None)
        for question in live.run.questions:
            self._live.forget_question(question)
        if live.parent is not None:
            live.parent.forget_questions(finished.id)
        live.end(finished)
        self._turns.wake_next(finished)
        if finished.parent is not None and ((above := self._live.get(finished.parent)) is None or above.is_parking):
            self._tasks.start_soon(self._wake, finished.parent)

    async def _wake(self, run_id: str) -> None:
        """Resume it as soon as the store can be used."""
        while True:
            try:
                await self._resume(run_id)
                return
            except StorageError:
                await anyio.sleep(_WAKE_AGAIN_S)
            except Exception:  # this task has no caller that could be told
                logger.exception("going on with %s", run_id)
                return


def _not_stored(error: RecordNotStored, outcome: Outcome) -> Outcome:
    """The end of a run whose result has no room on the disk."""
    fault = Fault(error.code, "StorageError", f"The run's result is lost. {error.message}", hint=error.hint)
    return Outcome(status="failed", error=fault, events=outcome.events)


def _do_nothing(run: Run, wake_at: float | None) -> None:
    pass
