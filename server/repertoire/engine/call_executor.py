"""The host's side of a body's calls: what it asks for is done, recorded, and only then answered.

One `Calls` for each time a worker is given the run. Answers go out when their record is committed; several calls of several runs
share a commit.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import anyio
import anyio.abc
import msgspec

from ..errors import LostClaim, OverBudget, RepertoireError
from ..settings import Limits
from ..store import Store
from ..store.journal import NewRecord, ResumePoint
from ..store.runs import NewEvent
from ..wire import Answer, Call, Drop, Fault, Idle, Late, More, Page, Record, Recorded, Tick, WorkerFrame
from .live_run import Live, Parking
from .pool import Worker

logger = logging.getLogger(__name__)


class DoorCall(NamedTuple):
    """One call of a body, as a door gets it. `key` is the same each time the call is made: an idempotency key for what is outside."""

    live: Live
    op: str
    path: str
    args: dict[str, Any]
    waits: Callable[[Parking | None], None]
    """Say that the call waits for something that may take days, or that it no longer does."""
    begun: Callable[[dict[str, Any]], None]
    """Tell watchers of the call, with what they are to know besides. For a door that knows only later what it has begun."""

    @property
    def key(self) -> str:
        return f"{self.live.run.id}:{self.path}"


class Done(NamedTuple):
    """What a door gives: a JSON value, or the run that holds the result; `state` is stored with the record."""

    value: Any = None
    child: str | None = None
    result: str | None = None
    state: str | None = None


Door = Callable[[DoorCall], Awaitable[Done]]
"""Raises RepertoireError for what the body is to hear; anything else is a fault of ours."""

_LONG: Final = frozenset({"ask", "sleep", "workflow"})
"""Calls that may take longer than this process lives."""
_QUIET: Final = frozenset({"commit_state"})
"""Calls that are no news to watchers."""
_BRIEF: Final = frozenset({"commit_state", "workflows.search", "workflows.list", "workflows.get", "workflows.delete"})
"""Calls that this process answers by itself, soon: a run keeps its place among the workers meanwhile. During any other it gives it back."""


class CallFailed(RepertoireError):
    """What a door was asked for went wrong in a way that has a fault already."""

    def __init__(self, fault: Fault, child: str | None = None) -> None:
        super().__init__(fault.message, fault.hint)
        self.fault = fault
        self.child = child


class Diverged(RepertoireError):
    """The body has begun something else under this call's path than the first time."""

    code = "non_determinism"

    def __init__(self, path: str, was: str, came: str) -> None:
        super().__init__(
            f"call {path} had begun as {was}, and came as {came}",
            "What decides which calls are made must be the same each time; put anything else into a step().",
        )


class _Open:
    """A call that is being done."""

    def __init__(self, frame: Call) -> None:
        self.frame = frame
        self.began = time.time()
        self.scope = anyio.CancelScope()
        self.waits = frame.op not in _BRIEF
        """Whether it may need a worker, or long."""
        self.waits_for: Parking | None = None
        """Set while nothing but this is to happen: then the run needs no worker."""


