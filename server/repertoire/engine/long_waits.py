"""Waits: the doors `sleep` and `ask`, which may take days, and the door `commit_state`; takes people's answers from the service.

A sleep and a question are stored before their call waits. So a body that is begun again waits for the same time, and for the same
question.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import anyio.to_thread

from ..errors import BadArguments, Expired
from ..limits import Limits
from ..model.run import Question, iso
from ..names import new_question_id
from ..store import Store
from ..store.audit import By
from ..store.runs import NewEvent
from ..text import cut
from ..values.json_check import SHORT_CHARS, NotJson
from ..values.state_check import check_state
from .doors import CallFailed, Diverged, Door, DoorCall, DoorResult
from .final_answer import state_size_fault
from .live_run import Parking
from .runner import Runner
from .wall_clock import Clock

_PARK_S: Final = 5.0
"""A sleep with less than this left keeps its worker: resuming costs some ten milliseconds and the replay."""
_BRIEF_S: Final = 1.0
"""The start of a shorter sleep is not stored."""
_SHOWN_CHARS: Final = 1_000
"""Of a request to a model, in its event."""
_EVENT_KEYS: Final[tuple[str, ...]] = ("id", "kind", "question", "schema")
_QUESTION_CHARS: Final = 256 * 1024
"""Of a question of a body, and of its schema: people read it, and every list of questions has it."""
_LONGEST_S: Final = 100 * 365 * 24 * 3600.0
_NAMED_CHARS: Final = 300
"""Of a question, in an error."""


class Waits:
    def __init__(self, runner: Runner, store: Store, limits: Limits, clock: Clock) -> None:
        self._runner = runner
        self._store = store
        self._limits = limits
        self._clock = clock
        self._asked: dict[str, tuple[DoorCall, asyncio.Future[str]]] = {}
        """Calls that wait for an answer in this process, by the ids of their questions."""

    @property
    def doors(self) -> dict[str, Door]:
        return {"sleep": self._sleep, "ask": self._ask, "commit_state": self._commit_state}

    async def answer(self, question: Question, answer: Any, by: By) -> None:
        """Take a person's answer, a JSON value that fits the question. Raises BadArguments when the question is closed."""
        text = json.dumps(answer)
        if not await self._store.answer(question.id, text, by):
            raise BadArguments("That question is closed: it was answered before, has expired, or its run has ended.")
        self._runner.forget_question(question)
        call, asked = self._asked.get(question.id, (None, None))
        if call is not None and asked is not None and not asked.done() and not call.live.is_parking:
            asked.set_result(text)
        else:
            await self._runner.resume(question.run_id)  # its body is begun again, and finds the answer in the Store

    async def _sleep(self, call: DoorCall) -> DoorResult:
        seconds = _seconds(call.args.get("seconds"), "sleep")
        until = self._clock.wall() + seconds
        if seconds >= _BRIEF_S:
            until = await self._store.begin_sleep(call.live.run, call.path, until)
        if self._clock.left(until) > _PARK_S:
            call.wait_for(Parking(why=f"the end of its sleep at {iso(until)}", wake_at=until))
        await self._clock.sleep_until(until)
        self._clock.forget(until)
        return DoorResult()

    async def _ask(self, call: DoorCall) -> DoorResult:
        known = await self._store.find_question(call.live.run.id, call.path) if call.live.begun_again else None
        if known is not None and known[0].question != str(call.args["question"]):
            raise Diverged(call.path, _named(known[0].question), _named(str(call.args["question"])))
        question, answer = known or (self._new_question(call), None)
        if answer is None:
            answer = await self._wait_for_answer(call, question, is_new=known is None)
        self._clock.forget(question.expires_at)
        return DoorResult(json.loads(answer))

    def _new_question(self, call: DoorCall) -> Question:
        expires_s = call.args.get("expires_s")
        now, ttl = (
            self._clock.wall(),
            _seconds(expires_s, "ask: expires_s") if expires_s else self._limits.question_ttl_s,
        )
        run_id, text, schema = call.live.run.id, str(call.args["question"]), call.args["schema"]
        if call.op == "ask" and (len(text) > _QUESTION_CHARS or len(json.dumps(schema)) > _QUESTION_CHARS):
            raise BadArguments(f"ask: a question and its schema have at most {_QUESTION_CHARS:,} characters each.")
        if call.op == "model":  # its door asks; the arguments of an `ask` are the body's own
            return Question.to_model(run_id, text, schema, call.args["request"], now, now + ttl)
        return Question(new_question_id(), run_id, text, schema, now, now + ttl)

    async def _store_question(self, call: DoorCall, question: Question) -> None:
        """Store it and show it. Both happen although the body's worker dies meanwhile: a person sees the question in the record."""
        shown = question.public()
        if question.request is not None:  # a prompt may be long, and the question itself has it whole
            shown |= {"question": cut(question.question, _SHOWN_CHARS, "…")}
        data: dict[str, Any] = {key: shown[key] for key in _EVENT_KEYS if key in shown}
        event: NewEvent = ("ask", question.asked_at, data)

        async def store_and_show() -> None:
            first = call.live.number_events(
                1
            )  # right before it is submitted: events are stored in the order of their numbers
            await self._store.ask(call.live.run, call.path, question, event, first)
            if not call.live.done.is_set():
                call.live.add_question(question)

        await self._runner.in_server(f"ask {question.id}", store_and_show)

    async def _wait_for_answer(self, call: DoorCall, question: Question, *, is_new: bool) -> str:
        asked: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked[question.id] = call, asked  # before anybody can see the question, and answer it
        try:
            if is_new:
                await self._store_question(call, question)
            else:
                call.live.add_question(question)
            call.wait_for(Parking(why="an answer", status="input_required", wake_at=question.expires_at, news=asked))
            if await self._clock.wait(asked, question.expires_at):
                return asked.result()
            asked.cancel()  # an answer that comes now goes to the Store only
            answer = await self._store.close_wait(call.live.run, call.path)
            if answer is not None:  # given at the last moment, and its person was told that it counts
                return answer
            self._runner.forget_question(question)
            self._clock.forget(question.expires_at)
            asked_for = question.question if question.request is None else "a completion by the caller's own model"
            raise Expired(f"Nobody answered in time: {asked_for}", "Ask again, or go on without an answer.")
        finally:
            self._asked.pop(question.id, None)

    async def _commit_state(self, call: DoorCall) -> DoorResult:
        state = call.args.get("state")
        if not isinstance(state, str):
            raise BadArguments("commit_state: the state is a text.")
        if (fault := state_size_fault(state, self._limits)) is not None:
            raise CallFailed(fault)
        try:
            await anyio.to_thread.run_sync(check_state, state) if len(state) > SHORT_CHARS else check_state(state)
        except NotJson as error:
            raise BadArguments(f"The session's state is not one that a run can read: {error}.") from None
        return DoorResult(state=state)


