"""What the suite wants of tasks and no workflow does: a tool that is only there as a task, and a call that ends in a JSON-RPC error.

All other fixtures of `tasks-*` are workflows, so that runs, tasks and their questions are the product's.
"""

from __future__ import annotations

from typing import Any, Final

import mcp_types as types
from mcp.server.lowlevel import Server

from repertoire.surfaces.mcp.sdk_adapter import Context
from repertoire.surfaces.mcp.tasks import TaskParams, require_tasks

from .fixture import Tool, ToolAnswer, handler, text

_ONLY_AS_TASKS: Final = frozenset({"failing_job", "test_tool_with_task"})
_BROKEN: Final = "workflow:protocol_error_job:"
_NAME: Final = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


async def _greet(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
    return text(f"Hello, {(params.arguments or {})['name']}!")


TOOLS: Final = [Tool("greet", "Greets; its answer is not an envelope.", _greet, _NAME)]


def over_tasks(server: Server[Any]) -> None:
    """Before the product's own handlers of tools/call and tasks/get."""
    product_call, product_get = handler(server, "tools/call"), handler(server, "tasks/get")

    async def call(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
        if params.name in _ONLY_AS_TASKS:
            require_tasks(ctx)
        answer: ToolAnswer = await product_call(ctx, params)
        return answer

    async def get(ctx: Context, params: TaskParams) -> Any:
        task = await product_get(ctx, params)
        if params.task_id.startswith(_BROKEN) and task["status"] == "completed":
            error = {"code": types.INTERNAL_ERROR, "message": "This job always ends in a protocol error"}
            task = {**{key: task[key] for key in task if key != "result"}, "status": "failed", "error": error}
        return task

    server.add_request_handler("tools/call", types.CallToolRequestParams, call)
    server.add_request_handler("tasks/get", TaskParams, get)
