"""The runner: takes a version and arguments, holds a worker for the body, and records what becomes of it.

Every run is a task of the group given to it. Watchers do not ask the runner for events: they read the Store's log by number,
and the runner only tells them that there is more.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import anyio
import anyio.abc
import msgspec

from ..errors import LostClaim, RepertoireError, StorageError, UnknownRun
from ..model.lifecycle import Status
from ..model.run import Run, RunEvent
from ..model.workflow import WorkflowVersion
from ..names import new_run_id
from ..settings import Limits
from ..store import Store
from ..store.runs import NewEvent, Place
from ..wire import Commit, Committed, Done, Events, Failed, Fault, Inspect, Inspected, Task
from .channel import ProtocolViolation
from .pool import Worker, WorkerPool

logger = logging.getLogger(__name__)

_NO_ENV: Final[Mapping[str, str]] = MappingProxyType({})
_RECORD_AGAIN_S: Final = 1.0
"""How often the end of a run that could not be stored is tried again: the disk may have room, the lock may be gone."""
_A_WORKER: Final = "a worker: as many runs as the `workers` setting allows are going on"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be recorded of a run's end."""

    status: Status
    result: str | None = None
    error: Fault | None = None
    state: str | None = None
    events: tuple[NewEvent, ...] = ()


class Live:
    """A run that this process is running."""

    def __init__(self, run: Run, version: WorkflowVersion, env: Mapping[str, str]) -> None:
        self.run = run
        self.version = version
        self.env = dict(env)
        self.scope = anyio.CancelScope()
        self.done = asyncio.Event()
        self.turn = asyncio.Event()
        self._watchers: list[asyncio.Future[None]] = []
        self.unrecorded: Exception | None = None
        """Why its start could not be stored: such a run is stopped, and nothing of it is kept."""

    def started(self, recorded: asyncio.Future[Place | None]) -> None:
        """Its start is stored, or could not be."""
        if not recorded.cancelled() and isinstance(error := recorded.exception(), Exception):
            self.unrecorded = error
            self.scope.cancel()
        self.announce()

    def announce(self, **changes: Any) -> None:
        if changes:
            self.run = msgspec.structs.replace(self.run, **changes)
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)

    def next_change(self) -> asyncio.Future[None]:
        """Done when its log has grown, or it has ended."""
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append(watcher)
        return watcher


