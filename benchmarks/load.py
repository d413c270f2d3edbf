"""Many HTTP clients at once, each on a connection of its own: calls per second, and the errors that they saw."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from .figures import BARE, Budget, Figure, Plan, against_bare, interleave
from .servers import ECHO, a_home, bare_command, fastmcp_command, http_server
from .wire import Failed, HttpClient, call_times, http_answer, http_headers, request

_CLIENTS = (1, 32, 100, 500)
_CALLS = 300
"""Of all clients together in one pair; at least two each."""
_CALLS_ALONE = 150
_CONNECTING = 50
"""Connections being opened at once: the question is calls, not the kernel's backlog."""
_PATIENCE_S = 60.0


def measure(plan: Plan) -> list[Figure]:
    with a_home() as home, ExitStack() as stack:
        home.add("echo", ECHO)
        with home.front() as front:  # over HTTP nobody waits for files that were never read
            call_times(front, "echo", 1)
        home.stop()
        commands = {BARE: bare_command("http"), "Repertoire": home.command("serve", "--http", "127.0.0.1:0")}
        if plan.fastmcp:
            commands["FastMCP"] = fastmcp_command(plan.fastmcp, "http")
        urls = {
            subject: stack.enter_context(http_server(command, home.environ)) for subject, command in commands.items()
        }
        for url in urls.values():
            with HttpClient(url) as client:
                call_times(client, "echo", 30)
        figures: list[Figure] = []
        for clients in _CLIENTS:
            total = max(2 * clients, _CALLS if clients > 1 else _CALLS_ALONE)
            measures = {subject: _measure(url, clients, total) for subject, url in urls.items()}
            series = interleave(plan.pairs, measures, Budget(40))
            for subject in urls:
                if subject != BARE:
                    lost, bare_lost = (int(sum(series[who]["errors"])) for who in (subject, BARE))
                    what = f"{subject}, {clients} client{'s' if clients > 1 else ''}"
                    note = f"errors {lost}, bare {bare_lost}"
                    figures.append(against_bare(series, subject, "calls/s", what=what, unit="calls/s", note=note))
    return figures


def _measure(url: str, clients: int, total: int) -> Callable[[], Mapping[str, float]]:
    return lambda: asyncio.run(_rush(url, clients, total // clients))


async def _rush(url: str, clients: int, each: int) -> dict[str, float]:
    gate = asyncio.Semaphore(_CONNECTING)
    lines = [_Line(url, gate) for _ in range(clients)]
    errors = sum(await asyncio.gather(*(line.open() for line in lines)))
    began = time.perf_counter()
    wrong = sum(await asyncio.gather(*(line.call(each) for line in lines)))
    taken = time.perf_counter() - began
    for line in lines:
        line.close()
    answered = clients * each - wrong
    return {"calls/s": max(answered, 1e-9) / taken, "errors": errors + wrong}


class _Line:
    """One client's connection."""

    def __init__(self, url: str, gate: asyncio.Semaphore) -> None:
        self._host = url.removeprefix("http://")
        self._gate = gate
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> int:
        """The number of errors: 0 or 1."""
        host, _, port = self._host.partition(":")
        async with self._gate:
            try:
                self._streams = await asyncio.open_connection(host, int(port))
            except OSError:
                return 1
        return 0

    async def call(self, count: int) -> int:
        """How many of `count` calls were not answered well; after a broken connection, all that are left."""
        for done in range(count):
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await self._ask(done + 1)
            except (OSError, EOFError, TimeoutError, Failed):
                return count - done
        return 0

    async def _ask(self, number: int) -> None:
        if self._streams is None:
            raise EOFError
        reader, writer = self._streams
        params = {"name": "echo", "arguments": {"text": "hi"}}
        body = request(number, "tools/call", params)
        headers = {"Host": self._host, "Content-Length": str(len(body)), **http_headers("tools/call", params)}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body)
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        answered = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        text = await _body(reader, answered)
        if " 200 " not in status:
            raise Failed(status)
        http_answer(text)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if (length := headers.get("content-length")) is not None:
        return await reader.readexactly(int(length))
    text = b""
    while size := int(await reader.readline(), 16):
        text += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return text
