"""JournalWriter: numbers the records of one run's calls and stores them with their events; used by CallExecutor.

It writes only. A worker that begins the body again reads the journal by pages (`Store.page`).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from ..store import Store
from ..store.journal import NewRecord, ResumePoint
from ..store.runs import NewEvent
from ..wire import Call, Drop, Fault, Late, Record, Recorded
from .doors import DoorResult
from .live_run import Live

OnStored = Callable[[Recorded], None]
"""Called when the record is committed."""


class JournalWriter:
    def __init__(
        self, live: Live, store: Store, point: ResumePoint, on_failure: Callable[[BaseException], None]
    ) -> None:
        """`on_failure` is called when a record cannot be stored: the run cannot go on."""
        self._live = live
        self._store = store
        self._on_failure = on_failure
        self._last_n = point.last_n
        self._started_paths = point.begun
        self.began = time.monotonic() - point.clock_s
        """When the run's own clock was 0, by the host's monotonic clock."""
        self._within_steps: set[str] = set()
        """Paths of calls that were recorded within a step which has not ended yet."""
        self.bytes = 0
        """Recorded by this attempt, roughly."""
        self._clock: list[list[Any]] = []
        """Readings of the clock that the body has seen and that no record holds yet."""

    @property
    def last_n(self) -> int:
        """Number of the last record."""
        return self._last_n

    def note_clock(self, clock: list[list[Any]]) -> None:
        self._clock.extend(clock)
        self.bytes += 10 * sum(map(len, clock))

    def record_clock(self) -> None:
        """Store the clock readings before a long call: a crash during the call must not lose them."""
        if self._clock:
            self.record_mark("clock")

    def record_mark(self, op: str) -> None:
        record = Recorded(self._next_n(), "", op, "", self._now(), clock=self._take_clock())
        self._store_record(NewRecord(call=record, began_at=time.time(), ended_at=time.time()), [])

    def record_call(
        self, frame: Call, began: float, result: DoorResult, fault: Fault | None, event: bool, on_stored: OnStored
    ) -> None:
        """`event`: watchers get a `call_end` event; else one that the state was stored."""
        text = None
        if fault is None:
            text = result.result if result.result is not None else json.dumps(result.value)
        call = self._make_record(frame, text, fault)
        events: list[NewEvent] = []
        if event:
            events.append(_end_event(frame, began, result.child, fault))
        elif fault is None:
            events.append(("state", time.time(), {"committed": True}))
        record = NewRecord(call=call, began_at=began, ended_at=time.time(), child=result.child, state=result.state)
        self._store_record(record, events, on_stored)

    def record_step(self, frame: Record, on_stored: OnStored) -> None:
        call = self._make_record(frame, frame.result, frame.error)
        below = {path for path in self._within_steps if path.startswith(frame.path + ":")}
        self._within_steps -= below
        record = NewRecord(call=call, began_at=frame.began, ended_at=time.time(), covers=bool(below))
        self._store_record(record, [_end_event(frame, frame.began, None, frame.error)], on_stored)

    def record_cancelled(self, frame: Drop, began: float, replaces: int | None) -> None:
        """`replaces`: the number of the record that the call has already."""
        call = self._make_record(frame, frame.heard, None, cancelled=True)
        record = NewRecord(call=call, began_at=began, ended_at=time.time(), replaces=replaces)
        self._store_record(record, [_end_event(frame, began, None, None, cancelled=True)])

    def delay_record(self, frame: Late) -> None:
        self._store.delay_record(self._live.run, frame.n, frame.at).add_done_callback(_ignore_error)

    def add_start_event(self, frame: Call, more: dict[str, Any]) -> None:
        """Nothing where an earlier attempt has added it."""
        if frame.path in self._started_paths:
            return
        data = {"path": frame.path, "op": frame.op, "name": frame.label, **more}
        first = self._live.number_events(1)
        stored = self._store.add_events(self._live.run, first, [("call_start", time.time(), data)])
        stored.add_done_callback(self._announce_event)

    def _announce_event(self, stored: asyncio.Future[None]) -> None:
        if not stored.cancelled() and stored.exception() is None:
            self._live.announce()

    def _make_record(
        self, frame: Call | Record | Drop, result: str | None, error: Fault | None, *, cancelled: bool = False
    ) -> Recorded:
        if ":" in frame.path:
            self._within_steps.add(frame.path)
        n, at, clock = self._next_n(), self._now(), self._take_clock()
        self.bytes += len(result or "") + len(frame.path) + len(frame.label) + 100
        return Recorded(n, frame.path, frame.op, frame.hash, at, result, error, cancelled, clock, frame.label)

    def _store_record(self, record: NewRecord, events: list[NewEvent], on_stored: OnStored | None = None) -> None:
        first = self._live.number_events(len(events))
        record = msgspec.structs.replace(record, held_s=self._live.stopwatch.used_s)
        then = partial(self._on_stored, record.call, on_stored)
        self._store.record_call(self._live.run, record, first, events, then)

    def _on_stored(self, call: Recorded, then: OnStored | None, error: BaseException | None) -> None:
        if error is not None:
            self._on_failure(error)
            return
        self._live.announce()
        if then is not None:
            then(call)

    def _take_clock(self) -> list[list[Any]]:
        taken, self._clock = self._clock, []
        return taken

    def _next_n(self) -> int:
        self._last_n += 1
        return self._last_n

    def _now(self) -> float:
        """By the run's own clock."""
        return time.monotonic() - self.began


def _ignore_error(stored: asyncio.Future[None]) -> None:
    """A record that follows fails for the same reason, and that failure is reported."""
    if not stored.cancelled():
        stored.exception()


def _end_event(
    frame: Call | Record | Drop, began: float, child: str | None, fault: Fault | None, *, cancelled: bool = False
) -> NewEvent:
    now = time.time()
    duration_s = round(now - began, 6)
    data: dict[str, Any] = {"path": frame.path, "op": frame.op, "name": frame.label, "duration_s": duration_s}
    if child is not None:
        data["run_id"] = child
    if fault is not None:
        data["error"] = {"type": fault.type, "message": fault.message}
    if cancelled:
        data["cancelled"] = True
    return ("call_end", now, data)
