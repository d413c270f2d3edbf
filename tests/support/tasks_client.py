"""Tasks client: requests and answers of the tasks extension for the SDK's own client, which does not know this extension."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
import mcp_types as types
from mcp import Client
from mcp.client import ClientExtension, NotificationBinding, ResultClaim
from pydantic import ConfigDict, Field

EXTENSION = "io.modelcontextprotocol/tasks"
FINAL = ("completed", "cancelled", "failed")


class Task(types.Result):
    """A CreateTaskResult, or an answer of tasks/get. The fields of a status are in `model_extra`."""

    model_config = ConfigDict(extra="allow")

    result_type: Literal["task"] = Field(default="task", alias="resultType")

    def __getitem__(self, key: str) -> Any:
        return self.wire[key]

    @property
    def wire(self) -> dict[str, Any]:
        return {key: value for key, value in (self.model_extra or {}).items() if key not in ("_meta", "resultType")}


class Heard(types.NotificationParams):
    model_config = ConfigDict(extra="allow")


class About(types.RequestParams):
    task_id: str


class Answers(About):
    input_responses: dict[str, Any]


class Get(types.Request[About, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: About
    name_param = "taskId"


class Update(types.Request[Answers, Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"
    params: Answers
    name_param = "taskId"


class Cancel(types.Request[About, Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    params: About
    name_param = "taskId"


class Anything(types.Result):
    model_config = ConfigDict(extra="allow")


class Tasks(ClientExtension):
    """Declares the extension. `heard` are the params of each notifications/tasks."""

    identifier = EXTENSION

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    def claims(self) -> Sequence[ResultClaim[Any]]:
        async def never(task: Task, ctx: object) -> types.CallToolResult:
            raise AssertionError("these tests look at the task itself")

        return [ResultClaim(result_type="task", model=Task, resolve=never)]

    def notifications(self) -> Sequence[NotificationBinding[Any]]:
        async def hear(params: Heard) -> None:
            self.heard.append(dict(params.model_extra or {}))

        return [NotificationBinding(method="notifications/tasks", params_type=Heard, handler=hear)]


async def begin(client: Client, name: str, arguments: dict[str, Any] | None = None, **options: Any) -> Any:
    """Send tools/call; gives a Task, an InputRequiredResult or a CallToolResult."""
    return await client.session.call_tool(
        name, arguments or {}, allow_input_required=True, allow_claimed=True, **options
    )


async def task_of(client: Client, task_id: str) -> dict[str, Any]:
    answer = await client.session.send_request(Get(params=About(task_id=task_id)), Anything)
    extra = dict(answer.model_extra or {})
    assert extra.pop("resultType") == "complete"
    return extra


async def until(client: Client, task_id: str, *statuses: str) -> dict[str, Any]:
    """Poll tasks/get until the task has one of these statuses."""
    with anyio.fail_after(30):
        while (task := await task_of(client, task_id))["status"] not in statuses:
            assert task["status"] not in FINAL, task
            await anyio.sleep(0.05)  # asking is all there is
    return task


async def update(client: Client, task_id: str, **responses: Any) -> dict[str, Any]:
    """tasks/update; its whole answer, which should be empty."""
    request = Update(params=Answers(task_id=task_id, input_responses=responses))
    return dict((await client.session.send_request(request, Anything)).model_extra or {})


async def cancel(client: Client, task_id: str) -> dict[str, Any]:
    request = Cancel(params=About(task_id=task_id))
    return dict((await client.session.send_request(request, Anything)).model_extra or {})


@asynccontextmanager
async def listening(client: Client, *task_ids: str) -> AsyncIterator[None]:
    """Hold a subscription to these tasks open."""
    wanted = types.SubscriptionFilter.model_validate({"taskIds": list(task_ids)})
    request = types.SubscriptionsListenRequest(params=types.SubscriptionsListenRequestParams(notifications=wanted))
    async with anyio.create_task_group() as group:
        group.start_soon(client.session.send_request, request, types.SubscriptionsListenResult)
        yield
        group.cancel_scope.cancel()
