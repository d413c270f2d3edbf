"""Verbs about runs: begin one, wait for it, answer what it asks, cancel it, and read what became of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from typing import Any, Final

import anyio
import msgspec

from ..engine.live_run import Live
from ..engine.long_waits import check_answer
from ..engine.run_faults import start_not_stored
from ..engine.runner import unknown_run
from ..errors import BadArguments, UnknownSession
from ..model.run import Run, RunEvent, envelope, iso, result_part
from ..model.session import Caller, Session
from ..names import new_session_id
from ..store.runs import Key, KeyTaken
from .library import Library
from .parts import Parts

_MAX_NAMED_SESSIONS: Final = 10_000
_MAX_KEY_CHARS: Final = 200
_REPEATED_WITHIN_S: Final = 120.0
_MAX_UNDELIVERED: Final = 1_000
_MAX_EVENTS: Final = 500
"""Events in one answer of get_run; `after_event` fetches the next ones."""
_LOOK_AGAIN_S: Final = 1.0


class Runs(Library):
    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._undelivered = Undelivered()
        self._named: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def run(
        self,
        caller: Caller,
        name: str,
        arguments: Any,
        session_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Live:
        """Start a run and give back its handle at once.

        With a key that was used before, for the same workflow and arguments, the run that it started then, whatever has become of it.
        """
        version = await self.found(caller, name)
        if not isinstance(arguments, dict):
            raise BadArguments(
                "`arguments` must be an object with the workflow's parameters.", f"get_workflow({name!r}) shows them."
            )
        text = json.dumps(arguments)  # ASCII: a lone surrogate in it must not break the store or the wire
        if (size := len(text)) > self._limits.max_arguments_bytes:
            raise BadArguments(
                f"The arguments are {size} bytes of JSON; at most {self._limits.max_arguments_bytes} are allowed.",
                "Put large input into a file and give its path.",
            )
        session = await self._session(caller, session_id)
        if idempotency_key is None and (lost := self._undelivered.take(caller.principal, session, version.name, text)):
            known = self._runner.live(lost) or await self._ended(lost)
            if known is not None:
                return known
        key = None if idempotency_key is None else self._key(idempotency_key, text)
        live = self._runner.start(
            version,
            text,
            session,
            caller.principal,
            caller.env,
            roots=caller.roots,
            cwd=caller.cwd,
            key=key,
            lane=caller.lane,
        )
        return live if key is None else await self._first_with(key, live)

    async def _ended(self, run_id: str) -> Live | None:
        """A handle for a run that is not live here."""
        run = await self._store.run(run_id)
        version = run and await self._store.version(run.version)
        return self._runner.handle(run, version) if run and version else None

    def _key(self, key: str, arguments: str) -> Key:
        if not 0 < len(key) <= _MAX_KEY_CHARS:
            raise BadArguments(f"`idempotency_key` must have 1 to {_MAX_KEY_CHARS} characters.")
        hashed = hashlib.sha256(json.dumps(json.loads(arguments), sort_keys=True).encode()).hexdigest()
        return Key(key=key, arguments=hashed, ttl_s=self._limits.idempotency_ttl_s)

    async def _first_with(self, key: Key, live: Live) -> Live:
        """This run where it is the first with the key, or the one that was."""
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
        first = self._runner.live(run_id) or await self._ended(run_id)
        if first is None:
            raise unknown_run(run_id)
        return first

    def undelivered(self, run_id: str) -> None:
        """Its caller is gone before it was told the result. Who makes the same call again soon is answered by this run."""
        run = self._runner.current(run_id)
        if run is None or run.parent is not None:
            return
        self._undelivered.put(run.principal, run.session_id, run.workflow, run.arguments, run.id)

    async def wait(self, live: Live, seconds: float | None) -> Run:
        """The run when it has ended or asks somebody, or as it is after `seconds`. Raises StorageError where it could not be begun."""
        run = await self._runner.wait(live.run.id, seconds) or live.run
        if live.unrecorded is not None:
            raise start_not_stored(live.unrecorded)
        return run

    async def finish(self, live: Live) -> Run:
        """The run when it has ended, whoever has to be asked on the way."""
        run = await self.wait(live, None)
        while not run.is_final:
            async for _ in self._runner.follow(run.id, run.last_event):
                pass
            run = await self.wait(live, None)
        return run

    async def news(self, caller: Caller, run_id: str, asked: Collection[str] = ()) -> Run:
        """The run when it has ended, or asks something that is not among the questions `asked`."""
        while True:
            changed = self._runner.watch.next(run_id)
            try:
                run = await self.own_run(caller, run_id)
                if run.is_final or any(question.id not in asked for question in run.questions):
                    return run
                with anyio.move_on_after(_LOOK_AGAIN_S):  # nobody tells of a question of a run below one that is parked
                    await changed
            finally:
                self._runner.watch.forget(run_id, changed)

    async def answer(self, caller: Caller, run_id: str, answer: Any, question_id: str | None = None) -> dict[str, Any]:
        """Answer what a run asks; with one open question its id may be left out. The envelope as it is afterwards."""
        run = await self.own_run(caller, run_id)
        if not run.questions:
            raise BadArguments(f"{run_id} asks nothing now (it is {run.status}).")
        if question_id is None and len(run.questions) > 1:
            ids = ", ".join(f"{one.id} ({one.question[:60]})" for one in run.questions)
            raise BadArguments("The run asks several questions: say with question_id which one this answers.", ids)
        return await self.answer_many(caller, run_id, {question_id or run.questions[0].id: answer})

    async def answer_many(self, caller: Caller, run_id: str, answers: dict[str, Any]) -> dict[str, Any]:
        """Answers by question. All of them are checked before the first is given."""
        run = await self.own_run(caller, run_id)
        open_ones = {one.id: one for one in run.questions}
        fitting = {}
        for question_id, answer in answers.items():
            if question_id not in open_ones:
                raise BadArguments(f"{run_id} has no open question {question_id[:100]!r}.")
            fitting[question_id] = check_answer(open_ones[question_id], answer)
        for question_id, answer in fitting.items():
            await self._waits.answer(open_ones[question_id], answer)
        return self.envelope(await self.own_run(caller, run_id))

    async def get_run(
        self, caller: Caller, run_id: str, wait_s: float = 0, after_event: int = 0, part: int | None = None
    ) -> dict[str, Any]:
        """The envelope with events numbered after `after_event`; `part` gives a piece of a long result instead."""
        run = await self.own_run(caller, run_id)
        if wait_s > 0 and not run.is_final:
            run = await self._runner.wait(run_id, min(wait_s, self._limits.inline_deadline_s)) or await self.own_run(
                caller, run_id
            )
        answer = self.envelope(run)
        if part is not None:
            piece = result_part(run, part, self._limits.inline_result_chars)
            if piece is None:
                raise BadArguments(
                    f"There is no part {part} of this result.", f"Parts go from 1 to {answer.get('parts', 1)}."
                )
            return {**answer, "result": None, "part": part, "text": piece}
        events = await self._store.events(run_id, max(after_event, 0), _MAX_EVENTS + 1)
        answer["events"] = [event.public() for event in events[:_MAX_EVENTS]]
        answer["more_events"] = len(events) > _MAX_EVENTS
        if run.is_example:
            answer["example"] = True
        return answer

    async def cancel(self, caller: Caller, run_id: str) -> dict[str, Any]:
        """Stop it if it is going on; the envelope as it is afterwards."""
        await self.own_run(caller, run_id)
        await self._runner.cancel(run_id)
        return self.envelope(await self.own_run(caller, run_id))

    async def own_run(self, caller: Caller, run_id: str) -> Run:
        """Raises UnknownRun, for a foreign run too."""
        live = self._runner.live(run_id)
        if live is not None and not await live.wait_until_recorded():
            raise start_not_stored(live.unrecorded)
        run = self._runner.current(run_id) or await self._store.run(run_id)
        if run is None or run.principal != caller.principal:
            raise unknown_run(run_id)
        return run

    def follow(self, run_id: str, after: int = 0, *, nested: bool = False) -> AsyncIterator[RunEvent]:
        """The events of a run that the caller has been shown to own; `nested`: also of the runs below it."""
        return self._runner.follow(run_id, after, nested=nested)

    async def runs(self, caller: Caller, **filters: Any) -> list[dict[str, Any]]:
        """Newest first; filters: workflow, session_id, status, since and until (ISO 8601), limit, top (those that no run began)."""
        for name in ("since", "until"):
            if isinstance(filters.get(name), str):
                filters[name] = _moment(name, filters[name])
        runs = await self._store.runs(caller.principal, **filters)
        return [(self._runner.current(run.id) or run).summary() for run in runs]

    async def sessions(self, caller: Caller) -> list[dict[str, Any]]:
        rows = await self._store.sessions(caller.principal)
        return [_session_row(session, workflows) for session, workflows in rows]

    def envelope(self, run: Run, *, without_result: bool = False) -> dict[str, Any]:
        return envelope(run, self._limits.inline_result_chars, without_result=without_result)

    async def _session(self, caller: Caller, session_id: str | None) -> str:
        if session_id is None and caller.session_name is not None:
            return await self._named_session(caller.principal, caller.session_name)
        if session_id is None or session_id == "new":
            return new_session_id()
        session = await self._store.session(session_id)
        if session is None or session.principal != caller.principal:
            raise UnknownSession(
                f"There is no session {session_id[:100]!r}.", 'Leave session_id out, or give "new" for a fresh one.'
            )
        if time.time() - session.used_at > self._limits.session_ttl_s:
            raise UnknownSession(f"The session {session_id!r} has expired.", 'Give "new" for a fresh one.')
        return session.id

    async def _named_session(self, principal: str, name: str) -> str:
        known = self._named.get((principal, name))
        if known is None:
            known = (await self._store.named_session(principal, name)).id
            self._named[principal, name] = known
            if len(self._named) > _MAX_NAMED_SESSIONS:
                self._named.popitem(last=False)
        return known


class Undelivered:
    """Runs whose caller was gone before the end, for two minutes: clients repeat a call whose connection broke."""

    def __init__(self) -> None:
        self._runs: OrderedDict[tuple[str, str, str, str], tuple[str, float]] = OrderedDict()

    def put(self, principal: str, session_id: str, workflow: str, arguments: str, run_id: str) -> None:
        self._runs[principal, session_id, workflow, arguments] = run_id, time.monotonic()
        while len(self._runs) > _MAX_UNDELIVERED:
            self._runs.popitem(last=False)

    def take(self, principal: str, session_id: str, workflow: str, arguments: str) -> str | None:
        """Once: the call after that is a new one."""
        run_id, at = self._runs.pop((principal, session_id, workflow, arguments), ("", 0.0))
        return run_id if run_id and time.monotonic() - at < _REPEATED_WITHIN_S else None


def _moment(name: str, text: str) -> float:
    try:
        return _utc(datetime.fromisoformat(text)).timestamp()
    except ValueError:
        raise BadArguments(f"`{name}` must be a time as in 2026-05-01T12:00:00Z, got {text[:60]!r}.") from None


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _session_row(session: Session, workflows: list[str]) -> dict[str, Any]:
    row = msgspec.to_builtins(session)
    return {"session_id": row["id"], "name": row["name"], "workflows_with_state": workflows} | {
        "created_at": iso(session.created_at),
        "used_at": iso(session.used_at),
    }
