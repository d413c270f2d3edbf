"""Live: a run that goes on in this process, from its start (or from its resuming) until it has ended or is parked.

Used by the runner and its parts, by the doors, and by the service as the handle of a run. Live neither stores anything nor starts a
worker. Rules:

1. Other modules read the fields and call the methods. Only the methods here assign fields or set events.
2. `done` is set once, by `end`: nothing of the run goes on here any more.
3. `settled` is set while a caller that waits for the run has to be told something: it has ended, is parked, asks a question, or is
   held back. So it may be cleared again.
4. `over` is set when it makes no sense to wait longer: the run is done, or held back.
5. A change of `run` is announced to the watchers of the run and of all runs above it.

`Outcome` is the end of a run to be recorded, `Parking` the reason why it needs no worker, `Watch` the list of watchers of all runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import anyio
import msgspec

from ..model.lifecycle import Status
from ..model.run import Question, Run
from ..model.workflow_version import WorkflowVersion
from ..store.audit import By
from ..store.runs import NewEvent
from ..store.state_turns import StateTurn
from ..wire import Fault
from .budget import Budget
from .stopwatch import Stopwatch


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a run, as it is to be recorded."""

    status: Status
    result: str | None = None
    remark: str | None = None
    """What is different in the result because JSON cannot hold it."""
    error: Fault | None = None
    state: str | None = None
    events: tuple[NewEvent, ...] = ()
    by: By | None = None
    """Whoever has cancelled it. None: the server itself, or it was not cancelled."""


class Parking(msgspec.Struct, frozen=True, kw_only=True):
    """The run needs no worker until something happens. `why` names it for people. At `wake_at` the run goes on in any case. `news` is
    done when it has happened already."""

    why: str
    status: Status = "working"
    wake_at: float | None = None
    state: str | None = None
    news: asyncio.Future[Any] | None = None


class Watch:
    """Watchers of runs: futures that are done with the next change of a run. The run need not be live here."""

    def __init__(self) -> None:
        self._watchers: dict[str, list[asyncio.Future[None]]] = {}

    def next(self, run_id: str) -> asyncio.Future[None]:
        """Done when the run's event log has grown, or the run has changed otherwise."""
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.setdefault(run_id, []).append(watcher)
        return watcher

    def announce(self, run_id: str) -> None:
        for watcher in self._watchers.pop(run_id, ()):
            if not watcher.done():
                watcher.set_result(None)

    def forget(self, run_id: str, watcher: asyncio.Future[None]) -> None:
        """Nobody waits for this future any more."""
        waiting = self._watchers.get(run_id, [])
        if watcher in waiting:
            waiting.remove(watcher)
            if not waiting:
                del self._watchers[run_id]


