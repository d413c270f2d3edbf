"""Transports: one fixture for every transport: in memory, stdio through front and daemon, Streamable HTTP, legacy SSE, in both eras."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client

from repertoire.app import open_app
from repertoire.model.session import Caller
from repertoire.settings import load
from repertoire.surfaces.mcp import build_server

WAYS = ["memory-modern", "memory-legacy", "stdio-modern", "stdio-legacy", "http-modern", "http-legacy", "sse-legacy"]


class Way(Protocol):
    """A server of one home, reached over one transport. Tests may write to `home`."""

    name: str
    home: Path

    def client(self, **options: Any) -> AbstractAsyncContextManager[Client]: ...


def mode_of(name: str) -> Any:
    return "legacy" if name.endswith("legacy") else "auto"


class Memory:
    def __init__(self, name: str, home: Path, environ: dict[str, str]) -> None:
        self.name, self.home = name, home
        self._settings = load(home=str(home), environ=environ)

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Client]:
        async with open_app(self._settings) as app:
            caller = Caller()
            server = build_server(app.service, app.settings.limits, app.changes, lambda ctx: caller)
            await app.service.library.wait_until_settled(caller)
            async with Client(server, mode=mode_of(self.name), **options) as client:
                yield client


class Stdio:
    def __init__(self, name: str, home: Path, environ: dict[str, str]) -> None:
        self.name, self.home, self._environ = name, home, environ

    @asynccontextmanager
    async def client(self, *, session: str = "default", **options: Any) -> AsyncIterator[Client]:
        arguments = ["-P", "-m", "repertoire", "serve", "--home", str(self.home), "--session", session]
        server = StdioServerParameters(command=sys.executable, args=arguments, env={**os.environ, **self._environ})
        async with Client(stdio_client(server), mode=mode_of(self.name), **options) as client:
            yield client


class Http:
    def __init__(self, name: str, home: Path, url: str) -> None:
        self.name, self.home, self.url = name, home, url

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Client]:
        target: Any = sse_client(f"{self.url}/sse") if self.name.startswith("sse") else f"{self.url}/mcp"
        async with Client(target, mode=mode_of(self.name), **options) as client:
            yield client


@contextmanager
def http_server(home: Path, environ: dict[str, str]) -> Iterator[str]:
    """`repertoire serve --http` in a process of its own; gives its URL."""
    command = [sys.executable, "-P", "-m", "repertoire", "serve", "--http", "127.0.0.1:0", "--home", str(home)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environ})
    seen: list[str] = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            seen.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found[0]
                break
        else:
            raise AssertionError(f"the server did not start: {seen}")
    finally:
        process.terminate()
        process.wait(20)
        if process.stderr is not None:
            process.stderr.close()


async def runs_of(home: Path, *words: str) -> list[dict[str, Any]]:
    """`repertoire runs --json`, newest first, from a process of its own."""
    command = [sys.executable, "-P", "-m", "repertoire", "runs", "--json", "--home", str(home), *words]
    rows: list[dict[str, Any]] = json.loads((await anyio.run_process(command)).stdout)
    return rows


@contextmanager
def way_in(name: str, home: Path, environ: dict[str, str]) -> Iterator[Way]:
    (home / "workflows").mkdir(parents=True, exist_ok=True)
    os.chmod(home, 0o700)
    if name.startswith("memory"):
        yield Memory(name, home, environ)
    elif name.startswith("stdio"):
        yield Stdio(name, home, environ)
        stop = [sys.executable, "-P", "-m", "repertoire", "stop", "--force", "--home", str(home)]
        subprocess.run(stop, check=True, capture_output=True, timeout=60)
    else:
        with http_server(home, environ) as url:
            yield Http(name, home, url)
