"""The runner: takes a version and arguments, holds a worker for the body, and records what becomes of it.

Every run is a task of the group given to it. Watchers do not ask the runner for events: they read the Store's log by number,
and the runner only tells them that there is more. When the group is cancelled, unfinished runs stay as they are: the next owner of
the home goes on with them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

import anyio
import anyio.abc
import msgspec

from ..errors import LostClaim, RepertoireError, StorageError, UnknownRun
from ..model.run import Question, Run, RunEvent
from ..model.workflow import WorkflowVersion
from ..names import new_run_id
from ..settings import Limits
from ..store import Store
from ..store.journal import ResumePoint
from ..store.runs import Key, KeyTaken, Place
from ..wire import Failed, Fault, Inspect, Inspected
from .attempt import Attempt, Death, fingerprint, folder_of, reply
from .budget import Budget
from .call_executor import Door
from .live_run import Live, Outcome, Parking, Stopwatch, Watch
from .pool import WorkerPool
from .run_faults import cancelled, death, not_started, other_fingerprint
from .state_turns import Turns

logger = logging.getLogger(__name__)

_NO_ENV: Final[Mapping[str, str]] = MappingProxyType({})
_WAKE_AGAIN_S: Final = 1.0
"""How often a parked run that could not be read is tried again: the disk may have room, the lock may be gone."""
_LOOK_AGAIN_S: Final = 0.5
"""How often a caller who knows that the disk is in trouble looks whether it still is."""
_HELD_BACK_S: Final = 1.0
"""How long callers wait for records that cannot be written before they are told so, beside what SQLite waits for a lock."""
_CANCEL_TRIES: Final = 5
_MAX_ZYGOTE_DEATHS: Final = 10
"""How often a run is begun again because what had forked its worker died. More, and the body itself may be the cause."""
_INSPECTIONS: Final = 3
_INSPECT_AGAIN_S: Final = 0.1
_A_WORKER: Final = "a worker: as many runs as the `workers` setting allows are going on"


class Runner:
    """Give it a task group that outlives every run, and the doors of bodies by the names of their calls."""

    def __init__(
        self, store: Store, pool: WorkerPool, limits: Limits, tasks: anyio.abc.TaskGroup, doors: Mapping[str, Door] | None = None
    ) -> None:  # fmt: skip
        self._store = store
        self._pool = pool
        self._limits = limits
        self._tasks = tasks
        self.doors: dict[str, Door] = dict(doors or {})
        self.watch = Watch()
        self._live: dict[str, Live] = {}
        self._turns = Turns(store)
        self._trouble: asyncio.TimerHandle | None = None
        store.on_trouble(self._hear_of_trouble)
        self._woken: set[str] = set()
        self._envs: dict[str, Mapping[str, str]] = {}
        self.own_env = _NO_ENV
        """What a body sees whose caller is gone: a run that an earlier owner of the home has begun."""
        self.on_parked = _nothing
        """Called with each run that has been parked, and when it goes on by itself; and with each that has ended."""

    @property
    def live_runs(self) -> int:
        return len(self._live)

    def start(
        self, version: WorkflowVersion, arguments: str, session_id: str, principal: str, env: Mapping[str, str] = _NO_ENV, *,
        roots: tuple[str, ...] = (), cwd: str | None = None, parent: Live | None = None, path: str | None = None,
        run_id: str | None = None, rerun_of: str | None = None, rehearsal: Mapping[str, Door] | None = None, key: Key | None = None,
        lane: str = "",
    ) -> Live:  # fmt: skip
        """`arguments` is a JSON object as text, `env` what the body sees of its caller's environment, `roots` the folders in which the
        names that it calls are looked up, `lane` who takes turns with others for a worker.

        Record the run and set it going. Raises Busy when too many wait already, OverBudget when it is too deep below others.

        A body without state is made ready while its start is being stored, and called when it is.

        With `rehearsal` it is an example's run: these doors instead of the house's, for it and whatever it calls. With a `key` it may
        turn out that another run has that already: then there is none of this one, and `Live.recorded` raises KeyTaken.
        """
        if parent is None:
            self._pool.check_room()
        now, has_room = time.time(), self._pool.has_room
        run = Run(
            id=run_id or new_run_id(version.name), workflow=version.name, version=version.hash, session_id=session_id,
            principal=principal, arguments=arguments, created_at=now, last_event=1, started_at=now if has_room else None,
            waiting_for=None if has_room else _A_WORKER, parent=parent.run.id if parent else None, parent_path=path,
            root=parent.run.top if parent else None, depth=parent.run.depth + 1 if parent else 0, rerun_of=rerun_of, roots=roots, cwd=cwd,
            is_example=rehearsal is not None or (parent is not None and parent.run.is_example),
        )  # fmt: skip
        live = self._made(run, version, env, parent, ResumePoint(), lane)
        live.rehearsal = rehearsal or (parent.rehearsal if parent else None)
        live.begun_again = rerun_of is not None
        behind = self._turns.behind(run, parent) if version.uses_state else None
        recorded = self._store.start_run(
            run, with_state=version.uses_state and behind is None, fingerprint=fingerprint(), kin=live.kin,
            holds_worker=has_room and behind is None, key=key,
        )  # fmt: skip
        live.recorded = recorded
        recorded.add_done_callback(live.started)
        needs_start = version.uses_state or live.begun_again or key is not None  # a rerun reads its own row
        self._tasks.start_soon(self._carry, live, recorded if needs_start else None, behind, name=run.id)
        return live

    async def resume(
        self, run_id: str, *, env: Mapping[str, str] = _NO_ENV, parent: Live | None = None, forced: bool = False
    ) -> Live | None:
        """Go on with a run that nobody runs: its body is begun again, and answered from its journal. None: there is nothing to do.

        A parked one goes on with its session's state as it is now; where another run holds that, it stays parked until its turn.
        """
        if (live := self._live.get(run_id)) is not None:
            self._woken.add(run_id)
            return live
        known = await self._store.run(run_id, patient=True)
        if known is None or known.is_final:
            return None
        version = await self._store.version(known.version, patient=True)
        claimed = await self._store.claim_run(run_id)
        if claimed is None:  # it has ended meanwhile, or somebody else was quicker
            return self._live.get(run_id)
        run, point = claimed
        if version is None:
            await self._end_unrun(
                run, point, Fault("version_gone", "VersionGone", "The text of this run's version is gone.")
            )
            return None
        if point.fingerprint not in (None, fingerprint()) and not forced:
            why = other_fingerprint(point.fingerprint or "", fingerprint())
            await self._store.park(run, why, wake_at=None, state=None, held_s=point.held_s)
            return None
        parent = parent or self._live.get(run.parent or "")
        env = self._envs.pop(run_id, _NO_ENV) or env or self.own_env
        live = self._made(run, version, env, parent, point, "resumed")
        live.begun_again = live.resumed = live.has_children = True
        live.announce(last_event=point.last_event, waiting_for=None)
        if run.questions:  # it asks still: whoever waits for it is told at once
            live.settled.set()
        self._tasks.start_soon(self._carry, live, None, None, name=run.id)
        return live

    def _made(
        self, run: Run, version: WorkflowVersion, env: Mapping[str, str], parent: Live | None, point: ResumePoint,
        lane: str = "",
    ) -> Live:  # fmt: skip
        budget = Budget.of(version.options.budget, self._limits, parent.budget if parent else None, calls=point.calls)
        budget.check_depth(run.depth, _chain(run, parent))
        stopwatch = Stopwatch(timeout_of(version, self._limits), point.held_s)
        live = self._live[run.id] = Live(run, version, env, self.watch, budget, stopwatch, parent, lane)
        return live

    async def inspect(self, version: WorkflowVersion, env: Mapping[str, str] = _NO_ENV) -> Inspected | Fault:
        """Load the module and read its schemas, in a process that runs nothing else: its top level may change anything there. Again
        where that process died, a few times: it may have been killed from outside, and then the module is not to blame."""
        for attempt in range(1, _INSPECTIONS + 1):
            try:
                found = await self._inspect_once(version, env)
            except OSError as error:  # the process that forks workers is gone, and no other could be started
                found = not_started(error)
            if not isinstance(found, Fault) or found.code != "worker_lost":
                break
            logger.warning("loading %s, attempt %d of %d: %s", version.name, attempt, _INSPECTIONS, found.message)
            await anyio.sleep(_INSPECT_AGAIN_S * attempt)
        return found

    async def _inspect_once(self, version: WorkflowVersion, env: Mapping[str, str]) -> Inspected | Fault:
        async with self._pool.lease(trusted=version.origin == "operator", once=True, caller="looks") as worker:
            worker.channel.send(Inspect(version.code(), cwd=folder_of(version), env=dict(env)))
            with anyio.move_on_after(self._limits.inspect_timeout_s):
                frame = await reply(worker)
                if isinstance(frame, Inspected):
                    return frame
                if isinstance(frame, Failed):
                    return frame.fault
                return death(await worker.exit_code())[0]
        return Fault(
            "import_timeout", "TimeoutError", f"Loading the module took longer than {self._limits.inspect_timeout_s:g} s.",
            hint="Move work from the module's top level into run().",
        )  # fmt: skip

    async def wait(self, run_id: str, seconds: float | None) -> Run | None:
        """The run when it has ended or asks somebody, or as it is when `seconds` are over; None: there is none."""
        deadline = None if seconds is None else time.monotonic() + seconds
        first = self._live.get(run_id)
        knows = first is not None and first.held_back  # who asks again, though told why, is not told so at once again
        while True:
            live = self._live.get(run_id)
            changed = None if live is not None else self.watch.next(run_id)
            run = self._shown(live) if live is not None else await self._store.run(run_id)
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            try:
                held_back = live is not None and live.held_back
                if run is None or run.is_settled or left == 0 or (held_back and not knows):
                    if live is not None:
                        await live.begun()
                    return run
                with anyio.move_on_after(
                    _LOOK_AGAIN_S if held_back and (left is None or left > _LOOK_AGAIN_S) else left
                ):
                    if live is not None:
                        await (live.done if held_back else live.settled).wait()
                    elif changed is not None:
                        await changed
                if live is not None and live.run.is_settled:
                    return live.run
            finally:
                if changed is not None:
                    self.watch.forget(run_id, changed)

    def current(self, run_id: str) -> Run | None:
        """A run that is going on, with what only memory knows of it (what it waits for)."""
        live = self._live.get(run_id)
        return None if live is None else self._shown(live)

    def _shown(self, live: Live) -> Run:
        """With its place in the queue, where it waits for a worker."""
        if live.run.waiting_for is None or (before := self._pool.before(live.run.id)) is None:
            return live.run
        return msgspec.structs.replace(live.run, waiting_for=_in_queue(before))

    def live(self, run_id: str) -> Live | None:
        return self._live.get(run_id)

    def forget_question(self, question: Question) -> None:
        """It is asked no longer: not by its run, and not by any above it, of which some may be parked and others go on."""
        for live in list(self._live.values()):
            if any(asked.id == question.id for asked in live.run.questions):
                live.forget_questions(question.run_id, question.id)

    async def give_up(self, run_id: str, fault: Fault) -> None:
        """Record a run that nobody runs as failed."""
        if (claimed := await self._store.claim_run(run_id)) is not None:
            await self._end_unrun(*claimed, fault)

    def handle(self, run: Run, version: WorkflowVersion) -> Live:
        """For a run that is not going on here."""
        live = Live(run, version, {}, self.watch, Budget.of(None, self._limits), Stopwatch(0.0, 0.0))
        live.end()
        return live

    async def cancel(self, run_id: str) -> None:
        """Kill its worker and record it as cancelled, with all below it; returns when that is done. No error when it has ended already."""
        for _ in range(_CANCEL_TRIES):  # meanwhile it may be parked, or begun again
            if (live := self._live.get(run_id)) is not None:
                live.cancelled = True
                live.scope.cancel()
                await live.over.wait()
                if not live.done.is_set():
                    return
            elif (claimed := await self._store.claim_run(run_id)) is not None:
                await self._end_unrun(*claimed, None)
            elif run_id not in self._live:  # it has ended
                break
        await self._cancel_below(run_id)

    async def follow(self, run_id: str, after: int = 0, *, nested: bool = False) -> AsyncIterator[RunEvent]:
        """Events numbered after+1 and on, until run_end or, for a run that nobody will go on with, the end of its log.

        `nested`: those of runs below it too, from their beginning, each with its run's id as `run_id` in its data.
        """
        seen = {run_id: after}
        while True:
            changed = self.watch.next(run_id)
            try:
                events = [(of, event) for of in list(seen) for event in await self._store.events(of, seen[of])]
                for of, event in events:
                    seen[of] = event.n
                    if event.type == "run_end" and (live := self._live.get(of)) is not None:
                        await live.done.wait()  # whoever hears of the end is to find the run ended
                    if nested and event.type == "call_start" and "run_id" in event.data:
                        seen.setdefault(event.data["run_id"], 0)
                    yield event if of == run_id else msgspec.structs.replace(event, data={**event.data, "run_id": of})
                    if event.type == "run_end":
                        if of == run_id:
                            return
                        del seen[of]
                if not events:
                    if run_id not in self._live and ((run := await self._store.run(run_id)) is None or run.is_final):
                        return
                    await changed
            finally:
                self.watch.forget(run_id, changed)

    async def _carry(self, live: Live, needed: asyncio.Future[Place | None] | None, behind: str | None) -> None:
        """One run from start to record. `needed`: its start, where the body must not begin before that is stored.

        Never raises but when the whole house is going down.
        """
        end: Outcome | Parking | None = None
        try:
            with live.scope:
                place = await asyncio.shield(needed) if needed is not None else None
                end = await self._perform(live, Place(held_by=behind) if behind else place)
            end = end or cancelled()
        except anyio.get_cancelled_exc_class():
            self._live.pop(live.run.id, None)  # the next owner of the home goes on with it
            live.end()
            raise
        except LostClaim:
            logger.warning("%s has been taken over by another process", live.run.id)
            self._live.pop(live.run.id, None)
            live.end()
            return
        except RepertoireError as error:
            fault = Fault(error.code, type(error).__name__, error.message, hint=error.hint)
            end = Outcome(status="failed", error=fault)
        except Exception:  # the edge of a run: whatever went wrong in us becomes a recorded fact
            logger.exception("run %s", live.run.id)
            end = Outcome(
                status="failed",
                error=Fault("internal", "InternalError", "Repertoire failed to run this; its log has the details."),
            )
        if live.unrecorded is not None:
            self._drop_unrecorded(live)
        elif isinstance(end, Parking) and not live.cancelled:
            await self._park(live, end)
        else:
            await self._record(live, end if isinstance(end, Outcome) else cancelled())

    def _drop_unrecorded(self, live: Live) -> None:
        """Nothing of it is stored, so there is nothing to end: whoever called it is told that there is no such run."""
        if not isinstance(live.unrecorded, KeyTaken):
            logger.error(
                "run %s: its start could not be stored, so it was stopped", live.run.id, exc_info=live.unrecorded
            )
        self._live.pop(live.run.id, None)
        live.end()
        self._turns.next(live.run)

    def _hear_of_trouble(self, trouble: StorageError | None) -> None:
        """Nothing can be written now (told with each try), or everything can again. Nothing is lost by it, but callers do not wait for it."""
        if trouble is None:
            if self._trouble is not None:
                self._trouble.cancel()
                self._trouble = None
            for live in self._live.values():
                live.let_go()
        elif self._trouble is None:
            logger.error("no record can be written: %s", trouble)
            why = f"{trouble.message} {trouble.hint or ''}".rstrip()
            self._trouble = asyncio.get_running_loop().call_later(_HELD_BACK_S, self._hold_back, why)

    def _hold_back(self, why: str) -> None:
        self._trouble = asyncio.get_running_loop().call_later(
            _HELD_BACK_S, self._hold_back, why
        )  # for those that come to it later
        for live in self._live.values():
            if live.recorded is None or live.recorded.done():  # else it is refused, when its start fails
                live.hold_back(why)

    async def _park(self, live: Live, parking: Parking) -> None:
        run = live.run
        storing = self._store.park(
            run, parking.why, wake_at=parking.wake_at, state=parking.state, held_s=live.stopwatch.used_s
        )
        try:
            parked = await storing
        except Exception:  # it stays as it was stored, and is begun again
            logger.exception("parking %s", run.id)
            parked = run
            self._woken.add(run.id)
            self._store.release_run(run)
        self._live.pop(run.id, None)
        if live.env:
            self._envs[run.id] = live.env
        live.run = parked
        live.end()
        self._turns.next(run)
        self.on_parked(parked, parking.wake_at)
        if run.id in self._woken:
            self._woken.discard(run.id)
            self._tasks.start_soon(self._wake, run.id)

    async def _record(self, live: Live, outcome: Outcome) -> None:
        run = live.run
        storing = self._store.finish_run(
            run, outcome.status, result=outcome.result, error=outcome.error, state=outcome.state, events=outcome.events
        )
        try:
            finished = (
                await storing
            )  # where the house goes down before that, the next owner goes on from what is stored
            if outcome.error is not None and outcome.error.traceback:
                logger.info("run %s failed: %s\n%s", run.id, outcome.error.message, outcome.error.traceback)
        except Exception as error:  # the file is damaged, or the run is no longer ours
            finished = await self._known_end(live, error)
        self._ended(live, finished)
        if live.has_children:
            try:
                await self._cancel_below(run.id)
            except RepertoireError:  # the file is damaged or gone
                logger.exception("cancelling what %s has begun", run.id)

    async def _known_end(self, live: Live, error: Exception) -> Run:
        """What the record says of a run whose end could not be stored."""
        if not isinstance(error, LostClaim):
            logger.error("run %s: its end could not be stored", live.run.id, exc_info=error)
        try:
            known = await self._store.run(live.run.id, patient=True)
        except RepertoireError:
            known = None
        if known is not None and known.is_final:
            return known  # somebody else has ended it
        return msgspec.structs.replace(live.run, waiting_for=f"its record to be written: {error}")

    def _ended(self, live: Live, finished: Run) -> None:
        self._live.pop(finished.id, None)
        self._woken.discard(finished.id)
        self.on_parked(finished, None)
        for question in live.run.questions:
            self.forget_question(question)
        if live.parent is not None:
            live.parent.forget_questions(finished.id)
        live.run = finished
        live.end()
        self._turns.next(finished)
        if finished.parent is not None and ((above := self._live.get(finished.parent)) is None or above.parking):
            self._tasks.start_soon(self._wake, finished.parent)

    async def _wake(self, run_id: str) -> None:
        """Go on with it as soon as the store can be used."""
        while True:
            try:
                await self.resume(run_id)
                return
            except StorageError:
                await anyio.sleep(_WAKE_AGAIN_S)
            except Exception:  # nobody waits for this who could be told
                logger.exception("going on with %s", run_id)
                return

    async def _cancel_below(self, run_id: str) -> None:
        for child in await self._store.unfinished_below(run_id):
            await self.cancel(child)

    async def _end_unrun(self, run: Run, point: ResumePoint, fault: Fault | None) -> None:
        """End a run that holds no worker."""
        outcome = cancelled() if fault is None else Outcome(status="failed", error=fault)
        version = await self._store.version(run.version, patient=True)
        if version is None:
            logger.error("%s: its version is gone", run.id)
            return
        self._envs.pop(run.id, None)
        live = self.handle(run, version)
        live.announce(last_event=point.last_event)
        live.has_children = True
        await self._record(live, outcome)

    async def _perform(self, live: Live, place: Place | None) -> Outcome | Parking:
        if live.resumed:
            place = await self._regain(live)
        while place is not None and place.held_by is not None:
            place = await self._turns.wait(live, place.held_by)
            live.announce(waiting_for=None if self._pool.has_room else _A_WORKER)
        deaths = zygote_deaths = 0
        while True:
            point = await self._store.resume_point(live.run) if live.begun_again else ResumePoint()
            attempt = Attempt(live, self._store, live.rehearsal or self.doors, self._tasks, self._limits, self._dropped)
            told = partial(_tell_what_it_waits_for, live)
            trusted = live.version.origin == "operator"
            async with self._pool.lease(trusted=trusted, told=told, caller=live.lane, name=live.run.id) as worker:
                if live.run.started_at is None:
                    live.announce(started_at=time.time(), waiting_for=None)
                    await self._store.mark_started(live.run, live.run.started_at or 0.0)
                elif live.resumed:
                    await self._store.mark_started(live.run, live.run.started_at)
                end = await attempt.run(worker, place, point)
            if not isinstance(end, Death):
                return end
            if not end.may_go_on:
                return Outcome(status="failed", error=end.fault)
            logger.warning("%s: its worker died (%s); it is begun again", live.run.id, end.fault.message)
            live.begun_again = True
            if end.with_zygote and (zygote_deaths := zygote_deaths + 1) <= _MAX_ZYGOTE_DEATHS:
                continue
            deaths = 1 if end.progressed else max(deaths, point.deaths) + 1
            if deaths > self._limits.max_deaths:
                return Outcome(status="failed", error=end.fault)
            await self._store.note_deaths(live.run, deaths)

    async def _regain(self, live: Live) -> Place | None:
        """The place of a run that goes on, which it held or has given up while it was parked."""
        run, uses_state = live.run, live.version.uses_state
        place = await self._store.unpark(run, with_state=uses_state, kin=live.kin)
        if place is None and uses_state:
            place = await self._store.claim_place(run, live.kin)
        live.announce(waiting_for=None)
        return place

    def _dropped(self, live: Live, path: str) -> None:
        """The body has cancelled a call: what it has begun is cancelled too."""
        self._tasks.start_soon(self._withdraw, live.run.id, path)

    async def _withdraw(self, run_id: str, path: str) -> None:
        try:
            if (asked := await self._store.asked(run_id, path)) is not None:
                self.forget_question(asked[0])
            child = await self._store.child(run_id, path)
            if child is not None and not child.is_final:
                await self.cancel(child.id)
        except RepertoireError:  # the file is damaged or gone: nobody goes on with either
            logger.exception("withdrawing the call %s of %s", path, run_id)


def _nothing(run: Run, wake_at: float | None) -> None:
    pass


def _in_queue(before: int) -> str:
    return f"a worker: {before} {'run is' if before == 1 else 'runs are'} before it"


def _tell_what_it_waits_for(live: Live, what: str | None) -> None:
    if what is not None:
        live.announce(waiting_for=what)
    elif live.run.started_at is not None:
        live.announce(waiting_for=None)


def _chain(run: Run, parent: Live | None) -> str:
    names = [run.workflow]
    while parent is not None and len(names) < 6:
        names.append(parent.run.workflow)
        parent = parent.parent
    return " < ".join(names)


def timeout_of(version: WorkflowVersion, limits: Limits) -> float:
    """Seconds for which a run of it may hold a worker."""
    declared = version.options.timeout_s
    if declared is None:
        return limits.run_timeout_s
    return declared if version.origin == "operator" else min(declared, limits.run_timeout_s)


def unknown_run(run_id: str) -> UnknownRun:
    shown = run_id if len(run_id) <= 100 else run_id[:97] + "..."
    return UnknownRun(
        f"There is no run {shown!r}.", "Use the run_id that a call returned; runs of other users are not shown."
    )