class Calls:
    def __init__(
        self, live: Live, worker: Worker, store: Store, doors: Mapping[str, Door], tasks: anyio.abc.TaskGroup, point: ResumePoint,
        limits: Limits, dropped: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`dropped(path)` hears of a call that the body has cancelled while it was being done."""
        self._live = live
        self._worker = worker
        self._lease = worker.lease
        self._store = store
        self._doors = doors
        self._tasks = tasks
        self._limits = limits
        self._bytes = 0
        self._dropped = dropped
        self._n = point.last_n
        self._begun = point.begun
        self.began = time.monotonic() - point.clock_s
        self._open: dict[int, _Open] = {}
        self._recorded: dict[int, int] = {}
        self._below: set[str] = set()
        self._clock: list[list[Any]] = []
        self._idle: Idle | None = None
        self.parking: Parking | None = None
        """Set when the run needs no worker for now."""
        self.failed: Fault | None = None
        """Set when the run cannot go on: its budget is used up, or a record could not be stored."""

    @property
    def records(self) -> int:
        return self._n

    async def take(self, frame: Call | Record | Drop | Tick | Late | Idle | More) -> None:
        if self.take_step(frame):
            return
        self._idle = None
        assert not isinstance(frame, Record)
        if isinstance(frame, Call):
            self._note(frame.clock)
            if self._allowed(f"{frame.op} {frame.label}".strip()):
                if self._clock and frame.op in _LONG:
                    self._mark("clock")  # what the body has seen of the clock must not be lost while this goes on
                call = self._open[frame.id] = _Open(frame)
                if call.waits:
                    self._lease.begin_wait()
                self._tasks.start_soon(self._do, call, name=f"{self._live.run.id} {frame.path}")
        elif isinstance(frame, More):
            records = await self._store.page(self._live.run.id, frame.after)
            self._worker.channel.send(Page(records))
        elif isinstance(frame, Drop):
            self._note(frame.clock)
            self._drop(frame)
        elif isinstance(frame, Tick):
            self._mark("tick")
        elif isinstance(frame, Late):
            self._store.delay_record(self._live.run, frame.n, frame.at).add_done_callback(_heard)
        else:
            self._idle = frame
            self._lease.settle()
            self._consider_parking()

    def take_step(self, frame: WorkerFrame) -> bool:
        """Record a step, which needs nothing but that. False: it is something else."""
        if not isinstance(frame, Record):
            return False
        self._idle = None
        self._note(frame.clock)
        if self._allowed(frame.label or frame.op):
            self._live.budget.end_call()
            if self._fits(frame):
                self._record_step(frame)
        return True

    def close(self) -> None:
        """The worker is gone, or has answered for good: what is still being done for it is broken off."""
        for call in self._open.values():
            call.scope.cancel()

    def _waits(self, call: _Open, parking: Parking | None) -> None:
        call.waits_for = parking
        self._consider_parking()

    def _fits(self, frame: Record) -> bool:
        """The worker keeps to the first limit itself; a body that speaks for its worker might not."""
        size = len(frame.result or "")
        self._bytes += size
        if size <= self._limits.max_record_bytes and self._bytes <= self._limits.max_journal_bytes:
            return True
        message = f"What this run records is too large: {size} bytes in one step, {self._bytes} in all."
        self._fail(
            Fault("record_too_large", "OverBudget", message, hint="Write large data to a file, and return its path.")
        )
        return False

    def _allowed(self, what: str) -> bool:
        try:
            self._live.budget.begin_call(what)
        except OverBudget as error:
            self._fail(Fault(error.code, "OverBudget", error.message, hint=error.hint))
            return False
        return True

    async def _do(self, call: _Open) -> None:
        frame, live = call.frame, self._live
        try:
            with call.scope:
                if call.scope.cancel_called:  # before it could begin: whatever needs no wait would be done all the same
                    return
                if frame.op != "workflow" and frame.op not in _QUIET:
                    self._say_begun(frame, {})
                outcome = await self._outcome(call)
                call.waits_for = None  # from here on its answer is on its way to the body
                if outcome is not None:
                    self._record_call(call, *outcome)
        finally:
            live.budget.end_call()

    async def _outcome(self, call: _Open) -> tuple[Done, Fault | None] | None:
        """None: the run cannot go on."""
        frame = call.frame
        door = self._doors.get(frame.op)
        try:
            if door is None:
                raise RepertoireError(f"There is no {frame.op!r} to call.")
            return await door(
                DoorCall(
                    self._live,
                    frame.op,
                    frame.path,
                    json.loads(frame.args),
                    partial(self._waits, call),
                    partial(self._say_begun, frame),
                )
            ), None
        except CallFailed as error:
            return Done(child=error.child), error.fault
        except (LostClaim, Diverged) as error:
            self._fail(Fault(error.code, _KINDS.get(type(error), "LostClaim"), error.message, hint=error.hint))
            return None
        except RepertoireError as error:
            return Done(), Fault(error.code, type(error).__name__, error.message, hint=error.hint)
        except Exception:  # the edge of a call
            logger.exception("%s %s", self._live.run.id, frame.op)
            return Done(), Fault("internal", "InternalError", "Repertoire failed to do this; its log has the details.")

    def _record_call(self, call: _Open, done: Done, fault: Fault | None) -> None:
        frame = call.frame
        if fault is not None:
            result = None
        else:
            result = done.result if done.result is not None else json.dumps(done.value)
        record = self._made(frame, result, fault)
        events: list[NewEvent] = []
        if frame.op not in _QUIET:
            events.append(_end_event(frame, call.began, done.child, fault))
        elif fault is None:
            events.append(("state", time.time(), {"committed": True}))
        self._store_record(
            NewRecord(call=record, began_at=call.began, ended_at=time.time(), child=done.child, state=done.state),
            events,
            frame.id,
        )

    def _record_step(self, frame: Record) -> None:
        record = self._made(frame, frame.result, frame.error)
        covers = any(path.startswith(frame.path + ":") for path in self._below) if self._below else False
        if covers:
            self._below = {path for path in self._below if not path.startswith(frame.path + ":")}
        self._store_record(
            NewRecord(call=record, began_at=frame.began, ended_at=time.time(), covers=covers),
            [_end_event(frame, frame.began, None, frame.error)], frame.id,
        )  # fmt: skip

    def _drop(self, frame: Drop) -> None:
        call = self._closed(frame.id)
        if call is not None:
            call.scope.cancel()
            self._dropped(frame.path)
        record = self._made(frame, None, None, cancelled=True)
        began = call.began if call else time.time()
        replaces = self._recorded.pop(frame.id, None)
        self._store_record(
            NewRecord(call=record, began_at=began, ended_at=time.time(), replaces=replaces),
            [_end_event(frame, began, None, None, cancelled=True)], None,
        )  # fmt: skip

    def _mark(self, op: str) -> None:
        record = Recorded(self._next(), "", op, "", self._at(), clock=self._take_clock())
        self._store_record(NewRecord(call=record, began_at=time.time(), ended_at=time.time()), [], None)

    def _made(
        self, frame: Call | Record | Drop, result: str | None, error: Fault | None, *, cancelled: bool = False
    ) -> Recorded:
        if ":" in frame.path:
            self._below.add(frame.path)
        return Recorded(
            self._next(),
            frame.path,
            frame.op,
            frame.hash,
            self._at(),
            result,
            error,
            cancelled,
            self._take_clock(),
            frame.label,
        )

    def _store_record(self, record: NewRecord, events: list[NewEvent], answer: int | None) -> None:
        first = self._live.number(len(events))
        record = msgspec.structs.replace(record, held_s=self._live.stopwatch.used_s)
        self._store.record_call(self._live.run, record, first, events, partial(self._stored, record, answer))

    def _stored(self, record: NewRecord, answer: int | None, error: BaseException | None) -> None:
        if error is not None:
            message = getattr(error, "message", str(error))
            self._fail(
                Fault(
                    "not_recorded",
                    "StorageError",
                    f"A call could not be recorded: {message}",
                    hint=getattr(error, "hint", None),
                )
            )
            return
        self._live.announce()
        if answer is None:
            return
        self._idle = None
        self._recorded[answer] = record.call.n
        self._closed(answer)
        call = record.call
        given = Answer(answer, call.n, call.at, call.result, call.error)
        self._lease.go_on(partial(self._worker.channel.send, given))
        while len(self._recorded) > _KEPT:
            del self._recorded[next(iter(self._recorded))]

    def _closed(self, number: int) -> _Open | None:
        call = self._open.pop(number, None)
        if call is not None and call.waits:
            self._lease.end_wait()
        return call

    def _fail(self, fault: Fault) -> None:
        self.failed = self.failed or fault
        self._worker.channel.interrupt()

    def _say_begun(self, frame: Call, more: dict[str, Any]) -> None:
        if frame.path not in self._begun:
            self._tell("call_start", {"path": frame.path, "op": frame.op, "name": frame.label, **more})

    def _tell(self, kind: Any, data: dict[str, Any]) -> None:
        first = self._live.number(1)
        told = self._store.add_events(self._live.run, first, [(kind, time.time(), data)])
        told.add_done_callback(self._told)

    def _told(self, told: asyncio.Future[None]) -> None:
        if not told.cancelled() and told.exception() is None:
            self._live.announce()

    def _consider_parking(self) -> None:
        """Park when the body does nothing but wait, and every call that it waits for may take long."""
        if self._idle is None or self.parking is not None:
            return
        waiting = [self._open[number] for number in self._idle.ids if number in self._open]
        known = [reason for one in waiting if (reason := one.waits_for) is not None and not _is_here(reason)]
        if not known or len(known) < max(len(self._idle.ids), len(self._open)):
            return  # something else goes on, or was answered while the body's word was on its way
        asks = [reason for reason in known if reason.status == "input_required"]
        wakes = [reason.wake_at for reason in known if reason.wake_at is not None]
        self.parking = Parking(
            why=(asks or known)[0].why, status="input_required" if asks else "working", wake_at=min(wakes, default=None),
            state=self._idle.state,
        )  # fmt: skip
        self._live.parking = True
        self._worker.channel.interrupt()

    def _note(self, clock: list[list[Any]]) -> None:
        self._clock.extend(clock)

    def _take_clock(self) -> list[list[Any]]:
        taken, self._clock = self._clock, []
        return taken

    def _next(self) -> int:
        self._n += 1
        return self._n

    def _at(self) -> float:
        return time.monotonic() - self.began


def _is_here(waited_for: Parking) -> bool:
    return waited_for.news is not None and waited_for.news.done()


def _heard(stored: asyncio.Future[None]) -> None:
    """What could not be stored shows with the next record, which comes after it."""
    if not stored.cancelled():
        stored.exception()


_KINDS: Final[dict[type[RepertoireError], str]] = {Diverged: "NonDeterminism"}

_KEPT: Final = 1_000
"""Answers on their way whose call the body may still cancel."""


def _end_event(
    frame: Call | Record | Drop, began: float, child: str | None, fault: Fault | None, *, cancelled: bool = False
) -> NewEvent:
    now = time.time()
    data: dict[str, Any] = {
        "path": frame.path,
        "op": frame.op,
        "name": frame.label,
        "duration_s": round(now - began, 6),
    }
    if child is not None:
        data["run_id"] = child
    if fault is not None:
        data["error"] = {"type": fault.type, "message": fault.message}
    if cancelled:
        data["cancelled"] = True
    return ("call_end", now, data)
