"""A run that this process is running, and whoever waits for something to happen to a run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import anyio
import msgspec

from ..model.lifecycle import Status
from ..model.run import Run
from ..model.workflow import WorkflowVersion
from ..store.runs import NewEvent, Place
from ..wire import Fault
from .budget import Budget


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be recorded of a run's end."""

    status: Status
    result: str | None = None
    error: Fault | None = None
    state: str | None = None
    events: tuple[NewEvent, ...] = ()


class Parking(msgspec.Struct, frozen=True, kw_only=True):
    """A run needs no worker until something happens. `why` in words; `wake_at`: go on then whatever else happens; `news`: it is here
    already when this is done."""

    why: str
    status: Status = "working"
    wake_at: float | None = None
    state: str | None = None
    news: asyncio.Future[Any] | None = None


class Watch:
    """Who waits for news of a run, whether it is live here or not."""

    def __init__(self) -> None:
        self._watchers: dict[str, list[asyncio.Future[None]]] = {}

    def next(self, run_id: str) -> asyncio.Future[None]:
        """Done when the run's log has grown, or it has changed otherwise."""
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.setdefault(run_id, []).append(watcher)
        return watcher

    def announce(self, run_id: str) -> None:
        for watcher in self._watchers.pop(run_id, ()):
            if not watcher.done():
                watcher.set_result(None)

    def forget(self, run_id: str, watcher: asyncio.Future[None]) -> None:
        """Nobody waits with this one any more."""
        waiting = self._watchers.get(run_id, [])
        if watcher in waiting:
            waiting.remove(watcher)
            if not waiting:
                del self._watchers[run_id]


class Stopwatch:
    """For how long a run has held a place among the workers: it does not run while the run waits, or is parked."""

    def __init__(self, limit_s: float, used_s: float) -> None:
        self.limit_s = limit_s
        self._used_s = used_s
        self._since: float | None = None
        self._pauses = 0
        self._scope: anyio.CancelScope | None = None

    def start(self, scope: anyio.CancelScope) -> None:
        """Cancel `scope` when the time is over."""
        self._scope = scope
        self._go_on()

    def stop(self) -> None:
        self._halt()
        self._scope = None

    def pause(self) -> None:
        self._pauses += 1
        self._halt()

    def resume(self) -> None:
        self._pauses -= 1
        if self._pauses == 0:
            self._go_on()

    @property
    def used_s(self) -> float:
        return self._used_s + (0.0 if self._since is None else time.monotonic() - self._since)

    def _go_on(self) -> None:
        if self._scope is not None and not self._pauses:
            self._since = time.monotonic()
            self._scope.deadline = anyio.current_time() + self.limit_s - self._used_s

    def _halt(self) -> None:
        self._used_s, self._since = self.used_s, None
        if self._scope is not None:
            self._scope.deadline = float("inf")


class Live:
    """Lives from a run's start, or from its going on, until it has ended or is parked."""

    def __init__(
        self, run: Run, version: WorkflowVersion, env: Mapping[str, str], watch: Watch, budget: Budget, stopwatch: Stopwatch,
        parent: Live | None = None, lane: str = "",
    ) -> None:  # fmt: skip
        self.run = run
        self.lane: str = parent.lane if parent else lane
        """Whose turn it is when workers are given: its caller's, and so that of all below it."""
        self.version = version
        self.env = dict(env)
        self.scope = anyio.CancelScope()
        self.done = asyncio.Event()
        """Set when it has ended or is parked: nothing of it goes on here."""
        self.settled = asyncio.Event()
        """Set then too, while somebody is asked, and while it is held back."""
        self.has_children = False
        self.pins: dict[str, WorkflowVersion] = {}
        """What its calls of a name run, by the names that they have used."""
        self.has_pins = False
        """Those of before it was begun again are among them."""
        self.turn = asyncio.Event()
        self.parking = False
        """Set when it has been decided that it needs no worker for now: what it waits for is no longer heard here."""
        self.queued = asyncio.Event()
        """Set when it has to wait for the place of its state."""
        self.budget = budget
        self.stopwatch = stopwatch
        self.parent = parent
        self.begun_again = False
        """Its body is to be answered from its journal first."""
        self.resumed = False
        """It was begun in another process, or parked."""
        self.cancelled = False
        self.rehearsal: Mapping[str, Any] | None = None
        """Doors by their names, of an example's run: nothing that it does may be felt outside."""
        self.recorded: asyncio.Future[Any] | None = None
        """Done when its start is stored; None: it was stored before."""
        self.unrecorded: Exception | None = None
        """Why its start could not be stored: such a run is stopped, and nothing of it is kept."""
        self.held_back = False
        """What it came to cannot be stored now: nobody is told that before, but whoever waits is told why."""
        self.over = asyncio.Event()
        """Set when there is nothing more to wait for: it is done, or held back."""
        self._watch = watch

    @property
    def kin(self) -> tuple[str, ...]:
        """The runs above it."""
        above, live = [], self.parent
        while live is not None:
            above.append(live.run.id)
            live = live.parent
        return tuple(above)

    def started(self, recorded: asyncio.Future[Place | None]) -> None:
        """Its start is stored, or could not be."""
        if not recorded.cancelled() and isinstance(error := recorded.exception(), Exception):
            self.unrecorded = error
            self.scope.cancel()
        self.announce()

    async def begun(self) -> bool:
        """Wait until its start is stored; False: it could not be. Nobody is told the id of a run before."""
        if self.recorded is not None and not self.recorded.done():
            await asyncio.wait([self.recorded])
        return self.unrecorded is None

    def number(self, count: int) -> int:
        """The numbers of the next events: the first of them."""
        first = self.run.last_event + 1
        self.run = msgspec.structs.replace(self.run, last_event=first + count - 1)
        return first

    def announce(self, **changes: Any) -> None:
        if changes:
            self.run = msgspec.structs.replace(self.run, **changes)
        live: Live | None = self
        while live is not None:  # who watches a run may watch those below it too
            self._watch.announce(live.run.id)
            if live.parent is None and live.run.parent is not None:  # that one is parked
                self._watch.announce(live.run.parent)
                self._watch.announce(live.run.top)
            live = live.parent

    def forget_questions(self, run_id: str, question_id: str | None = None) -> None:
        """That run asks this (or anything) no longer: neither do those above it."""
        live: Live | None = self
        while live is not None:
            run = live.run
            rest = tuple(q for q in run.questions if q.run_id != run_id or (question_id and q.id != question_id))
            if len(rest) < len(run.questions) and not run.is_final:
                live.announce(status="input_required" if rest else "working", questions=rest)
                if not rest and not live.over.is_set():
                    live.settled.clear()
            live = live.parent

    def hold_back(self, why: str) -> None:
        """Nothing of it can be recorded now: whoever waits for it is told so, and of its end only when that is recorded."""
        if not self.held_back and not self.done.is_set():
            self.held_back = True
            self.announce(waiting_for=f"its record to be written: {why}")
            self.settled.set()
            self.over.set()

    def let_go(self) -> None:
        """It can be recorded again."""
        if self.held_back and not self.done.is_set():
            self.held_back = False
            self.over.clear()
            if not self.run.is_settled:
                self.settled.clear()
            self.announce(waiting_for=None)

    def end(self) -> None:
        self.done.set()
        self.settled.set()
        self.over.set()
        self.announce()

    def ended_with(self, fault: Fault) -> Run:
        return msgspec.structs.replace(self.run, status="failed", result=None, error=fault, ended_at=time.time())
