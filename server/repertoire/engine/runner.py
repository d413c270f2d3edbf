"""Runner: starts, resumes and cancels runs, and gives access to those that are live; used by the service, by doors and by Recovery.

Each run is a task of the group given to the Runner: `_carry` takes it from its start to its stored end. The parts do the work:

    Attempts        waits for the session's state, leases workers, runs the body
    EndRecorder     stores the end or the parking, and wakes other runs
    RunObserver     waits for a run, follows its events
    StorageTrouble  tells callers why nothing can be stored
    Inspector       loads a module and reads its schemas
    SandboxTrials   tries to leave the sandbox
    LiveTable       the runs that go on in this process

When the group is cancelled, unfinished runs stay as they are stored. The next owner of the home resumes them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeVar

import anyio
import anyio.abc

from ..errors import LostClaim, NotApproved, RepertoireError, UnknownRun
from ..limits import Limits
from ..model.run import Question, Run, RunEvent
from ..model.workflow_version import WorkflowVersion
from ..names import new_run_id
from ..sandbox.layers import Isolation
from ..store import Store
from ..store.audit import By
from ..store.journal import ResumePoint
from ..store.runs import IdempotencyKey
from ..store.state_turns import StateTurn
from ..wire import Fault
from .attempt import fingerprint, fingerprints
from .attempts import A_WORKER, Attempts
from .budget import Budget
from .cancellation import Cancellation
from .doors import Door
from .end_recorder import EndRecorder, OnParked
from .inspection import Inspector
from .interpreted import Interpreted
from .live_run import Live, Outcome, Parking, Watch
from .live_table import LiveTable
from .pool import WorkerPool
from .run_faults import cancellation, failure, foreign_journal, internal_failure, waits_for_approval
from .run_log import log_start
from .run_observer import RunObserver
from .sandbox_trials import SandboxTrials
from .server_tasks import in_server
from .state_turns import Turns
from .stopwatch import Stopwatch
from .storage_trouble import StorageTrouble

T = TypeVar("T")
logger = logging.getLogger(__name__)

_NO_ENV: Final[Mapping[str, str]] = MappingProxyType({})


class Runner:
    """`tasks` must outlive every run. `doors` are found by the names of their calls."""

    def __init__(
        self,
        store: Store,
        pool: WorkerPool,
        limits: Limits,
        tasks: anyio.abc.TaskGroup,
        check_may_run: Callable[[WorkflowVersion], Awaitable[None]],
        doors: Mapping[str, Door] | None = None,
        *,
        interpreted: Interpreted,
    ) -> None:
        """`check_may_run` raises NotApproved for a version that waits for a person's approval."""
        self._store = store
        self._check_may_run = check_may_run
        self._pool = pool
        self._limits = limits
        self._tasks = tasks
        self.doors: dict[str, Door] = dict(doors or {})
        self.watch = Watch()
        self.own_env = _NO_ENV
        """The environment of a run whose caller is gone: an earlier owner of the home has begun it."""
        self._live = LiveTable()
        self._turns = Turns(store)
        self._attempts = Attempts(store, pool, limits, tasks, self._turns, self.doors, self._withdraw, interpreted)
        self._ends = EndRecorder(store, self._live, self._turns, tasks, self.resume, self.cancel)
        self._cancellation = Cancellation(store, self._live, self._ends, tasks, self.handle)
        self._observer = RunObserver(store, pool, self._live, self.watch)
        self.inspect = Inspector(pool, limits, check_may_run, interpreted).inspect
        self.try_sandbox = SandboxTrials(pool, limits).try_all
        self.isolation = pool.isolation
        store.on_trouble(StorageTrouble(self._live).on_trouble)

    @property
    def known_isolation(self) -> Isolation | None:
        """The walls around untrusted runs. None: no process for them has been started yet; `isolation()` starts it."""
        return self._pool.known_isolation

    @property
    def live_runs(self) -> int:
        return len(self._live)

    def on_parked(self, hear: OnParked) -> None:
        """`hear` is called with each run that was parked and the time when it wakes; and with each run that has ended."""
        self._ends.on_parked = hear

    def start(
        self,
        version: WorkflowVersion,
        arguments: str,
        session_id: str,
        principal: str,
        env: Mapping[str, str] = _NO_ENV,
        *,
        provider_env: Mapping[str, str] = _NO_ENV,
        roots: tuple[str, ...] = (),
        cwd: str | None = None,
        parent: Live | None = None,
        path: str | None = None,
        run_id: str | None = None,
        rerun_of: str | None = None,
        rehearsal: Mapping[str, Door] | None = None,
        key: IdempotencyKey | None = None,
        lane: str = "",
        client: str = "",
    ) -> Live:
        """Record the run and set it going. Raises Busy when too many runs wait, OverBudget when it is too deep below others.

        `arguments` is a JSON object as text. `env` is the part of the caller's environment that the body sees, `provider_env` the part
        for the server's own requests to models. Names that the body calls are looked up in the folders `roots`. Lanes take turns for workers.

        With `rehearsal` it is an example's run: it and the runs below it use these doors instead of the runner's.

        With a `key`, another run may have that key already. Then this run does not exist, and `Live.recorded` raises KeyTaken.

        A worker gets the body while the start is still being stored, and calls it after that. Three kinds of runs wait for the stored
        start before they take a worker: with state, with a key, and reruns, because each of them reads something of it.
        """
        if parent is None:
            self._pool.check_room()
        has_room = self._pool.has_room
        given: dict[str, Any] = {"arguments": arguments, "session_id": session_id, "principal": principal}
        given |= {"rerun_of": rerun_of, "roots": roots, "cwd": cwd, "client": parent.run.client if parent else client}
        is_example = rehearsal is not None or (parent is not None and parent.run.is_example)
        run = _new_run(run_id, version, parent, path, has_room=has_room, is_example=is_example, **given)
        live = self._make_live(run, version, env, parent, ResumePoint(), lane, rehearsal, provider_env)
        if rerun_of is not None:
            live.mark_begun_again()
        behind = self._turns.run_before(run, parent) if version.uses_state else None
        recorded = self._store.start_run(
            run,
            with_state=version.uses_state and behind is None,
            fingerprint=fingerprint(),
            ancestors=live.ancestors,
            holds_worker=has_room and behind is None,
            key=key,
            version=version if version.is_unnamed else None,
        )
        live.await_record(recorded)
        needs_start = version.uses_state or live.begun_again or key is not None
        log_start(run)
        self._tasks.start_soon(self._carry, live, recorded if needs_start else None, behind, name=run.id)
        return live

    async def resume(
        self,
        run_id: str,
        *,
        env: Mapping[str, str] = _NO_ENV,
        provider_env: Mapping[str, str] = _NO_ENV,
        parent: Live | None = None,
        forced: bool = False,
        by: By | None = None,
    ) -> Live | None:
        """Begin the body of an unfinished run again, answered from its journal. None: there is nothing to do.

        A parked run gets its session's state as it is now. If another run holds that state, it stays parked until its turn.
        `forced`: also where another version of Python has written the journal. `by`: the person who resumes it.
        """
        if (live := self._live.get(run_id)) is not None:
            self._live.note_news(run_id)
            return live
        resume = partial(self._resume, run_id, env, provider_env, parent, forced, by)
        return await in_server(self._tasks, f"resume {run_id}", resume)

    async def _resume(
        self,
        run_id: str,
        env: Mapping[str, str],
        provider_env: Mapping[str, str],
        parent: Live | None,
        forced: bool,
        by: By | None,
    ) -> Live | None:
        known = await self._store.run(run_id, patient=True)
        if known is None or known.is_final:
            return None
        version = await self._store.version(known.version, patient=True)
        claimed = await self._store.claim_run(run_id, by)
        if claimed is None:  # it has ended meanwhile, or another task was quicker
            return self._live.get(run_id)
        run, point = claimed
        if version is None:
            await self._cancellation.end_unrun(
                run, point, Fault("version_gone", "VersionGone", "The text of this run's version is gone.")
            )
            return None
        if (why := await self._reason_to_wait(version, point, forced)) is not None:
            await self._store.park(run, why, wake_at=None, state=None, held_s=point.held_s)
            return None
        parent = parent or self._live.get(run.parent)
        kept_env, kept_keys = self._live.take_env(run_id)
        env, provider_env = kept_env or env or self.own_env, kept_keys or provider_env
        live = self._make_live(run, version, env, parent, point, "resumed", provider_env=provider_env)
        log_start(run, "goes on")
        live.mark_resumed(point.last_event, was_interrupted=point.was_interrupted)
        self._tasks.start_soon(self._carry, live, None, None, name=run.id)
        return live

    async def _reason_to_wait(self, version: WorkflowVersion, point: ResumePoint, forced: bool) -> str | None:
        """Why a person has to decide before the run goes on. None: it goes on. As long as the walls are not known, its own task asks: that may
        take a second, and until then nobody would find the run."""
        if self._pool.known_isolation is not None:
            try:
                await self._check_may_run(version)
            except NotApproved as refusal:
                return waits_for_approval(refusal)
        recorded, ours = fingerprints(point)
        return foreign_journal(recorded, ours) if recorded != ours and not forced else None

    def _make_live(
        self,
        run: Run,
        version: WorkflowVersion,
        env: Mapping[str, str],
        parent: Live | None,
        point: ResumePoint,
        lane: str,
        rehearsal: Mapping[str, Door] | None = None,
        provider_env: Mapping[str, str] = _NO_ENV,
    ) -> Live:
        above = parent.budget if parent else None
        budget = Budget.of(version, self._limits, above, calls=point.calls, used=point.used)
        budget.check_depth(run.depth, _chain(run, parent))
        stopwatch = Stopwatch(timeout_of(version, self._limits), point.held_s)
        live = Live(run, version, env, self.watch, budget, stopwatch, parent, lane, rehearsal, provider_env)
        self._live.add(live)
        return live

    async def wait(self, run_id: str, seconds: float | None) -> Run | None:
        """The run when it has ended or asks a question, or as it is after `seconds`. None: there is no such run."""
        return await self._observer.wait(run_id, seconds)

    def current(self, run_id: str) -> Run | None:
        """A live run, with the reason why it waits, which only memory has."""
        return self._observer.current(run_id)

    def live(self, run_id: str) -> Live | None:
        return self._live.get(run_id)

    def follow(self, run_id: str, after: int = 0, *, nested: bool = False) -> AsyncIterator[RunEvent]:
        """Events from number after + 1 until `run_end`; `nested`: also those of the runs below it."""
        return self._observer.follow(run_id, after, nested=nested)

    def forget_question(self, question: Question) -> None:
        """It is not asked any more: not by its run, and not by any run above it."""
        self._live.forget_question(question)

    async def in_server(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something that goes on although its caller is cancelled."""
        return await in_server(self._tasks, name, work)

    def handle(self, run: Run, version: WorkflowVersion) -> Live:
        """A handle for a run that is not live here."""
        live = Live(run, version, {}, self.watch, Budget.of(None, self._limits), Stopwatch(0.0, 0.0))
        live.end()
        return live

    async def cancel(self, run_id: str, by: By | None = None) -> None:
        """Kill the run's worker, record it as cancelled, and cancel the runs below it. Returns when that is done. A run that has ended
        is no error. `by`: whoever wants it; None: the server itself."""
        await self._cancellation.cancel(run_id, by)

    async def give_up(self, run_id: str, fault: Fault) -> None:
        """Record a run that has no worker as failed."""
        await self._cancellation.give_up(run_id, fault)

    async def _withdraw(self, run_id: str, path: str) -> None:
        """The body has cancelled the call at `path`."""
        await self._cancellation.withdraw(run_id, path)

    async def _carry(self, live: Live, needed: asyncio.Future[StateTurn | None] | None, behind: str | None) -> None:
        """One run from its start to its stored end. `needed`: its stored start, if the body must not begin before. `behind`: the run
        that holds its session's state, or waits for it.

        Raises only when the whole server is being stopped.
        """
        end: Outcome | Parking | None = None
        try:
            with live.scope:
                turn = await asyncio.shield(needed) if needed is not None else None
                await self._check_may_run(live.version)
                end = await self._attempts.perform(live, StateTurn(held_by=behind) if behind else turn)
            end = end or cancellation(live.cancelled_by)
        except anyio.get_cancelled_exc_class():
            self._live.leave(live)  # the next owner of the home resumes it
            raise
        except LostClaim:
            logger.warning("%s has been taken over by another process", live.run.id)
            self._live.leave(live)
            return
        except NotApproved as refusal:
            end = failure(refusal)
            if live.is_resumed:
                live.begin_parking()
                end = Parking(why=waits_for_approval(refusal))
        except RepertoireError as error:
            end = failure(error)
        except Exception:  # the edge of a run: each error of the server becomes a recorded fault
            logger.exception("run %s", live.run.id)
            end = internal_failure()
        if live.unrecorded is not None:
            self._ends.drop_unrecorded(live)
        elif isinstance(end, Parking) and not live.is_cancelled:
            await self._ends.park(live, end)
        else:
            await self._ends.record(live, end if isinstance(end, Outcome) else cancellation(live.cancelled_by))


def _new_run(
    run_id: str | None,
    version: WorkflowVersion,
    parent: Live | None,
    path: str | None,
    *,
    has_room: bool,
    is_example: bool,
    **given: Any,
) -> Run:
    """`given` are fields of Run that the caller of the run decides."""
    now = time.time()
    return Run(
        id=run_id or new_run_id(version.name),
        workflow=version.name,
        version=version.hash,
        created_at=now,
        last_event=1,
        started_at=now if has_room else None,
        waiting_for=None if has_room else A_WORKER,
        parent=parent.run.id if parent else None,
        parent_path=path,
        root=parent.run.top if parent else None,
        depth=parent.run.depth + 1 if parent else 0,
        is_example=is_example,
        **given,
    )


def _chain(run: Run, parent: Live | None) -> str:
    names = [run.workflow]
    while parent is not None and len(names) < 6:
        names.append(parent.run.workflow)
        parent = parent.parent
    return " < ".join(names)


def timeout_of(version: WorkflowVersion, limits: Limits) -> float:
    """Seconds for which a run of this version may hold a worker."""
    declared = version.options.timeout_s
    if declared is None:
        return limits.run_timeout_s
    return declared if version.is_trusted else min(declared, limits.run_timeout_s)


def unknown_run(run_id: str) -> UnknownRun:
    shown = run_id if len(run_id) <= 100 else run_id[:97] + "..."
    return UnknownRun(
        f"There is no run {shown!r}.", "Use the run_id that a call returned; runs of other users are not shown."
    )
