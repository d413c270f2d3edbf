"""Calls of an MCP client as most tests make them: structured answers, a created workflow, bounded waiting."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from mcp import Client

ECHO = '''"""Give back what came."""

def run(number: int, text: str = "x") -> dict[str, int | str]:
    """Give back what came.

    Args:
        number: Any whole number.
        text: Any text.
    """
    return {"number": number, "text": text}
'''


COUNT = '''"""Count the calls of a session."""

def run(by: int = 1) -> int:
    session_state["count"] = session_state.get("count", 0) + by
    return session_state["count"]
'''


async def call(client: Client, name: str, arguments: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """The structured answer, after checking that the text says the same."""
    result = await client.call_tool(name, arguments or {}, **options)
    structured: dict[str, Any] = result.structured_content
    assert json.loads(result.content[0].text) == structured  # type: ignore[union-attr]
    return structured | {"is_error": result.is_error}


async def create(client: Client, name: str, source: str) -> dict[str, Any]:
    answer = await call(client, "create_workflow", {"name": name, "source": source, "replace": True})
    assert not answer["is_error"], answer
    return answer


async def made(client: Client, name: str, source: str, **arguments: Any) -> dict[str, Any]:
    """Create and run in the same turn."""
    await create(client, name, source)
    return await call(client, "run_workflow", {"name": name, "arguments": arguments})


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(15):
        while not await check():
            await anyio.sleep(0.05)
