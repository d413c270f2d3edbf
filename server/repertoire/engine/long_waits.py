"""Doors to what may take days: sleep, and asking people. And `commit_state`, which takes no time at all."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from ..errors import BadArguments, Expired
from ..model.run import Question, iso
from ..names import new_question_id
from ..settings import Limits
from ..store import Store
from .call_executor import Diverged, Done, Door, DoorCall
from .live_run import Live, Parking
from .runner import Runner
from .wall_clock import Clock

_PARK_S: Final = 5.0
"""A sleep with less than this left keeps its worker: going on costs some ten milliseconds and the replay."""
_BRIEF_S: Final = 1.0
"""When a shorter sleep began need not be remembered."""


class Waits:
    def __init__(self, runner: Runner, store: Store, limits: Limits, clock: Clock) -> None:
        self._runner = runner
        self._store = store
        self._limits = limits
        self._clock = clock
        self._asked: dict[str, tuple[DoorCall, asyncio.Future[str]]] = {}
        """Who waits here for the answer of which question."""

    @property
    def doors(self) -> dict[str, Door]:
        return {"sleep": self._sleep, "ask": self._ask, "commit_state": self._commit_state}

    async def answer(self, question: Question, answer: Any) -> None:
        """A person's answer, as a JSON value that fits the question. Raises BadArguments when the question is closed."""
        text = json.dumps(answer)
        if not await self._store.answer(question.id, text):
            raise BadArguments("That question is closed: it was answered before, has expired, or its run has ended.")
        self._runner.forget_question(question)
        call, asked = self._asked.get(question.id, (None, None))
        if call is not None and asked is not None and not asked.done() and not call.live.parking:
            asked.set_result(text)
        else:
            await self._runner.resume(question.run_id)  # a body that goes on finds it in the record when it comes to it

    async def _sleep(self, call: DoorCall) -> Done:
        seconds = float(call.args["seconds"])
        until = self._clock.wall() + seconds
        if seconds >= _BRIEF_S:
            until = await self._store.begin_sleep(call.live.run, call.path, until)
        if self._clock.left(until) > _PARK_S:
            call.waits(Parking(why=f"the end of its sleep at {iso(until)}", wake_at=until))
        await self._clock.sleep_until(until)
        self._clock.forget(until)
        return Done()

    async def _ask(self, call: DoorCall) -> Done:
        known = await self._store.asked(call.live.run.id, call.path) if call.live.begun_again else None
        if known is not None and known[0].question != str(call.args["question"]):
            raise Diverged(call.path, f"ask {known[0].question!r}", f"ask {call.args['question']!r}")
        question, answer = known or (await self._put(call), None)
        if answer is None:
            answer = await self._answered(call, question)
        self._clock.forget(question.expires_at)
        return Done(json.loads(answer))

    async def _put(self, call: DoorCall) -> Question:
        now, ttl = self._clock.wall(), call.args.get("expires_s") or self._limits.question_ttl_s
        question = Question(
            new_question_id(), call.live.run.id, str(call.args["question"]), call.args["schema"], now, now + ttl
        )
        told = {"id": question.id, "question": question.question, "schema": question.schema}
        await self._store.ask(call.live.run, call.path, question, ("ask", now, told), call.live.number(1))
        return question

    async def _answered(self, call: DoorCall, question: Question) -> str:
        asked: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked[question.id] = call, asked
        _show(call.live, question)
        try:
            call.waits(Parking(why="an answer", status="input_required", wake_at=question.expires_at, news=asked))
            if await self._clock.wait(asked, question.expires_at):
                return asked.result()
            asked.cancel()  # an answer that comes now is read from the store
            answer = await self._store.close_wait(call.live.run, call.path)
            if answer is not None:  # given in the last moment, and its person was told that it counts
                return answer
            self._runner.forget_question(question)
            self._clock.forget(question.expires_at)
            raise Expired(f"Nobody answered in time: {question.question}", "Ask again, or go on without an answer.")
        finally:
            self._asked.pop(question.id, None)

    async def _commit_state(self, call: DoorCall) -> Done:
        return Done(state=str(call.args["state"]))


def _show(live: Live | None, question: Question) -> None:
    """A question is that of every run above it too: that is what the person sees who called."""
    while live is not None:
        others = (one for one in live.run.questions if one.id != question.id)
        live.announce(status="input_required", questions=(*others, question))
        live.settled.set()
        live = live.parent


def check_answer(question: Question, answer: Any) -> Any:
    """The answer as the schema has it: text that does not fit it is read as JSON, which models write as text. Raises BadArguments
    saying what is wanted."""
    import jsonschema

    try:
        jsonschema.validate(answer, question.schema)
    except jsonschema.ValidationError as error:
        if (meant := _read(answer)) is not answer:
            return check_answer(question, meant)
        raise BadArguments(
            f"The answer does not fit the question: {error.message}", f"It must fit {json.dumps(question.schema)}."
        ) from None
    except jsonschema.SchemaError:
        return answer  # the workflow's own schema is no schema: it takes what comes
    return answer


def _read(answer: Any) -> Any:
    """What a text is as JSON; the same object where it is none, or a text again."""
    if not isinstance(answer, str):
        return answer
    try:
        meant = json.loads(answer)
    except (ValueError, RecursionError):
        return answer
    return answer if isinstance(meant, str) else meant
