"""MCP questions: turns an elicitation of an MCP server into a question of the run, and the answer back; used by mcp_connection.py."""

from __future__ import annotations

from typing import Final

import mcp_types as types

from .tool import ToolContext

REFUSAL: Final = types.ErrorData(
    code=types.INVALID_REQUEST,
    message="Several calls are open on this connection, and a question does not say which call asks. Make the call again: from now on "
    "a call has its connection to itself.",
)


async def ask(params: types.ElicitRequestParams, context: ToolContext) -> types.ElicitResult:
    """Ask the run's watchers. The answer None declines. Raises what `context.ask` raises."""
    if isinstance(params, types.ElicitRequestURLParams):
        if not params.url.startswith(("https://", "http://")):
            return types.ElicitResult(action="decline")
        message = f"{params.message}\nOpen {params.url} and answer true when it is done there."
        is_done = await context.ask(message, {"type": "boolean"})
        return types.ElicitResult(action="accept" if is_done is True else "decline")
    answer = await context.ask(params.message, dict(params.requested_schema))
    if answer is None:
        return types.ElicitResult(action="decline")
    return types.ElicitResult(action="accept", content=answer)
