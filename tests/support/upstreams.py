"""Upstreams: MCP servers as sources of tools, for tests of the package `upstream`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def http_server(*words: str, headers: dict[str, str] | None = None, **options: Any) -> Iterator[ServerConfig]:
    """The server of `upstream_server.py` over HTTP, listening."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(HERE / "upstream_server.py"), f"http={port}", *words])
    try:
        give_up = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < give_up
                time.sleep(0.05)
        yield ServerConfig(
            name="up",
            original="up",
            kind="http",
            url=f"http://127.0.0.1:{port}/mcp",
            headers=headers or {},
            options=ServerOptions(**options),
        )
    finally:
        process.kill()
        process.wait()


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