class Runner:
    """Give it a task group that outlives every run; when that group is cancelled, unfinished runs end as `server_stopped`."""

    def __init__(self, store: Store, pool: WorkerPool, limits: Limits, tasks: anyio.abc.TaskGroup) -> None:
        self._store = store
        self._pool = pool
        self._limits = limits
        self._tasks = tasks
        self._live: dict[str, Live] = {}
        self._turns: dict[tuple[str, str], deque[Live]] = {}

    @property
    def live_runs(self) -> int:
        return len(self._live)

    def start(
        self,
        version: WorkflowVersion,
        arguments: str,
        session_id: str,
        principal: str,
        env: Mapping[str, str] = _NO_ENV,
    ) -> Live:
        """`arguments` is a JSON object as text, `env` what the body sees of its caller's environment.

        Record the run and set it going. Raises Busy when too many wait already.

        A body without state begins while its start is being stored: what it does through a door is stored after it, in order.
        """
        self._pool.check_room()
        now, has_room = time.time(), self._pool.has_room
        run = Run(
            id=new_run_id(version.name), workflow=version.name, version=version.hash, session_id=session_id, principal=principal,
            arguments=arguments, created_at=now, last_event=1, started_at=now if has_room else None,
            waiting_for=None if has_room else _A_WORKER,
        )  # fmt: skip
        live = self._live[run.id] = Live(run, version, env)
        waiting = self._turns.get(_key(run)) if version.uses_state else None
        behind = waiting[-1].run.id if waiting else None  # who comes while others wait for the place goes behind them
        recorded = self._store.start_run(run, with_state=version.uses_state and not waiting)
        recorded.add_done_callback(live.started)
        self._tasks.start_soon(self._carry, live, recorded, behind, name=run.id)
        return live

    async def inspect(self, version: WorkflowVersion, env: Mapping[str, str] = _NO_ENV) -> Inspected | Fault:
        """Load the module once, in a worker of its origin's kind, and read its schemas."""
        trusted = version.origin == "operator"
        async with self._pool.lease(trusted=trusted) as worker:
            worker.channel.send(Inspect(version.code(), cwd=_folder(version), env=dict(env)))
            with anyio.move_on_after(self._limits.inspect_timeout_s):
                frame = await _reply(worker)
                if isinstance(frame, Inspected):
                    worker.reusable = True
                    return frame
                if isinstance(frame, Failed):
                    worker.reusable = True
                    return frame.fault
                return await _death(worker)
        return Fault(
            "import_timeout", "TimeoutError", f"Loading the module took longer than {self._limits.inspect_timeout_s:g} s.",
            hint="Move work from the module's top level into run().",
        )  # fmt: skip

    async def wait(self, run_id: str, seconds: float | None) -> Run | None:
        """The run as it is when it has ended or `seconds` are over; None when this process is not running it."""
        live = self._live.get(run_id)
        if live is None:
            return None
        with anyio.move_on_after(seconds):
            await live.done.wait()
        return live.run

    def current(self, run_id: str) -> Run | None:
        """A run that is going on, with what only memory knows of it (what it waits for)."""
        live = self._live.get(run_id)
        return None if live is None else live.run

    async def cancel(self, run_id: str) -> None:
        """Kill its worker and record it as cancelled; returns when that is done. No error when it has ended already."""
        live = self._live.get(run_id)
        if live is not None:
            live.scope.cancel()
            await live.done.wait()

    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[RunEvent]:
        """Events numbered after+1 and on, until run_end or, for a run that nobody runs, the end of its log."""
        while True:
            live = self._live.get(run_id)
            changed = None if live is None else live.next_change()
            events = await self._store.events(run_id, after)
            for event in events:
                after = event.n
                yield event
                if event.type == "run_end":
                    return
            if not events:
                if changed is None:
                    return
                await changed

    async def _carry(self, live: Live, recorded: asyncio.Future[Place | None], behind: str | None) -> None:
        """One run from start to record. Never raises but when the whole house is going down."""
        outcome: Outcome | None = None
        try:
            with live.scope:
                place = await asyncio.shield(recorded) if live.version.uses_state else None
                outcome = await self._perform(live, Place(held_by=behind) if behind else place)
            outcome = outcome or _cancelled()
        except StorageError as error:  # its events or its place could not be stored
            outcome = Outcome(status="failed", error=Fault(error.code, "StorageError", error.message, hint=error.hint))
        except Exception:  # the edge of a run: whatever went wrong in us becomes a recorded fact
            logger.exception("run %s", live.run.id)
            outcome = Outcome(
                status="failed",
                error=Fault("internal", "InternalError", "Repertoire failed to run this; its log has the details."),
            )
        finally:
            with anyio.CancelScope(shield=True):
                await self._record(live, outcome or _stopped())

    async def _record(self, live: Live, outcome: Outcome) -> None:
        run = live.run
        try:
            if live.unrecorded is not None:
                raise live.unrecorded  # nothing of it is stored, so there is nothing to end
            finished = await self._store.finish_run(
                run,
                outcome.status,
                result=outcome.result,
                error=outcome.error,
                state=outcome.state,
                events=outcome.events,
            )
            if outcome.error is not None and outcome.error.traceback:
                logger.info("run %s failed: %s\n%s", run.id, outcome.error.message, outcome.error.traceback)
        except Exception as error:  # the disk is full, the file is gone: the caller must hear of it all the same
            finished = await self._unstored(live, error)
            if live.unrecorded is None and isinstance(error, StorageError):
                self._tasks.start_soon(self._record_later, finished, name=f"the end of {run.id}")
        self._live.pop(run.id, None)
        live.run = finished
        live.done.set()
        live.announce()
        self._next_turn(run)

    async def _unstored(self, live: Live, error: Exception) -> Run:
        """What to say of a run whose end could not be stored."""
        if isinstance(error, LostClaim) and (known := await self._store.run(live.run.id)) is not None:
            return known  # somebody else has ended it
        cause = live.unrecorded or error
        what = (
            "its start could not be stored, so it was stopped" if live.unrecorded else "its result could not be stored"
        )
        logger.error("run %s: %s", live.run.id, what, exc_info=cause)
        fault = Fault(
            "not_recorded", "StorageError", f"The run is lost: {what}. {cause}", hint=getattr(cause, "hint", None)
        )
        return msgspec.structs.replace(live.run, status="failed", result=None, error=fault, ended_at=time.time())

    async def _record_later(self, run: Run) -> None:
        """In the store it is still going on and holds its place: say there what its caller was told, once that can be stored."""
        while True:
            await anyio.sleep(_RECORD_AGAIN_S)
            try:
                await self._store.finish_run(run, "failed", error=run.error)
            except StorageError:
                continue
            except RepertoireError:  # somebody else has ended it, or the file is damaged and stays as it is
                return
            self._next_turn(run)
            return

    async def _perform(self, live: Live, place: Place | None) -> Outcome:
        while place is not None and place.held_by is not None:
            place = await self._wait_for_place(live, place.held_by)
        timeout = _timeout(live.version, self._limits)
        trusted = live.version.origin == "operator"
        async with self._pool.lease(trusted=trusted) as worker:
            if live.run.started_at is None:
                live.announce(started_at=time.time(), waiting_for=None)
                await self._store.mark_started(live.run.id, live.run.started_at or 0.0)
            with anyio.move_on_after(timeout):
                self._send_task(live, worker, place)
                return await self._attend(live, worker)
        return Outcome(
            status="failed",
            error=Fault(
                "timeout", "TimeoutError", f"The run took longer than {timeout:g} s and was stopped.",
                hint='Do less in one run, or declare __workflow__ = {"timeout_s": ...} in the module.',
            ),
        )  # fmt: skip

    def _send_task(self, live: Live, worker: Worker, place: Place | None) -> None:
        version = live.version
        code = None if version.hash in worker.known else version.code()
        worker.known.add(version.hash)
        state = None if place is None else place.state or "{}"
        worker.channel.send(
            Task(
                live.run.id, version.hash, live.run.arguments, code=code, state=state, cwd=_folder(version) or worker.scratch,
                max_result_bytes=self._limits.max_result_bytes, max_message_bytes=self._limits.max_event_bytes,
                session_id=live.run.session_id, env=live.env,
            )
        )  # fmt: skip

    async def _attend(self, live: Live, worker: Worker) -> Outcome:
        """Take what the worker sends until the body has ended or the worker has died."""
        while True:
            frame = await _reply(worker)
            events: list[NewEvent] = []
            while isinstance(frame, Events):
                events.extend((event.type, event.at, event.data) for event in frame.events)
                frame = await _reply(worker) if worker.channel.pending else None
            if isinstance(frame, Done):
                worker.reusable = True
                return Outcome(status="completed", result=frame.result, state=frame.state, events=tuple(events))
            if isinstance(frame, Failed):
                worker.reusable = True
                return Outcome(status="failed", error=frame.fault, events=tuple(events))
            if events:
                live.announce(last_event=await self._store.add_events(live.run.id, events))
            if isinstance(frame, Commit):
                await self._commit_state(live, worker, frame.state)
            elif isinstance(frame, Inspected) or (frame is None and worker.channel.closed):
                return Outcome(status="failed", error=await _death(worker))

    async def _commit_state(self, live: Live, worker: Worker, state: str) -> None:
        try:
            await self._store.commit_state(live.run, state)
        except Exception as error:  # the body hears of it and decides
            logger.exception("commit_state of %s", live.run.id)
            worker.channel.send(Committed(f"the state could not be stored: {error}"))
        else:
            worker.channel.send(Committed())

    async def _wait_for_place(self, live: Live, holder: str) -> Place:
        """Runs that change one session's state go one after the other, in the order in which they came."""
        waiting = self._turns.setdefault(_key(live.run), deque())
        waiting.append(live)
        data = {"level": "info", "message": f"waiting for {holder}"}
        try:
            live.announce(waiting_for=holder, started_at=None)
            last = await self._store.add_events(live.run.id, [("log", time.time(), data)])
            live.announce(last_event=last)
            while True:
                turn = live.turn = asyncio.Event()
                if waiting[0] is live:
                    place = await self._store.claim_place(live.run)
                    if place.held_by is None:
                        live.announce(waiting_for=None if self._pool.has_room else _A_WORKER)
                        return place
                await turn.wait()
        finally:
            waiting.remove(live)
            self._next_turn(live.run)

    def _next_turn(self, run: Run) -> None:
        """Wake the first that waits for this run's place; it asks the Store and waits on if somebody still holds it."""
        waiting = self._turns.get(_key(run))
        if waiting:
            waiting[0].turn.set()
        else:
            self._turns.pop(_key(run), None)


