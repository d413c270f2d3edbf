"""Tasks: the tasks extension of 2026-07-28. A run that takes longer than a moment is a task with the run's id; used by call_tool.py.

A task carries the answer that the call would have had. So a failed run is a *completed* task whose result is an error: the status
`failed` is for calls whose answer would be a JSON-RPC error, and a run's failure never is one. The other four statuses are the run's.
Nothing is stored here. A caller who may see the run may see the task.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types.jsonrpc import MISSING_REQUIRED_CLIENT_CAPABILITY

from ...errors import BadArguments, RepertoireError
from ...model.run import Run, iso
from ...model.session import Caller
from ...service import Service
from .call_results import ToolResult, answer_of_run
from .questions import given_answers, input_requests
from .sdk_adapter import Context, check_name_header, declares, is_modern
from .tool_listings import Listings

EXTENSION: Final = "io.modelcontextprotocol/tasks"
GRACE_S: Final = 0.5
"""A run that ends (or asks) within this time is answered directly: the client's first poll would come later. A longer time would only
hold the call, and the official suite expects a task for a call of one second."""
_FIRST_POLL_MS: Final = 500
_LAST_POLL_MS: Final = 5000
_POLLS_PER_AGE: Final = 10
"""Clients poll in intervals of a tenth of the task's age: a short task is seen soon, and a long one costs little."""
_LOOK_BACK: Final = 50
"""This many of the latest events are searched for a progress message."""
_MESSAGE_CHARS: Final = 200
_ACKNOWLEDGED: Final[ToolResult] = {"resultType": "complete"}


class TaskParams(types.RequestParams):
    task_id: str


class UpdateParams(TaskParams):
    input_responses: dict[str, Any]


class Tasks:
    """Answers tasks/get, tasks/update and tasks/cancel for callers of one kind."""

    def __init__(self, service: Service, caller_of: Callable[[Context], Caller], listings: Listings) -> None:
        self._service = service
        self._listings = listings
        self._caller_of = caller_of

    def serve(self, server: Server[Any]) -> None:
        server.extensions[EXTENSION] = {}
        server.add_request_handler("tasks/get", TaskParams, self.get)
        server.add_request_handler("tasks/update", UpdateParams, self.update)
        server.add_request_handler("tasks/cancel", TaskParams, self.cancel)

    async def result_of(self, caller: Caller, run: Run) -> ToolResult:
        """The CreateTaskResult of a run that goes on."""
        return {"resultType": "task", **_task(*await self._look(caller, run.id))}

    async def details(self, ctx: Context, caller: Caller, run_id: str) -> dict[str, Any]:
        """The task with the call's result or the run's questions, by its status. Raises RepertoireError."""
        run, events = await self._look(caller, run_id)
        task = _task(run, events)
        if run.status == "input_required":
            return {**task, "inputRequests": input_requests(ctx, run)}
        if task["status"] == "completed":
            return {
                **task,
                "result": _bare(await answer_of_run(self._service, run, self._listings.under(caller, run.workflow))),
            }
        return task

    async def get(self, ctx: Context, params: TaskParams) -> ToolResult:
        caller = self._check_request(ctx, params)
        try:
            return {"resultType": "complete", **await self.details(ctx, caller, params.task_id)}
        except RepertoireError as error:
            raise _unknown(error) from error

    async def update(self, ctx: Context, params: UpdateParams) -> ToolResult:
        """Store answers to open questions. Anything else is ignored, also a refusal: the question stays open."""
        caller = self._check_request(ctx, params)
        try:
            run = await self._service.runs.find(caller, params.task_id)
            answers, _ = given_answers(run, {key: _response(value) for key, value in params.input_responses.items()})
            if answers:
                await self._service.runs.answer_many(caller, run.id, answers)
        except BadArguments as error:
            raise MCPError(code=types.INVALID_PARAMS, message=error.message) from error
        except RepertoireError as error:
            raise _unknown(error) from error
        return _ACKNOWLEDGED

    async def cancel(self, ctx: Context, params: TaskParams) -> ToolResult:
        caller = self._check_request(ctx, params)
        try:
            await self._service.runs.cancel(caller, params.task_id)
        except RepertoireError as error:
            raise _unknown(error) from error
        return _ACKNOWLEDGED

    def _check_request(self, ctx: Context, params: TaskParams) -> Caller:
        if not is_modern(ctx):
            raise MCPError(code=types.METHOD_NOT_FOUND, message="Method not found", data=ctx.method)
        check_name_header(ctx, params.task_id)
        require_tasks(ctx)
        return self._caller_of(ctx)

    async def _look(self, caller: Caller, run_id: str) -> tuple[Run, list[dict[str, Any]]]:
        """The run and its latest stored events."""
        run = await self._service.runs.find(caller, run_id)
        seen = await self._service.runs.get(caller, run_id, after_event=max(0, run.last_event - _LOOK_BACK))
        if seen["status"] != run.status:  # it has moved on between the two
            run = await self._service.runs.find(caller, run_id)
        events: list[dict[str, Any]] = seen["events"]
        return run, events


