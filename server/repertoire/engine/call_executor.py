"""CallExecutor: carries out the calls of a run's body, records them, and then answers the body; used by Attempt.

There is one CallExecutor for each worker that is given the run. An answer goes out when its record is committed. Calls of several runs
share a commit. Steps are executed in the worker, so only their records come here (`Record`). They have one way in: `take`.

The run is parked when three conditions hold: the body does nothing but wait (`Idle`), every call that it waits for may take days
(`DoorCall.wait_for`), and no answer to any of them is here. The worker is then killed, and a later worker begins the body again.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

import anyio
import anyio.abc

from ..call_operations import operation
from ..errors import LostClaim, OverBudget, RepertoireError, RunRefused
from ..limits import Limits
from ..store import Store
from ..store.journal import ResumePoint
from ..wire import Answer, Call, Drop, Fault, Idle, Late, More, Page, Piece, Record, Recorded, Tick
from .call_arguments import read_arguments
from .doors import CallFailed, Diverged, Door, DoorCall, DoorResult
from .journal_writer import JournalWriter
from .live_run import Live, Parking
from .pool import Worker

logger = logging.getLogger(__name__)

_KEPT: Final = 1_000
"""So many answers are remembered, because the body may still cancel a call whose answer is on its way."""
_LOGGED: Final = 20
"""Tracebacks of failed calls of one attempt, in the server's log."""


class _OpenCall:
    """A call that is being carried out."""

    def __init__(self, frame: Call) -> None:
        self.frame = frame
        self.began = time.time()
        self.scope = anyio.CancelScope()
        self.gives_place_back = not operation(frame.op).keeps_place
        self.waits_for: Parking | None = None
        """Set while the call only waits for this: the run needs no worker for it."""