def _key(run: Run) -> tuple[str, str]:
    return run.session_id, run.workflow


async def _reply(worker: Worker) -> Any:
    try:
        return await worker.channel.receive()
    except ProtocolViolation:
        logger.exception("worker %s", worker.pid)
        return None


async def _death(worker: Worker) -> Fault:
    """Why the worker is gone, in words for the caller."""
    code = await worker.exit_code()
    if code is None or code == -9:
        return Fault(
            "worker_lost", "WorkerLost", "The process that ran this workflow was killed from outside; most often it used too much memory.",
            hint="Use less memory: stream the input instead of holding all of it.",
        )  # fmt: skip
    if code < 0:
        return Fault("worker_lost", "WorkerLost", f"The process that ran this workflow died of signal {-code}.")
    return Fault(
        "worker_exit", "WorkerExit", f"The workflow ended its own process with exit code {code} instead of returning.",
        hint="Return a value or raise an exception; do not call os._exit().",
    )  # fmt: skip


def _timeout(version: WorkflowVersion, limits: Limits) -> float:
    declared = version.options.timeout_s
    if declared is None:
        return limits.run_timeout_s
    return declared if version.origin == "operator" else min(declared, limits.run_timeout_s)


def _folder(version: WorkflowVersion) -> str | None:
    return os.path.dirname(version.path) if version.path else None


def _cancelled() -> Outcome:
    return Outcome(status="cancelled", error=Fault("cancelled", "Cancelled", "The run was cancelled."))


def _stopped() -> Outcome:
    fault = Fault(
        "server_stopped", "ServerStopped", "The server was stopped while this run was going on.", hint="Run it again."
    )
    return Outcome(status="failed", error=fault)


def unknown_run(run_id: str) -> UnknownRun:
    shown = run_id if len(run_id) <= 100 else run_id[:97] + "..."
    return UnknownRun(
        f"There is no run {shown!r}.", "Use the run_id that a call returned; runs of other users are not shown."
    )
