"""Attempt: one worker given one run. Sends the task and passes on the body's frames, until the body has ended, is parked, or the worker
has died; used by Attempts.

The task goes out before the run's start is stored, with `waits`. The body is called with the frame `Begin`, after the start is stored.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

import anyio
import anyio.abc
import msgspec

from ..limits import Limits
from ..model.workflow_version import WorkflowVersion
from ..providers.exchange import library
from ..store import Store
from ..store.journal import ResumePoint
from ..store.runs import NewEvent
from ..store.state_turns import StateTurn
from ..wire import (
    Begin,
    Call,
    Done,
    Drop,
    Events,
    Failed,
    Fault,
    Idle,
    Late,
    More,
    ReadContent,
    Record,
    SendContent,
    Task,
    Tick,
    WorkerFrame,
)
from .call_executor import CallExecutor
from .content_exchange import ContentExchange
from .doors import Door
from .final_answer import outcome_of
from .frame_check import Rules
from .live_run import Live, Outcome, Parking
from .pool import Worker
from .run_faults import bad_frame, timeout, worker_death
from .stopwatch import Stopwatch

logger = logging.getLogger(__name__)

_JOURNAL_FORMAT: Final = 2
"""Raised with each change after which an old journal would be read wrongly."""


class Death(msgspec.Struct, frozen=True):
    """The worker is gone. `progressed`: something was recorded before. `with_zygote`: the zygote that had forked it is gone too."""

    fault: Fault
    may_go_on: bool
    progressed: bool
    with_zygote: bool = False


def fingerprint() -> str:
    """Everything that a journal depends on, besides the workflow's own text."""
    return f"journal {_JOURNAL_FORMAT}, Python {sys.version_info[0]}.{sys.version_info[1]}"


def fingerprints(point: ResumePoint) -> tuple[str, str]:
    """What a run's journal was written by, and what would read it now. The library of models counts where the run has used one."""
    recorded, ours = point.fingerprint or fingerprint(), fingerprint()
    if point.library is None:
        return recorded, ours
    return f"{recorded}, {point.library}", f"{ours}, {library()}"


