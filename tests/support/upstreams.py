"""Upstreams: MCP servers as sources of tools, for tests of the package `upstream`."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from repertoire.upstream.config import ServerConfig, ServerOptions
from repertoire.upstream.masks import Masks
from repertoire.upstream.mcp_servers import McpServer
from repertoire.upstream.tool import Tool, ToolContext

HERE = Path(__file__).parent


class Run:
    """The surroundings of a call: what was told and asked, and the answers to give."""

    def __init__(self, answer: Any = None, after_s: float = 0.0) -> None:
        self.told: list[tuple[float, float | None, str | None]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.context = ToolContext("key-1", lambda *told: self.told.append(told), self._ask, {})
        self._answer = answer
        self._after_s = after_s

    async def _ask(self, message: str, schema: dict[str, Any]) -> Any:
        self.asked.append((message, schema))
        await anyio.sleep(self._after_s)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def python_server(script: str, *words: str, **options: Any) -> ServerConfig:
    """A server of tests/support over stdio."""
    return ServerConfig(
        name="up",
        original="up",
        command=sys.executable,
        args=(str(HERE / script), *words),
        options=ServerOptions(**options),
    )


def raw(*words: str, **options: Any) -> ServerConfig:
    return python_server("raw_upstream.py", *words, **options)


@asynccontextmanager
async def opened(config: ServerConfig, masks: Masks | None = None) -> AsyncIterator[McpServer]:
    async with anyio.create_task_group() as tasks:
        server = McpServer(config, tasks, masks or Masks())
        try:
            yield server
        finally:
            with anyio.CancelScope(shield=True):
                await server.aclose()


async def call(server: McpServer, name: str, run: Run | None = None, /, **arguments: Any) -> Any:
    tool = await find(server, name)
    return await server.call(tool, arguments, (run or Run()).context)


async def find(server: McpServer, name: str) -> Tool:
    return next(tool for tool in await server.list_tools() if tool.name == name)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