def declares_tasks(ctx: Context) -> bool:
    """Whether this very request may be answered with a task."""
    return is_modern(ctx) and declares(ctx, EXTENSION)


def require_tasks(ctx: Context) -> None:
    """Raises MCPError naming the extension where the request does not declare it."""
    if not declares_tasks(ctx):
        raise MCPError(
            code=MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="This needs a client that declares the tasks extension in the request.",
            data={"requiredCapabilities": {"extensions": {EXTENSION: {}}}},
        )


def _task(run: Run, events: list[dict[str, Any]]) -> dict[str, Any]:
    status = "completed" if run.status == "failed" else run.status
    task: dict[str, Any] = {"taskId": run.id, "status": status, "createdAt": iso(run.created_at)}
    task["lastUpdatedAt"] = events[-1]["at"] if events else iso(run.ended_at or run.created_at)
    task["ttlMs"] = None
    if not run.is_final:
        age_ms = (time.time() - run.created_at) * 1000
        task["pollIntervalMs"] = int(min(max(age_ms / _POLLS_PER_AGE, _FIRST_POLL_MS), _LAST_POLL_MS))
    if message := _status_message(run, events):
        task["statusMessage"] = message[:_MESSAGE_CHARS]
    return task


def _status_message(run: Run, events: list[dict[str, Any]]) -> str | None:
    if run.error is not None:
        return run.error.message
    if run.status == "input_required":
        return " / ".join(question.question for question in run.questions)
    if run.is_final:
        return None
    if run.waiting_for is not None:
        return f"waiting for {run.waiting_for}"
    return next((text for event in reversed(events) if (text := _event_message(event["type"], event["data"]))), None)


def _event_message(kind: str, data: dict[str, Any]) -> str | None:
    """An event as a status message."""
    message = str(data.get("message") or "")
    if kind == "log":
        return message or None
    if kind != "progress" or data.get("done") is None:
        return message if kind == "progress" and message else None
    done, total = data["done"], data.get("total")
    count = f"{done:g} of {total:g}" if total else f"{done:g}"
    return f"{message} ({count})" if message else count


def _bare(answer: ToolResult) -> dict[str, Any]:
    """The result without resultType: inside a task it is not the result of a request."""
    return {key: value for key, value in answer.items() if key != "resultType"}


def _response(value: Any) -> types.ElicitResult | types.CreateMessageResultWithTools | None:
    for kind in (types.ElicitResult, types.CreateMessageResultWithTools):
        with contextlib.suppress(ValueError):
            return kind.model_validate(value, by_name=False)
    return None


def _unknown(error: RepertoireError) -> MCPError:
    """The same error for a task that does not exist and for a task of another user."""
    return MCPError(code=types.INVALID_PARAMS, message=f"Unknown task. {error.message}")
