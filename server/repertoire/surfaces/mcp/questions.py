"""Questions: puts a run's questions to the person behind the client, or to the client's own model, while a call waits; used by call_tool.py.

2025-11-25: a request to the client for each open question, while the call stays open. 2026-07-28: the call is answered with
InputRequiredResult. The client repeats it with the answers, and with the state that names the run. The SDK seals that state
(sdk_adapter.py), so the run's id in it comes from us, and belongs to this caller.

A question to a person is an elicitation, one to the client's model a sampling request. A client that can do neither gets the envelope and
calls answer_run. So does a client that has answered in `MOST_ROUNDS` rounds of one call: more would be an error in many clients.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, NamedTuple

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from ...errors import BadArguments
from ...model.run import Question, Run
from ...model.session import Caller
from ...service import Service
from .call_results import ToolResult
from .elicitation_forms import Form, form_of
from .sampling import SampledMessage, answer_of, message_request
from .sdk_adapter import Context, can_fill_forms, can_sample, sample

logger = logging.getLogger(__name__)

_TRIES: Final = 3
"""How often one question is asked when the answer breaks a rule that a form cannot express, or when a model's reply cannot be read."""
MOST_ROUNDS: Final = 10
"""The SDK's client gives a call up when it is asked again after so many rounds."""

InputRequests = dict[str, dict[str, Any]]
Complaints = dict[str, str]
"""Why the last answers were refused, by the ids of questions that are still open."""
Show = Callable[[str | None], Awaitable[Any]]
"""Shows a question to the client, with a complaint about the last answer. Returns the answer, or `NO_ANSWER`."""
NO_ANSWER: Final = object()


class Round(NamedTuple):
    """The state that a client returns with its answers: the run, and how many rounds this call has had."""

    run_id: str
    number: int = 0

    @classmethod
    def read(cls, state: str) -> Round:
        run_id, _, number = state.partition("#")
        return cls(run_id, int(number) if number.isdecimal() else 0)

    def next_state(self) -> str:
        return f"{self.run_id}#{self.number + 1}"


def input_requests(ctx: Context, run: Run, complaints: Complaints | None = None) -> InputRequests:
    """Requests for the open questions that this client can show, by id."""
    again = complaints or {}
    requests = {question.id: _input_request(ctx, question, again.get(question.id)) for question in run.questions}
    return {number: request for number, request in requests.items() if request is not None}


def _input_request(ctx: Context, question: Question, complaint: str | None) -> dict[str, Any] | None:
    if question.request is not None:
        if not can_sample(ctx):
            return None
        return message_request(question, complaint).model_dump(mode="json", by_alias=True, exclude_none=True)
    form = form_of(question.schema) if can_fill_forms(ctx) else None
    if form is None:
        return None
    params = {"mode": "form", "message": _words(question, complaint), "requestedSchema": form.schema}
    return {"method": "elicitation/create", "params": params}


def given_answers(run: Run, responses: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Answers by question, and whether the person declined to give one. Answers to questions that are not open are left out."""
    answers: dict[str, Any] = {}
    declined = False
    for question in run.questions:
        response = responses.get(question.id)
        if question.request is not None:
            if isinstance(response, SampledMessage):
                answers[question.id] = answer_of(response)
        elif isinstance(response, types.ElicitResult) and (form := form_of(question.schema)) is not None:
            if response.action == "accept":
                answers[question.id] = form.answer(response.content)
            else:
                declined = True
    return answers, declined


class Questions:
    def __init__(self, service: Service) -> None:
        self._service = service

    def input_required(
        self, ctx: Context, run: Run, rounds: int = 0, complaints: Complaints | None = None
    ) -> ToolResult | None:
        """The InputRequiredResult of 2026-07-28 for the open questions. None: this client cannot show them, or has had all its rounds."""
        requests = input_requests(ctx, run, complaints) if rounds < MOST_ROUNDS else {}
        state = Round(run.id, rounds).next_state()
        return {"resultType": "input_required", "inputRequests": requests, "requestState": state} if requests else None

    async def store_answers(self, caller: Caller, run: Run, responses: dict[str, Any]) -> tuple[bool, Complaints]:
        """Store the answers of a repeated call. Returns whether to keep waiting for the run, and why answers were refused."""
        answers, declined = given_answers(run, responses)
        complaints: Complaints = {}
        for question_id, answer in answers.items():  # one by one: an answer that does not fit must not cost the others
            try:
                await self._service.runs.answer(caller, run.id, answer, question_id)
            except BadArguments as error:
                if not await self._is_closed(caller, run.id, question_id):
                    complaints[question_id] = error.message
        return not declined, complaints

    async def put(self, ctx: Context, caller: Caller, run: Run) -> bool:
        """Put the open questions to a 2025-11-25 client: to the person one after the other, to its model all at once.

        False: the client does not answer one of them, or cannot show any.
        """
        to_model: list[tuple[Question, Show]] = []
        to_person: list[tuple[Question, Show]] = []
        for question in run.questions:
            if question.request is not None:
                if can_sample(ctx):
                    to_model.append((question, partial(_sample, ctx, question)))
            elif can_fill_forms(ctx) and (form := form_of(question.schema)) is not None:
                to_person.append((question, partial(_elicit, ctx, question, form)))
        settled: list[bool] = []

        async def ask(*questions: tuple[Question, Show]) -> None:
            for question, show in questions:
                settled.append(await self._settle(caller, run, question, show))
                if not settled[-1]:
                    return

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, *to_person)
            for one in to_model:
                tasks.start_soon(ask, one)
        return bool(settled) and all(settled)

    async def _settle(self, caller: Caller, run: Run, question: Question, show: Show) -> bool:
        """Ask until an answer fits. False: nobody answers."""
        complaint = None
        for _ in range(_TRIES):
            answer = await self._dialog(caller, run, question, partial(show, complaint))
            if answer is NO_ANSWER:
                return await self._is_closed(caller, run.id, question.id)
            try:
                await self._service.runs.answer(caller, run.id, answer, question.id)
            except BadArguments as error:
                if await self._is_closed(caller, run.id, question.id):
                    return True
                complaint = error.message
            else:
                return True
        return False

    async def _dialog(self, caller: Caller, run: Run, question: Question, show: Callable[[], Awaitable[Any]]) -> Any:
        """NO_ANSWER: the client gave none, or the question was closed: answered elsewhere, expired or cancelled."""
        answer: Any = NO_ANSWER

        async def watch() -> None:
            async for _ in self._service.runs.follow(run.id, run.last_event):
                if await self._is_closed(caller, run.id, question.id):
                    tasks.cancel_scope.cancel()

        left = None if question.expires_at is None else max(0.0, question.expires_at - time.time())
        with anyio.move_on_after(left):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                try:
                    answer = await show()
                except (MCPError, ValidationError) as error:
                    logger.info("the client could not ask for %s: %s", run.id, error)
                tasks.cancel_scope.cancel()
        return answer

    async def _is_closed(self, caller: Caller, run_id: str, number: str) -> bool:
        run = await self._service.runs.find(caller, run_id)
        return all(question.id != number for question in run.questions)


async def _elicit(ctx: Context, question: Question, form: Form, complaint: str | None) -> Any:
    response = await ctx.session.elicit_form(_words(question, complaint), form.schema, ctx.request_id)
    return form.answer(response.content) if response.action == "accept" else NO_ANSWER


async def _sample(ctx: Context, question: Question, complaint: str | None) -> Any:
    return answer_of(await sample(ctx, message_request(question, complaint).params))


def _words(question: Question, complaint: str | None) -> str:
    return f"{complaint} {question.question}" if complaint else question.question
