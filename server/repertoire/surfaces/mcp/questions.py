"""Questions: puts a run's questions to the person behind the client, while a call waits for the run; used by call_tool.py.

2025-11-25: an `elicitation/create` request for each open question, while the call stays open. 2026-07-28: the call is answered with
InputRequiredResult. The client repeats it with the answers, and with the state that names the run. The SDK seals that state
(sdk_adapter.py), so the run's id in it comes from us, and belongs to this caller. A client that can do neither gets the envelope and
calls answer_run.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

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
from .sdk_adapter import Context, can_fill_forms

logger = logging.getLogger(__name__)

_TRIES: Final = 3
"""How often one question is asked when the answer breaks a rule that a form cannot express."""

InputRequests = dict[str, dict[str, Any]]


def input_requests(run: Run, complaint: str | None = None) -> InputRequests:
    """Elicitation requests for the open questions that fit into a form, by id. `complaint` says why they are asked again."""
    forms = {question.id: (question, form_of(question.schema)) for question in run.questions}
    return {
        number: {
            "method": "elicitation/create",
            "params": {"mode": "form", "message": _words(question, complaint), "requestedSchema": form.schema},
        }
        for number, (question, form) in forms.items()
        if form is not None
    }


def given_answers(run: Run, responses: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Answers by question, and whether the person declined to give one. Answers to questions that are not open are left out."""
    answers: dict[str, Any] = {}
    declined = False
    for question in run.questions:
        response, form = responses.get(question.id), form_of(question.schema)
        if not isinstance(response, types.ElicitResult) or form is None:
            continue
        if response.action == "accept":
            answers[question.id] = form.answer(response.content)
        else:
            declined = True
    return answers, declined


class Questions:
    def __init__(self, service: Service) -> None:
        self._service = service

    def input_required(self, ctx: Context, run: Run, complaint: str | None = None) -> ToolResult | None:
        """The InputRequiredResult of 2026-07-28 for the open questions; None when this client cannot show them."""
        requests = input_requests(run, complaint) if can_fill_forms(ctx) else None
        return {"resultType": "input_required", "inputRequests": requests, "requestState": run.id} if requests else None

    async def store_answers(self, caller: Caller, run: Run, responses: dict[str, Any]) -> tuple[bool, str | None]:
        """Store the answers of a repeated call. Returns whether to keep waiting for the run, and why an answer was refused."""
        answers, declined = given_answers(run, responses)
        try:
            if answers:
                await self._service.runs.answer_many(caller, run.id, answers)
        except BadArguments as error:
            return True, error.message
        return not declined, None

    async def elicit(self, ctx: Context, caller: Caller, run: Run) -> bool:
        """Ask a 2025-11-25 client each open question. False: the person does not answer, or the client cannot show it."""
        if not can_fill_forms(ctx):
            return False
        asked = False
        for question in run.questions:
            if (form := form_of(question.schema)) is not None:
                if not await self._settle(ctx, caller, run, question, form):
                    return False
                asked = True
        return asked

    async def _settle(self, ctx: Context, caller: Caller, run: Run, question: Question, form: Form) -> bool:
        complaint = None
        for _ in range(_TRIES):
            response = await self._dialog(ctx, caller, run, question, form, complaint)
            if response is None or response.action != "accept":
                return await self._is_closed(caller, run.id, question.id)
            try:
                await self._service.runs.answer(caller, run.id, form.answer(response.content), question.id)
            except BadArguments as error:
                if await self._is_closed(caller, run.id, question.id):
                    return True
                complaint = error.message
            else:
                return True
        return False

    async def _dialog(
        self, ctx: Context, caller: Caller, run: Run, question: Question, form: Form, complaint: str | None
    ) -> types.ElicitResult | None:
        """None: the client could not show it, or the question was closed: answered elsewhere, expired or cancelled."""
        response: types.ElicitResult | None = None

        async def watch() -> None:
            async for _ in self._service.runs.follow(run.id, run.last_event):
                if await self._is_closed(caller, run.id, question.id):
                    tasks.cancel_scope.cancel()

        left = None if question.expires_at is None else max(0.0, question.expires_at - time.time())
        with anyio.move_on_after(left):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                try:
                    response = await ctx.session.elicit_form(_words(question, complaint), form.schema, ctx.request_id)
                except (MCPError, ValidationError) as error:
                    logger.info("the client could not ask for %s: %s", run.id, error)
                tasks.cancel_scope.cancel()
        return response

    async def _is_closed(self, caller: Caller, run_id: str, number: str) -> bool:
        run = await self._service.runs.find(caller, run_id)
        return all(question.id != number for question in run.questions)


def _words(question: Question, complaint: str | None) -> str:
    return f"{complaint} {question.question}" if complaint else question.question