class Attempt:
    def __init__(
        self,
        live: Live,
        store: Store,
        doors: Mapping[str, Door],
        tasks: anyio.abc.TaskGroup,
        limits: Limits,
        withdraw: Callable[[str], Coroutine[Any, Any, None]],
        *,
        by_interpreter: bool = False,
    ) -> None:
        self._live = live
        self._store = store
        self._doors = doors
        self._tasks = tasks
        self._limits = limits
        self._withdraw = withdraw
        self._by_interpreter = by_interpreter
        self._storing_events: asyncio.Future[None] | None = None
        """Done when the last group of events is stored."""

    async def run(self, worker: Worker, turn: StateTurn | None, point: ResumePoint) -> Outcome | Parking | Death:
        live = self._live
        calls = CallExecutor(live, worker, self._store, self._doors, self._tasks, point, self._limits, self._withdraw)
        contents = ContentExchange(live.run.id, worker, self._store, self._limits)
        worker.lease.on_change = partial(_count_time, live.stopwatch)
        worker.channel.shortcut = partial(_take_record, calls)
        recorded = live.recorded if live.recorded is not None and not live.recorded.done() else None
        begin = partial(_begin, worker, live.stopwatch)
        try:
            with anyio.CancelScope() as scope:
                live.stopwatch.start(scope)
                self._send_task(worker, turn, point, calls.began, waits=recorded is not None)
                if recorded is not None:
                    live.stopwatch.pause()  # the disk may be full for long
                    recorded.add_done_callback(begin)
                return await self._attend(worker, calls, contents, point)
            return timeout(live.stopwatch.limit_s)
        finally:
            if recorded is not None and recorded.remove_done_callback(begin):
                live.stopwatch.resume()
            live.stopwatch.stop()
            worker.channel.shortcut = None
            calls.close()
            contents.close()

    def _send_task(
        self, worker: Worker, turn: StateTurn | None, point: ResumePoint, began: float, *, waits: bool
    ) -> None:
        live, version, limits = self._live, self._live.version, self._limits
        rules = Rules.of(
            limits,
            trusted=version.is_trusted,
            is_reused=worker.is_pooled,
            events=point.events,
            event_chars=point.event_chars,
        )
        worker.channel.begin(rules)
        code = None if version.key in worker.known else version.code(is_interpreted=self._by_interpreter)
        worker.known.add(version.key)
        task = Task(
            live.run.id,
            version.key,
            live.run.arguments,
            code=code,
            state=None if turn is None else point.loaded_state or turn.state or "{}",
            cwd=_work_folder(live, worker),
            home=folder_of(version) or worker.scratch,
            max_result_bytes=limits.max_result_bytes,
            max_message_bytes=limits.max_event_bytes,
            max_frame_bytes=rules.frame_bytes,
            max_record_bytes=limits.max_record_bytes,
            max_events=limits.max_events,
            max_items=limits.max_items,
            session_id=live.run.session_id,
            env=live.env,
            began=began,
            recorded=point.records,
            told=point.told,
            artifacts=worker.artifacts if worker.sees_files else "",
            max_artifact_bytes=limits.max_artifact_bytes,
            waits=waits,
        )
        worker.channel.send(task)

    async def _attend(
        self, worker: Worker, calls: CallExecutor, contents: ContentExchange, point: ResumePoint
    ) -> Outcome | Parking | Death:
        live = self._live
        while True:
            frame = await worker.channel.receive()
            events: list[NewEvent] = []
            while isinstance(frame, Events):
                events.extend((event.type, event.at, event.data, event.path, event.k) for event in frame.events)
                frame = await worker.channel.receive() if worker.channel.pending else None
            if isinstance(frame, Done | Failed):
                worker.reusable = not frame.pending and not live.version.options.fresh
                if isinstance(frame, Done):
                    return await outcome_of(frame, self._limits, events)
                return Outcome(status="failed", error=_with_line_sent(frame.fault, live.version), events=tuple(events))
            if events:
                await self._store_events(events)
            if isinstance(frame, Call | Record | Drop | Tick | Late | Idle):
                if isinstance(frame, Call):
                    contents.forget(frame.path)
                calls.take(frame)
            elif isinstance(frame, More):
                await calls.send_page(frame)
            elif isinstance(frame, SendContent):
                if (fault := await contents.receive(frame)) is not None:
                    return Outcome(status="failed", error=fault)
            elif isinstance(frame, ReadContent):
                await contents.send(frame)
            elif calls.failed is not None:
                return Outcome(status="failed", error=calls.failed)
            elif calls.parking is not None:
                return calls.parking
            elif calls.restart is not None:
                return Death(Fault("worker_lost", "BegunAgain", calls.restart), may_go_on=True, progressed=True)
            elif worker.channel.is_over:
                return await self._death(worker, progressed=calls.last_n > point.last_n)

    async def _death(self, worker: Worker, *, progressed: bool) -> Death:
        live = self._live
        if (why := worker.channel.violation) is not None:
            logger.warning("%s: worker %s was ended, because it has sent %s", live.run.id, worker.pid, why)
            return Death(bad_frame(why), live.version.is_trusted and live.unrecorded is None, progressed)
        fault, explained = worker_death(await worker.exit_code())
        may_go_on = live.unrecorded is None and (worker.lost_zygote or not explained)
        return Death(fault, may_go_on, progressed, worker.lost_zygote)

    async def _store_events(self, events: list[NewEvent]) -> None:
        """Wait for the group of events before this one, not for this one. So a body that logs faster than the disk writes is slowed."""
        if self._storing_events is not None:
            await self._storing_events
        first = self._live.number_events(len(events))
        self._storing_events = self._store.add_events(self._live.run, first, events)
        self._storing_events.add_done_callback(self._announce)

    def _announce(self, stored: asyncio.Future[None]) -> None:
        if not stored.cancelled() and stored.exception() is None:
            self._live.announce()


def _take_record(calls: CallExecutor, frame: WorkerFrame) -> bool:
    """The channel's shortcut: a step that is recorded needs no turn of this task."""
    if not isinstance(frame, Record):
        return False
    calls.take(frame)
    return True


def _with_line_sent(fault: Fault, version: WorkflowVersion) -> Fault:
    return fault if fault.line is None else msgspec.structs.replace(fault, line=version.line_sent(fault.line))


def _begin(worker: Worker, stopwatch: Stopwatch, recorded: asyncio.Future[Any]) -> None:
    stopwatch.resume()
    if not recorded.cancelled() and recorded.exception() is None:
        worker.channel.send(Begin())


def _count_time(stopwatch: Stopwatch, has_place: bool) -> None:
    if has_place:
        stopwatch.resume()
    else:
        stopwatch.pause()


def _work_folder(live: Live, worker: Worker) -> str | None:
    """Trusted code works in its caller's folder, so relative paths in its arguments mean the same to both."""
    if live.version.is_trusted:
        return live.run.cwd or folder_of(live.version) or worker.scratch
    return worker.scratch


def folder_of(version: WorkflowVersion) -> str | None:
    return os.path.dirname(version.path) if version.path else None