class Live:
    def __init__(
        self,
        run: Run,
        version: WorkflowVersion,
        env: Mapping[str, str],
        watch: Watch,
        budget: Budget,
        stopwatch: Stopwatch,
        parent: Live | None = None,
        lane: str = "",
        rehearsal: Mapping[str, Any] | None = None,
        provider_env: Mapping[str, str] | None = None,
    ) -> None:
        self.run = run
        self.version = version
        self.env = dict(env)
        self.provider_env: Mapping[str, str] = parent.provider_env if parent else provider_env or {}
        """The caller's variables of model providers. They stay in this process: no worker gets them."""
        self.budget = budget
        self.stopwatch = stopwatch
        self.parent = parent
        self.lane: str = parent.lane if parent else lane
        """The caller's lane in the queue for workers. Runs below this one have the same."""
        self.rehearsal: Mapping[str, Any] | None = rehearsal or (parent.rehearsal if parent else None)
        """Doors by name, in an example's run: nothing that it does has an effect outside."""
        self.scope = anyio.CancelScope()
        self.done = asyncio.Event()
        self.settled = asyncio.Event()
        self.over = asyncio.Event()
        self.queued = asyncio.Event()
        """Set when the run has to wait for its session's state."""
        self.recorded: asyncio.Future[Any] | None = None
        """Done when the run's start is stored. None: it was stored before."""
        self.unrecorded: Exception | None = None
        """The reason why the start could not be stored. The run is stopped then, and nothing of it is kept."""
        self.worker_pid: int | None = None
        """The process that has the body, or had it last."""
        self.begun_again = False
        """The body is answered from the run's journal first."""
        self.is_resumed = False
        """The run was begun by another process, or was parked."""
        self.was_interrupted = False
        """A body of it went on when another process ended."""
        self.has_children = False
        self.is_cancelled = False
        self.cancelled_by: By | None = None
        self.is_parking = False
        """It is decided that the run needs no worker now. From here on no news reaches its body in this process."""
        self.is_held_back = False
        """Nothing can be stored now. Callers are told why, and learn about the run's end only when that is stored."""
        self.pins: dict[str, WorkflowVersion] = {}
        """Versions that the body's calls run, by the names that it has used."""
        self.has_old_pins = False
        """The pins of earlier attempts are among them."""
        self._watch = watch

    @property
    def ancestors(self) -> tuple[str, ...]:
        """Ids of the runs above this one, nearest first."""
        above, live = [], self.parent
        while live is not None:
            above.append(live.run.id)
            live = live.parent
        return tuple(above)

    def await_record(self, recorded: asyncio.Future[StateTurn | None]) -> None:
        """`recorded` is done when the run's start is stored. If it cannot be stored, the run is stopped."""
        self.recorded = recorded
        recorded.add_done_callback(self._on_start_stored)

    def _on_start_stored(self, recorded: asyncio.Future[StateTurn | None]) -> None:
        if not recorded.cancelled() and isinstance(error := recorded.exception(), Exception):
            self.unrecorded = error
            self.scope.cancel()
        self.announce()

    async def wait_until_recorded(self) -> bool:
        """Wait until the start is stored. False: it could not be. No caller gets the id of a run before."""
        if self.recorded is not None and not self.recorded.done():
            await asyncio.wait([self.recorded])
        return self.unrecorded is None

    def number_events(self, count: int) -> int:
        """Reserve the numbers of the next events. Returns the first of them."""
        first = self.run.last_event + 1
        self.run = msgspec.structs.replace(self.run, last_event=first + count - 1)
        return first

    def announce(self, **changes: Any) -> None:
        """Change fields of `run`, if any are given, and wake the watchers."""
        if changes:
            self.run = msgspec.structs.replace(self.run, **changes)
        live: Live | None = self
        while live is not None:  # a watcher of a run may watch the runs below it too
            self._watch.announce(live.run.id)
            if live.parent is None and live.run.parent is not None:  # the parent is parked
                self._watch.announce(live.run.parent)
                self._watch.announce(live.run.top)
            live = live.parent

    def mark_begun_again(self) -> None:
        self.begun_again = True

    def mark_resumed(self, last_event: int, *, was_interrupted: bool) -> None:
        self.begun_again = self.is_resumed = self.has_children = True
        self.was_interrupted = was_interrupted
        self.announce(last_event=last_event, waiting_for=None)
        if self.run.questions:  # they are still open: a caller that waits for the run is told at once
            self.settled.set()

    def mark_queued(self) -> None:
        self.queued.set()

    def mark_children(self) -> None:
        self.has_children = True

    def pin(self, name: str, version: WorkflowVersion) -> WorkflowVersion:
        """Calls of `name` run this version from now on, or the one that another call of the same workflow has pinned already."""
        self.pins[name] = self.pins.setdefault(version.name, version)
        return self.pins[name]

    def add_old_pins(self, versions: Iterable[WorkflowVersion]) -> None:
        """Versions that the run's calls have run in earlier attempts."""
        for version in versions:
            self.pins.setdefault(version.name, version)
        self.has_old_pins = True

    def begin_parking(self) -> None:
        self.is_parking = True

    def cancel(self, by: By | None = None) -> None:
        """Stop the run's task. The runner then records the run as cancelled, `by` the first who has said so."""
        self.is_cancelled = True
        self.cancelled_by = self.cancelled_by or by
        self.scope.cancel()

    def add_question(self, question: Question) -> None:
        """The run asks this, and so does every run above it: their callers see the question."""
        live: Live | None = self
        while live is not None:
            others = (one for one in live.run.questions if one.id != question.id)
            live.announce(status="input_required", questions=(*others, question))
            live.settled.set()
            live = live.parent

    def forget_questions(self, run_id: str, question_id: str | None = None) -> None:
        """Remove one question of that run, or all of them, from this run and from every run above it."""
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
        """Nothing can be stored now, and `why`: tell that to every caller that waits."""
        if not self.is_held_back and not self.done.is_set():
            self.is_held_back = True
            self.announce(waiting_for=f"its record to be written: {why}")
            self.settled.set()
            self.over.set()

    def let_go(self) -> None:
        """Records can be stored again."""
        if self.is_held_back and not self.done.is_set():
            self.is_held_back = False
            self.over.clear()
            if not self.run.is_settled:
                self.settled.clear()
            self.announce(waiting_for=None)

    def end(self, run: Run | None = None) -> None:
        """Nothing of it goes on here. `run` is the stored record of its end or its parking, where there is one."""
        if run is not None:
            self.run = run
        self.done.set()
        self.settled.set()
        self.over.set()
        self.announce()
