"""`repertoire demo`: runs the real server with the MCP SDK's client in a temporary home, and fails when an answer is not as expected."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from . import output
from .serving import stop_daemon

_FIRST_READING_S: Final = 60.0

_SOURCE = '''"""Count how often each word occurs in a text."""
from collections import Counter


def run(text: str, most: int = 3) -> dict[str, int]:
    """Count how often each word occurs in a text.

    Args:
        text: Any text.
        most: How many words to give, the most frequent first.
    """
    return dict(Counter(text.lower().split()).most_common(most))
'''


class Deviation(Exception):
    """Raised when an answer is not as expected."""


async def show_all() -> int:
    """Run every step. Returns the exit code: 0 when every answer was as expected."""
    with tempfile.TemporaryDirectory(prefix="repertoire-demo-") as folder:
        home = os.path.join(folder, "home")
        try:
            async with _client(home) as client:
                await _list_tools(client)
                await _profile(client)
                await _create_find_run(client)
                await _count(client, expected=1)
            await stop_daemon(home, force=False)
            _say("The server was stopped and is started again.")
            async with _client(home) as client:
                await _count(client, expected=2)
                await _word_count(client)
        except Deviation as deviation:
            output.error(f"the demo deviated: {deviation}")
            return 1
        finally:
            await stop_daemon(home, force=True)
    _say("All of it worked. Add it to an MCP host with the command `repertoire serve`.")
    return 0


@asynccontextmanager
async def _client(home: str) -> AsyncIterator[Client]:
    """The command that a host would start, with the demo's home."""
    command = [sys.executable, "-P", "-m", "repertoire", "serve", "--home", home]
    server = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
    async with Client(stdio_client(server)) as client:
        yield client


async def _list_tools(client: Client) -> None:
    tools: list[str] = []
    with anyio.move_on_after(_FIRST_READING_S):
        while "source_report" not in tools:  # a new home reads its workflows, and a slow machine takes a while
            await anyio.sleep(0.5 if tools else 0)
            tools = [tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools]
    _say(f"{len(tools)} tools: {', '.join(tools)}")
    _expect("run_workflow" in tools and "source_report" in tools, f"tools are {tools}")


async def _profile(client: Client) -> None:
    _say("A report on the source of the installed package `mcp`:")
    seen: list[float] = []

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        seen.append(done)
        share = f"{done:.0f}/{total:.0f}" if total else f"{done:.0f}"
        output.err.print(f"    {share} {message or ''}", markup=False)

    answer = await _call(client, "source_report", {"package": "mcp", "longest": 3}, on_progress)
    report = answer["result"]
    _say("    " + ", ".join(f"{key} {value}" for key, value in report.items() if isinstance(value, int)))
    _expect(report["files"] > 50, f"the report counts {report['files']} files")
    _expect(bool(seen) and seen == sorted(set(seen)), f"progress was {seen}")


async def _create_find_run(client: Client) -> None:
    created = (
        await client.call_tool("create_workflow", {"name": "word_count", "source": _SOURCE})
    ).structured_content or {}
    _expect(created.get("name") == "word_count", f"create_workflow answered {created}")
    _say(f"Created word_count, version {created['version']}.")
    found = (
        await client.call_tool("search_workflows", {"query": "how often does each word occur"})
    ).structured_content or {}
    names = [match["name"] for match in found.get("matches", [])]
    _expect(names[:1] == ["word_count"], f"search found {names}")
    _say(f"Found by intent ({found['ranking']}): {names[0]}.")
    await _word_count(client)


async def _word_count(client: Client) -> None:
    arguments = {"text": "the cat and the dog and the bird", "most": 2}
    answer = await _call(client, "run_workflow", {"name": "word_count", "arguments": arguments})
    _expect(answer["result"] == {"the": 3, "and": 2}, f"word_count answered {answer}")
    _say(f"word_count: {answer['result']}")


async def _count(client: Client, expected: int) -> None:
    answer = await _call(client, "counter", {"by": 1})
    _expect(answer["result"]["count"] == expected, f"the counter answered {answer['result']}")
    _say(f"The counter's session_state says {expected}.")


async def _call(client: Client, name: str, arguments: dict[str, Any], on_progress: Any = None) -> dict[str, Any]:
    result = await client.call_tool(name, arguments, progress_callback=on_progress)
    answer: dict[str, Any] = result.structured_content or {}
    _expect(not result.is_error and answer.get("status") == "completed", f"{name} answered {answer or result.content}")
    return answer


def _expect(truth: bool, otherwise: str) -> None:
    if not truth:
        raise Deviation(otherwise)


def _say(text: str) -> None:
    output.out.print(text, markup=False)