def _seconds(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LONGEST_S:
        raise BadArguments(f"{what}: {str(value)[:40]} is not a number of seconds, or is more than a hundred years.")
    return float(value)


def _named(question: str) -> str:
    return f"ask {question if len(question) <= _NAMED_CHARS else question[:_NAMED_CHARS] + '...'!r}"


def check_answer(question: Question, answer: Any) -> Any:
    """The answer in the form that the schema wants. A text that does not fit is read as JSON, because models write JSON as text.

    Raises BadArguments with the schema.
    """
    import jsonschema
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        validator = jsonschema.validators.validator_for(question.schema)
        validator.check_schema(question.schema)
        # An empty registry: the schema is somebody else's, and a `$ref` in it must not make the server fetch an address.
        validator(question.schema, registry=Registry()).validate(answer)
    except jsonschema.ValidationError as error:
        if (meant := _parse_json(answer)) is not answer:
            return check_answer(question, meant)
        raise BadArguments(
            f"The answer does not fit the question: {error.message}", f"It must fit {json.dumps(question.schema)}."
        ) from None
    except (jsonschema.SchemaError, Unresolvable):
        return answer  # the workflow gave something that is no schema: it gets any answer
    return answer


def _parse_json(answer: Any) -> Any:
    """The value of a JSON text. The same object where it is no JSON text, or one of a string."""
    if not isinstance(answer, str):
        return answer
    try:
        meant = json.loads(answer)
    except (ValueError, RecursionError):
        return answer
    return answer if isinstance(meant, str) else meant