class CallExecutor:
    def __init__(
        self,
        live: Live,
        worker: Worker,
        store: Store,
        doors: Mapping[str, Door],
        tasks: anyio.abc.TaskGroup,
        point: ResumePoint,
        limits: Limits,
        withdraw: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        """`withdraw(path)` cancels all that an open call has begun. It is started when the body has cancelled that call."""
        self._live = live
        self._worker = worker
        self._lease = worker.lease
        self._store = store
        self._doors = doors
        self._tasks = tasks
        self._limits = limits
        self._withdraw = withdraw
        self._journal = JournalWriter(live, store, point, self._on_record_failure)
        self._open: dict[int, _OpenCall] = {}
        self._answered: dict[int, int] = {}
        """Record numbers of answered calls, by the numbers of their frames."""
        self._failures = 0
        self._idle: Idle | None = None
        self.parking: Parking | None = None
        """Set when the run needs no worker for now."""
        self.failed: Fault | None = None
        """Set when the run cannot go on: its budget is used up, or a record could not be stored."""

        self.restart: str | None = None
        """Set when the body has to be begun again, and why."""

    @property
    def last_n(self) -> int:
        """Number of the run's last record."""
        return self._journal.last_n

    @property
    def began(self) -> float:
        """When the run's own clock was 0, by the monotonic clock."""
        return self._journal.began

    def take(self, frame: Call | Record | Drop | Tick | Late | Idle) -> None:
        """Begin to carry out a frame of the body; returns at once."""
        self._idle = None
        if self._journal.last_n >= self._limits.max_journal_rows:
            self._fail(_journal_full(self._limits.max_journal_rows))
            return
        if isinstance(frame, Record):
            self._take_step(frame)
        elif isinstance(frame, Call):
            self._begin_call(frame)
        elif isinstance(frame, Drop):
            self._journal.note_clock(frame.clock)
            if (fault := self._size_fault(len(frame.heard or ""))) is not None:
                self._fail(fault)
                return
            self._cancel_call(frame)
        elif isinstance(frame, Tick):
            self._journal.record_mark("tick")
        elif isinstance(frame, Late):
            self._journal.delay_record(frame)
        else:
            self._idle = frame
            self._lease.settle()
            self._consider_parking()

    async def send_page(self, frame: More) -> None:
        """Send the next page of the journal to a body that is begun again."""
        self._idle = None
        records = await self._store.page(self._live.run.id, frame.after)
        self._worker.channel.send(Page(records))

    def close(self) -> None:
        """The worker is gone, or has given its final answer: cancel the calls that are still open."""
        for call in self._open.values():
            call.scope.cancel()

    def _take_step(self, frame: Record) -> None:
        self._journal.note_clock(frame.clock)
        fault = self._count_call(frame.label or frame.op)
        if fault is None:
            self._live.budget.end_call()
            fault = self._size_fault(len(frame.result or ""))
        if fault is not None:
            self._fail(fault)
        else:
            self._journal.record_step(frame, partial(self._answer, frame.id))

    def _begin_call(self, frame: Call) -> None:
        self._journal.note_clock(frame.clock)
        fault = self._size_fault(0) or self._count_call(f"{frame.op} {frame.label}".strip())
        if fault is not None:
            self._fail(fault)
            return
        if operation(frame.op).takes_long:
            self._journal.record_clock()
        call = self._open[frame.id] = _OpenCall(frame)
        if call.gives_place_back:
            self._lease.begin_wait()
        self._tasks.start_soon(self._execute, call, name=f"{self._live.run.id} {frame.path}")

    def _count_call(self, name: str) -> Fault | None:
        """Count the call against the run's budget. A fault: the budget is used up, and nothing was counted."""
        try:
            self._live.budget.begin_call(name)
        except OverBudget as error:
            return Fault(error.code, "OverBudget", error.message, hint=error.hint)
        return None

    def _size_fault(self, size: int) -> Fault | None:
        """The worker checks the first limit too, but the body can write to the worker's socket by itself."""
        in_all = self._journal.bytes + size
        if size <= self._limits.max_record_bytes and in_all <= self._limits.max_journal_bytes:
            return None
        message = f"What this run records is too large: {size} bytes in one step, {in_all} in all."
        return Fault("record_too_large", "OverBudget", message, hint="Write large data to a file, and return its path.")

    async def _execute(self, call: _OpenCall) -> None:
        frame = call.frame
        try:
            with call.scope:
                if call.scope.cancel_called:  # a door that never awaits would be done all the same
                    return
                if frame.op != "workflow" and not operation(frame.op).is_quiet:
                    self._journal.add_start_event(frame, {})
                outcome = await self._call_door(call)
                call.waits_for = None  # from here on the answer is on its way to the body
                # A door with a shield ends although its worker is gone. The next attempt counts its records without this one.
                if outcome is not None and not call.scope.cancel_called:
                    event = not operation(frame.op).is_quiet
                    self._journal.record_call(frame, call.began, *outcome, event, partial(self._answer, frame.id))
        finally:
            self._live.budget.end_call()

    async def _call_door(self, call: _OpenCall) -> tuple[DoorResult, Fault | None] | None:
        """None: the run cannot go on."""
        frame = call.frame
        door = self._doors.get(frame.op)
        wait_for = partial(self._set_wait, call)
        announce_start = partial(self._journal.add_start_event, frame)
        send_piece = partial(self._send_piece, frame.id)
        try:
            if door is None:
                raise RepertoireError(f"There is no {frame.op!r} to call.")
            args = read_arguments(frame.op, frame.args, self._limits)
            made = DoorCall(
                self._live, frame.op, frame.path, args, wait_for, announce_start, send_piece, self._begin_again
            )
            return await door(made), None
        except CallFailed as error:
            return DoorResult(child=error.child), error.fault
        except RunRefused as error:  # a body's `except Exception` must not make a result of it
            self._fail(Fault(error.code, type(error).__name__, error.message, hint=error.hint))
            return None
        except (LostClaim, Diverged) as error:
            kind = "NonDeterminism" if isinstance(error, Diverged) else "LostClaim"
            self._fail(Fault(error.code, kind, error.message, hint=error.hint))
            return None
        except RepertoireError as error:
            return DoorResult(), Fault(error.code, type(error).__name__, error.message, hint=error.hint)
        except Exception:  # the edge of a call
            self._log_failure(frame.op)
            fault = Fault("internal", "InternalError", "Repertoire failed to do this; its log has the details.")
            return DoorResult(), fault

    def _log_failure(self, op: str) -> None:
        """Not each of a hundred thousand calls that a hostile body makes in a form that no door expects."""
        self._failures += 1
        if self._failures <= _LOGGED:
            logger.exception("%s %s", self._live.run.id, op)

    def _send_piece(self, number: int, data: Any) -> None:
        if number in self._open:
            self._worker.channel.send(Piece(number, json.dumps(data)))

    def _begin_again(self, why: str) -> None:
        self.restart = why
        self._worker.channel.interrupt()

    def _set_wait(self, call: _OpenCall, parking: Parking | None) -> None:
        call.waits_for = parking
        self._consider_parking()

    def _cancel_call(self, frame: Drop) -> None:
        call = self._close_call(frame.id)
        if call is not None:
            call.scope.cancel()
            self._tasks.start_soon(self._withdraw, frame.path)
        began = call.began if call else time.time()
        self._journal.record_cancelled(frame, began, self._answered.pop(frame.id, None))

    def _answer(self, number: int, record: Recorded) -> None:
        """The record of this call is committed: answer the body as soon as the run has a place among the workers."""
        self._idle = None
        self._answered[number] = record.n
        self._close_call(number)
        answer = Answer(number, record.n, record.at, record.result, record.error)
        self._lease.go_on(partial(self._worker.channel.send, answer))
        while len(self._answered) > _KEPT:
            del self._answered[next(iter(self._answered))]

    def _close_call(self, number: int) -> _OpenCall | None:
        call = self._open.pop(number, None)
        if call is not None and call.gives_place_back:
            self._lease.end_wait()
        return call

    def _on_record_failure(self, error: BaseException) -> None:
        message = f"A call could not be recorded: {getattr(error, 'message', str(error))}"
        self._fail(Fault("not_recorded", "StorageError", message, hint=getattr(error, "hint", None)))

    def _fail(self, fault: Fault) -> None:
        self.failed = self.failed or fault
        self._worker.channel.interrupt()

    def _consider_parking(self) -> None:
        """Park when the body does nothing but wait, and every call that it waits for may take days."""
        if self._idle is None or self.parking is not None:
            return
        waiting = [self._open[number] for number in self._idle.ids if number in self._open]
        known = [reason for one in waiting if (reason := one.waits_for) is not None and not _is_over(reason)]
        if not known or len(known) < max(len(self._idle.ids), len(self._open)):
            return  # another call is open, or was answered while the `Idle` frame was on its way
        asks = [reason for reason in known if reason.status == "input_required"]
        wakes = [reason.wake_at for reason in known if reason.wake_at is not None]
        self.parking = Parking(
            why=(asks or known)[0].why,
            status="input_required" if asks else "working",
            wake_at=min(wakes, default=None),
            state=self._idle.state,
        )
        self._live.begin_parking()
        self._worker.channel.interrupt()


def _journal_full(rows: int) -> Fault:
    message = f"The run's journal is full: it has {rows} rows."
    return Fault("over_budget", "OverBudget", message, hint="Make fewer calls and long sleeps in one run.")


def _is_over(waited_for: Parking) -> bool:
    return waited_for.news is not None and waited_for.news.done()
