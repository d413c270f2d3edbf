"""Runs: starts, waits for, answers, cancels and reads runs, each for the caller who owns it; used by the surfaces and by `History`.

The engine's `Runner` executes them. `UndeliveredRuns` remembers runs whose caller was gone before the end.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection
from typing import Any, Final, Literal

import anyio
import anyio.to_thread

from ..engine.live_run import Live
from ..engine.long_waits import Waits
from ..engine.run_faults import start_not_stored
from ..engine.runner import Runner, unknown_run
from ..errors import BadArguments, UnknownRun
from ..limits import Limits
from ..model.brief_events import brief_event, fold_events, last_progress
from ..model.moments import read_moment
from ..model.run import SHOWN_CHARS, Run, RunEvent, envelope, result_part
from ..model.session import Caller
from ..model.workflow_version import WorkflowVersion
from ..names import RUN_CODE
from ..store import Store
from ..store.audit import By, arguments_hash
from ..store.runs import IdempotencyKey, KeyTaken
from ..text import cut
from .answers import fitting_answer
from .argument_limits import checked_arguments
from .client_model import read_model_answer
from .library import Library
from .references import KEY, References, has_references
from .sessions import Sessions
from .trust import TrustRules

_MAX_KEY_CHARS: Final = 200
_REPEATED_WITHIN_S: Final = 120.0
_MAX_UNDELIVERED: Final = 1_000
_MAX_EVENTS: Final = 500
"""Events in one answer of get_run; `after_event` fetches the next ones."""
_LAST_EVENTS: Final = 10
"""Events in an answer of get_run that gives the latest ones."""
_LOOK_BACK: Final = 50
"""This many of the latest events are searched for the last progress."""
EventChoice = Literal["none", "last", "all"]
_LOOK_AGAIN_S: Final = 1.0
"""`wait_for_news` reads the run again this often: nothing announces a question of a run below a parked one."""


NEWEST: Final = "last"
"""The word for the newest run."""
ULID_CHARS: Final = 26
_BEGINNING: Final = re.compile(r"[0-9][0-9A-Za-z]{0,25}")
"""The beginning of a ULID. Its first characters are its time, so they are digits for centuries."""


class Runs:
    def __init__(
        self,
        store: Store,
        library: Library,
        sessions: Sessions,
        runner: Runner,
        waits: Waits,
        references: References,
        limits: Limits,
        rules: TrustRules,
    ) -> None:
        self._rules = rules
        self._references = references
        self._store = store
        self._library = library
        self._sessions = sessions
        self._runner = runner
        self._waits = waits
        self._limits = limits
        self._undelivered = UndeliveredRuns()

    async def start(
        self,
        caller: Caller,
        name: str,
        arguments: Any,
        session_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Live:
        """Start a run and return its handle at once.

        `idempotency_key`: a key used before, with the same workflow and arguments, returns the run that it started then, in any status.
        """
        version = await self._library.find_or_wait(caller, name)
        return await self.start_version(caller, version, arguments, session_id, idempotency_key)

    async def start_version(
        self,
        caller: Caller,
        version: WorkflowVersion,
        arguments: Any,
        session_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Live:
        """The same for a version, whatever its name runs. A key is compared with the arguments as they were given: a reference is the same
        although its value has changed."""
        await self._rules.check_may_run(version)
        text = given = checked_arguments(version.name, arguments, self._limits)
        if f'"{KEY}"' in text and has_references(arguments):
            arguments = await self._references.resolve(caller.principal, arguments)
            text = await anyio.to_thread.run_sync(checked_arguments, version.name, arguments, self._limits)
        session = await self._sessions.resolve(caller, session_id)
        asked = version.hash if version.is_unnamed else version.name
        if idempotency_key is None and (lost := self._undelivered.take(caller.principal, session, asked, text)):
            known = await self._handle(lost)
            if known is not None:
                return known
        key = None if idempotency_key is None else self._key(idempotency_key, given)
        live = self._runner.start(
            version,
            text,
            session,
            caller.principal,
            caller.env,
            provider_env=caller.provider_env,
            roots=caller.roots,
            cwd=caller.cwd,
            key=key,
            lane=caller.lane,
            client=caller.client,
        )
        return live if key is None else await self._first_with(key, live)

    async def _handle(self, run_id: str) -> Live | None:
        """The handle of a live run, or one made from the store."""
        if (live := self._runner.live(run_id)) is not None:
            return live
        run = await self._store.run(run_id)
        version = run and await self._store.version(run.version)
        return self._runner.handle(run, version) if run and version else None

    def _key(self, key: str, arguments: str) -> IdempotencyKey:
        if not 0 < len(key) <= _MAX_KEY_CHARS:
            raise BadArguments(f"`idempotency_key` must have 1 to {_MAX_KEY_CHARS} characters.")
        return IdempotencyKey(key=key, arguments=arguments_hash(arguments), ttl_s=self._limits.idempotency_ttl_s)

    async def _first_with(self, key: IdempotencyKey, live: Live) -> Live:
        """This run if it is the first with the key; otherwise the first one."""
        assert live.recorded is not None
        try:
            await asyncio.shield(live.recorded)
            return live
        except KeyTaken as taken:
            if not taken.same_arguments:
                raise BadArguments(
                    f"The idempotency key {key.key!r} stands for {taken.run_id} already, which had other arguments.",
                    "Use a new key for a new request.",
                ) from None
            run_id = taken.run_id
        first = await self._handle(run_id)
        if first is None:
            raise unknown_run(run_id)
        return first

    def note_undelivered(self, run_id: str) -> None:
        """The caller is gone before it got the result. The same call, made again soon, gets this run."""
        run = self._runner.current(run_id)
        if run is None or run.parent is not None:
            return
        asked = run.version if run.workflow == RUN_CODE else run.workflow
        self._undelivered.put(run.principal, run.session_id, asked, run.arguments, run.id)

    async def wait(self, live: Live, seconds: float | None) -> Run:
        """The run when it has ended or asks a question, or as it is after `seconds`. Raises StorageError if its start was not stored."""
        run = await self._runner.wait(live.run.id, seconds) or live.run
        if live.unrecorded is not None:
            raise start_not_stored(live.unrecorded)
        return run

    async def wait_for_end(self, live: Live) -> Run:
        """The run when it has ended. Questions on the way do not end the wait."""
        run = await self.wait(live, None)
        while not run.is_final:
            async for _ in self._runner.follow(run.id, run.last_event):
                pass
            run = await self.wait(live, None)
        return run

    async def wait_for_news(self, caller: Caller, run_id: str, asked: Collection[str] = ()) -> Run:
        """The run when it has ended, or asks something that is not among the questions `asked`."""
        while True:
            changed = self._runner.watch.next(run_id)
            try:
                run = await self.find(caller, run_id)
                if run.is_final or any(question.id not in asked for question in run.questions):
                    return run
                with anyio.move_on_after(_LOOK_AGAIN_S):
                    await changed
            finally:
                self._runner.watch.forget(run_id, changed)

    async def answer(self, caller: Caller, run_id: str, answer: Any, question_id: str | None = None) -> dict[str, Any]:
        """Answer a question of a run and return its envelope. With one open question, `question_id` may be left out."""
        run = await self.find(caller, run_id)
        if not run.questions:
            raise BadArguments(f"{run_id} asks nothing now (it is {run.status}).")
        if question_id is None and len(run.questions) > 1:
            ids = ", ".join(f"{one.id} ({one.question[:60]})" for one in run.questions)
            raise BadArguments("The run asks several questions: say with question_id which one this answers.", ids)
        return await self.answer_many(caller, run_id, {question_id or run.questions[0].id: answer})

    async def answer_many(self, caller: Caller, run_id: str, answers: dict[str, Any]) -> dict[str, Any]:
        """Answers by question id. All of them are checked before the first is given."""
        run = await self.find(caller, run_id)
        open_ones = {one.id: one for one in run.questions}
        fitting = {}
        for question_id, answer in answers.items():
            if question_id not in open_ones:
                raise BadArguments(f"{run_id} has no open question {question_id[:100]!r}.")
            question = open_ones[question_id]
            if question.request is None:
                fitting[question_id] = await fitting_answer(question, answer)
            else:
                fitting[question_id] = read_model_answer(question, answer)
        for question_id, answer in fitting.items():
            await self._waits.answer(open_ones[question_id], answer, By.of(caller))
        return self.envelope(await self.find(caller, run_id))

    async def get(
        self,
        caller: Caller,
        run_id: str,
        wait_s: float = 0,
        after_event: int = 0,
        part: int | None = None,
        events: EventChoice = "all",
    ) -> dict[str, Any]:
        """The envelope, the run's origin, and events numbered after `after_event`. With `part`, only a piece of a long result.

        `wait_s`: wait so long for the run to end or to ask a question. `events`: "last" gives the latest ones in brief.
        """
        run = await self.find(caller, run_id)
        if wait_s > 0 and not run.is_final:
            run = await self._runner.wait(run_id, min(wait_s, self._limits.inline_deadline_s)) or await self.find(
                caller, run_id
            )
        if part is not None:
            return self._part(run, part)
        answer = {**await self.report(run), **run.duration(), **run.origin()}
        if events == "all":
            found = await self._store.events(run_id, max(after_event, 0), _MAX_EVENTS + 1)
            answer["events"] = [event.public() for event in found[:_MAX_EVENTS]]
            answer["more_events"] = len(found) > _MAX_EVENTS
        elif events == "last":
            answer |= await self._last_events(run, max(after_event, 0))
        if run.is_example:
            answer["example"] = True
        if run.workflow == RUN_CODE and after_event <= 0:
            answer |= await self._source_of(run)
        if (usage := await self._store.model_usage(run_id)).requests:
            answer["usage"] = usage.public()
        return answer

    async def _source_of(self, run: Run) -> dict[str, Any]:
        """Of code that was run once, as it was sent; a long one is cut."""
        version = await self._store.version(run.version)
        if version is None:
            return {}
        source = version.sent or version.source
        is_cut = len(source) > SHOWN_CHARS
        shown = cut(source, SHOWN_CHARS, "…") if is_cut else source
        return {"source": shown, **({"source_chars": len(source)} if is_cut else {})}

    def _part(self, run: Run, part: int) -> dict[str, Any]:
        answer = self.envelope(run, without_result=True)
        answer.pop("result_preview", None)
        answer.pop("message", None)
        piece = result_part(run, part, self._limits.inline_result_chars)
        if piece is None:
            raise BadArguments(
                f"There is no part {part} of this result.", f"Parts go from 1 to {answer.get('parts', 1)}."
            )
        return {**answer, "part": part, "text": piece}

    async def _last_events(self, run: Run, after: int) -> dict[str, Any]:
        """The latest events after this number, with long texts cut. `earlier_events` counts those that are left out before them."""
        found = await self._store.events(run.id, max(after, run.last_event - _MAX_EVENTS), _MAX_EVENTS)
        shown = fold_events(found)[-_LAST_EVENTS:]
        earlier = shown[0][0].n - shown[0][1] - after if shown else 0
        events = [brief_event(event, stands_for) for event, stands_for in shown]
        return {"events": events, "more_events": False} | ({"earlier_events": earlier} if earlier > 0 else {})

    async def report(self, run: Run) -> dict[str, Any]:
        """The envelope; of a run that goes on with its last progress."""
        answer = self.envelope(run)
        return {**answer, **await self._progress(run)} if run.status == "working" else answer

    async def _progress(self, run: Run) -> dict[str, Any]:
        seen = await self._store.events(run.id, max(0, run.last_event - _LOOK_BACK), _LOOK_BACK)
        progress = last_progress(seen)
        return {} if progress is None else {"progress": progress}

    async def cancel(self, caller: Caller, run_id: str) -> dict[str, Any]:
        """Stop it if it has not ended, and return its envelope. Of a run that is cancelled, with how far it was: its last progress and
        events."""
        await self.find(caller, run_id)
        await self._runner.cancel(run_id, By.of(caller))
        run = await self.find(caller, run_id)
        if run.status != "cancelled":
            return self.envelope(run)
        return {**self.envelope(run), **await self._progress(run), **await self._last_events(run, 0)}

    async def find(self, caller: Caller, run_id: str) -> Run:
        """The caller's run. Raises UnknownRun, also for another caller's run."""
        live = self._runner.live(run_id)
        if live is not None and not await live.wait_until_recorded():
            raise start_not_stored(live.unrecorded)
        run = self._runner.current(run_id) or await self._store.run(run_id)
        if run is None or run.principal != caller.principal:
            raise unknown_run(run_id)
        return run

    @staticmethod
    def may_mean_a_run(word: str) -> bool:
        return word == NEWEST or _BEGINNING.fullmatch(word.rpartition(":")[2]) is not None

    async def find_id(self, caller: Caller, word: str) -> str:
        """The id of the run that a person means: an id, the beginning of its last part, or `last` for the newest run of their own.

        Raises UnknownRun, or BadArguments when several ids begin so.
        """
        if word == NEWEST:
            newest = await self._store.runs(caller.principal, top=True, limit=1)
            if not newest:
                raise UnknownRun("There are no runs yet.")
            return newest[0].id
        beginning = word.rpartition(":")[2]
        is_whole = word.startswith("workflow:") and len(beginning) == ULID_CHARS
        if is_whole or not self.may_mean_a_run(word):
            return word  # a run that has just begun may not be stored yet
        found = await self._store.runs_beginning_with(caller.principal, beginning.upper(), word.rpartition(":")[0])
        if not found:
            raise unknown_run(word)
        if len(found) > 1:
            raise BadArguments(
                f"Several runs begin with {beginning}: {', '.join(found)}.", "Give more characters of its id."
            )
        return found[0]

    async def is_stopped_with_caller(self, run: Run) -> bool:
        """Whether the run is cancelled when the request that waits for it is."""
        version = await self._store.version(run.version)
        return version is None or version.options.disconnect == "cancel"

    def follow(self, run_id: str, after: int = 0, *, nested: bool = False) -> AsyncIterator[RunEvent]:
        """The events of a run; check with `find` first that the caller owns it. `nested`: also events of the runs below it."""
        return self._runner.follow(run_id, after, nested=nested)

    async def list_runs(self, caller: Caller, **filters: Any) -> list[dict[str, Any]]:
        """Newest first. Filters: workflow, session_id, status, since and until (ISO 8601), limit, top (runs without a parent)."""
        for name in ("since", "until"):
            if isinstance(filters.get(name), str):
                filters[name] = read_moment(name, filters[name])
        runs = await self._store.runs(caller.principal, **filters)
        return [(self._runner.current(run.id) or run).summary() for run in runs]

    def envelope(self, run: Run, *, without_result: bool = False) -> dict[str, Any]:
        return envelope(run, self._limits.inline_result_chars, without_result=without_result)


class UndeliveredRuns:
    """Runs whose caller was gone before the end, kept for two minutes: clients repeat a call whose connection broke."""

    def __init__(self) -> None:
        self._runs: OrderedDict[tuple[str, str, str, str], tuple[str, float]] = OrderedDict()

    def put(self, principal: str, session_id: str, workflow: str, arguments: str, run_id: str) -> None:
        self._runs[principal, session_id, workflow, arguments] = run_id, time.monotonic()
        while len(self._runs) > _MAX_UNDELIVERED:
            self._runs.popitem(last=False)

    def take(self, principal: str, session_id: str, workflow: str, arguments: str) -> str | None:
        """The run for the same call, once: the next such call starts a new run."""
        run_id, at = self._runs.pop((principal, session_id, workflow, arguments), ("", 0.0))
        return run_id if run_id and time.monotonic() - at < _REPEATED_WITHIN_S else None
