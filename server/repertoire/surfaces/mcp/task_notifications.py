"""Task notifications: sends notifications/tasks to clients whose `subscriptions/listen` names tasks; used by build_server.py.

Each notification holds the answer that tasks/get would give at that moment. List changes use the same stream: the SDK serves those.
The stream's first frame is the SDK's acknowledgement. The accepted task ids are added to it here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError

from ...errors import RepertoireError
from ...model.lifecycle import FINAL
from ...model.session import Caller
from ...service import Service
from .change_notifications import Changes
from .sdk_adapter import Acknowledging, Context, subscribed_names, tell_of_task
from .tasks import Tasks, require_tasks

_APART_S: Final = 0.2
"""The time between two notifications of one task: changes meanwhile come with the next one."""
_AT_LEAST_S: Final = 1.0
"""How often a task is read when it has no new events: a status can change without an event."""
_MAX_TASKS: Final = 100


class TaskSubscriptions:
    """Serves subscriptions/listen for callers of one kind."""

    def __init__(
        self, service: Service, tasks: Tasks, changes: Changes, caller_of: Callable[[Context], Caller]
    ) -> None:
        self._service = service
        self._tasks = tasks
        self._changes = changes
        self._caller_of = caller_of

    async def __call__(
        self, ctx: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        wanted = subscribed_names(params, "taskIds")
        if not wanted:
            return await self._changes.listen(ctx, params)
        require_tasks(ctx)
        caller = self._caller_of(ctx)
        known = await self._find_tasks(caller, wanted)
        session = Acknowledging(ctx.session, {"taskIds": known})
        async with anyio.create_task_group() as group:
            for run_id in known:
                group.start_soon(self._tell, ctx, caller, run_id, session.acknowledged)
            result = await self._changes.listen(replace(ctx, session=session), params)
            group.cancel_scope.cancel()
        return result

    async def _find_tasks(self, caller: Caller, wanted: list[str]) -> list[str]:
        """The tasks that exist and belong to the caller: the acknowledgement leaves out the others."""
        if len(wanted) > _MAX_TASKS:
            raise MCPError(code=types.INVALID_PARAMS, message=f"At most {_MAX_TASKS} taskIds in one subscription.")
        known = []
        for run_id in dict.fromkeys(wanted):
            try:
                known.append((await self._service.runs.find(caller, run_id)).id)
            except RepertoireError:
                continue
        return known

    async def _tell(self, ctx: Context, caller: Caller, run_id: str, acknowledged: anyio.Event) -> None:
        """Send the task as it stands, because it may have changed before the client subscribed_names. Then send every change."""
        await acknowledged.wait()
        news = anyio.Event()

        async def follow() -> None:
            async for _ in self._service.runs.follow(run_id, run.last_event):
                news.set()
            ended.set()
            news.set()

        ended = anyio.Event()
        run = await self._service.runs.find(caller, run_id)
        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            told: dict[str, Any] = {}
            while True:
                last = ended.is_set()
                task = await self._tasks.details(ctx, caller, run_id)
                if _visible(task) != _visible(told):
                    await tell_of_task(ctx, task)
                    told = task
                if last or task["status"] in FINAL:
                    group.cancel_scope.cancel()
                    return
                await anyio.sleep(_APART_S)
                with anyio.move_on_after(_AT_LEAST_S):
                    await news.wait()
                news = anyio.Event()


def _visible(task: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in task.items() if key not in ("lastUpdatedAt", "pollIntervalMs")}
