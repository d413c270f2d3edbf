"""Transports: one fixture for every transport: in memory, stdio through front and daemon, Streamable HTTP, legacy SSE, in both eras."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import anyio.to_thread
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client

from repertoire.app import App, open_app
from repertoire.model.session import Caller
from repertoire.settings import load
from repertoire.surfaces.mcp import build_server
from support import commands
from support.shells import READY

WAYS = ["memory-modern", "memory-legacy", "stdio-modern", "stdio-legacy", "http-modern", "http-legacy", "sse-legacy"]


UNREADY = {READY: "false"}
"""Tests of the ready workflows set it to true."""


class Way(Protocol):
    """A server of one home, reached over one transport. Tests may write to `home`."""

    name: str
    home: Path

    def client(self, **options: Any) -> AbstractAsyncContextManager[Client]: ...


def mode_of(name: str) -> Any:
    return "legacy" if name.endswith("legacy") else "auto"


class Memory:
    """Each client opens the home, or all share one app while it is `open`."""

    def __init__(self, name: str, home: Path, environ: dict[str, str]) -> None:
        self.name, self.home = name, home
        self._settings = load(home=str(home), environ=environ)
        self._app: App | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[App]:
        if self._app is not None:
            yield self._app
            return
        async with open_app(self._settings) as app:
            self._app = app
            try:
                yield app
            finally:
                self._app = None

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Client]:
        async with self.open() as app:
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
    words = ("serve", "--http", "127.0.0.1:0", "--home", str(home))
    ours, theirs = os.pipe()
    with open(ours) as said:
        with open(os.devnull, "r+b") as nothing:
            process = commands.start(
                *words,
                stdin=nothing.fileno(),
                stdout=nothing.fileno(),
                stderr=theirs,
                env={**os.environ, **UNREADY, **environ},
            )
        os.close(theirs)
        seen: list[str] = []
        try:
            for line in said:
                seen.append(line)
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    yield found[0]
                    break
            else:
                raise AssertionError(f"the server did not start: {seen}")
        finally:
            process.terminate()
            process.wait(20)


@asynccontextmanager
async def open_way(name: str, home: Path, environ: dict[str, str]) -> AsyncIterator[Way]:
    """`way_in` for the tests of a module: a home in memory stays open between them too."""
    with way_in(name, home, environ) as way:
        if isinstance(way, Memory):
            async with way.open():
                yield way
        else:
            yield way


async def runs_of(home: Path, *words: str) -> list[dict[str, Any]]:
    """`repertoire runs --json`, newest first, from a process of its own."""
    command = partial(commands.run, "runs", "--json", "--home", str(home), *words, env=os.environ)
    done = await anyio.to_thread.run_sync(command)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


@contextmanager
def way_in(name: str, home: Path, environ: dict[str, str]) -> Iterator[Way]:
    """`environ` has the settings; the ready workflows are left out unless it names them."""
    environ = {**UNREADY, **environ}
    (home / "workflows").mkdir(parents=True, exist_ok=True)
    os.chmod(home, 0o700)
    if name.startswith("memory"):
        yield Memory(name, home, environ)
    elif name.startswith("stdio"):
        yield Stdio(name, home, environ)
        stopped = commands.run("stop", "--force", "--home", str(home), env=os.environ)
        assert stopped.returncode == 0, stopped.stderr
    else:
        with http_server(home, environ) as url:
            yield Http(name, home, url)
