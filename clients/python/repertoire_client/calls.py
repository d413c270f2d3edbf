"""One tools/call and its answer as JSON; refusals and protocol errors raise RepertoireCallError. Above it `client`, below the SDK."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from mcp import Client
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent

from .errors import RepertoireCallError, of_answer, of_protocol

OnProgress = Callable[[float, float | None, str | None], Awaitable[object]]
"""Takes (done, total, message)."""


class Calls:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def __call__(self, tool: str, arguments: dict[str, Any], on_progress: OnProgress | None = None) -> Any:
        """The answer's object. Arguments that are None are left out. Raises RepertoireCallError."""
        given = {key: value for key, value in arguments.items() if value is not None}
        try:
            result = await self._client.call_tool(tool, given, progress_callback=_by_position(on_progress))
        except MCPError as error:
            raise of_protocol(error) from error
        answer = _payload(result)
        run_id = answer.get("run_id")
        if result.is_error and (
            run_id is None or answer.get("status") == "input_required"
        ):  # refused, or a wrong answer
            raise of_answer(answer.pop("error", None), run_id, details=answer)
        return answer


def _by_position(on_progress: OnProgress | None) -> ProgressFnT | None:
    """The SDK's type wants its own parameter names; ours does not."""
    if on_progress is None:
        return None

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        await on_progress(progress, total, message)

    return hear


def _payload(result: CallToolResult) -> dict[str, Any]:
    """The structured content; the text says the same where a gateway on the way has dropped it."""
    if isinstance(result.structured_content, dict):
        return result.structured_content
    text = next((part.text for part in result.content if isinstance(part, TextContent)), "")
    try:
        payload = json.loads(text)
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        raise RepertoireCallError("protocol_error", f"The answer is not one of Repertoire's: {text[:200]!r}.")
    return payload
