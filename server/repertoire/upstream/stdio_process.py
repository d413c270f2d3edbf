"""Stdio process: a transport of the SDK's client that runs an MCP server as a child, with bounds; used by mcp_transports.py.

The SDK's own `stdio_client` reads a line without a bound, and a server's mistake must not take the memory of all runs. So this module reads
the lines itself. A line that is too long is dropped as it comes; its request gets an error if the id can be seen at either end of the line.
A line that is no message is counted and dropped. The last lines of stderr are kept for the operator.

The child leads a process group. At the end its stdin is closed, then the group gets SIGTERM, then SIGKILL, each after a bounded wait. This
is shielded from cancellation, so no process is left behind. If we are killed ourselves, a watcher does it: a shell whose stdin ends with us.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
import mcp_types as types
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from .config import ServerConfig
from .inbox import Inbox
from .variables import Mask

_log = logging.getLogger("repertoire.tools")

_WATCH: Final = 'while read -r line; do :; done; kill -TERM "-$0"; sleep 2; kill -KILL "-$0"'
"""Waits for the end of its stdin, and ends the process group $0 then."""
_EXIT_S: Final = 2.0
"""For a server to end by itself after its stdin was closed, and again after SIGTERM."""
_POLL_S: Final = 0.01
_SHOWN: Final = 500
"""Characters of stderr that the operator sees, of one line and of all."""
_MAX_STDERR_LINE: Final = 10_000
_ENDS: Final = 512
"""Bytes that are kept of each end of a line that is too long."""
_ID_FIRST: Final = re.compile(rb'^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d+)\s*,')
_ID_LAST: Final = re.compile(rb'"id"\s*:\s*(\d+)\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')

Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]


class StdioNotes:
    """Notes on one child for the operator: the last lines of its stderr, its exit code."""

    def __init__(self, mask: Mask = str) -> None:
        self.stderr: deque[str] = deque(maxlen=5)
        self.exit_code: int | None = None
        self._mask = mask

    def note(self, line: str) -> None:
        """Keep a line of stderr, masked and then cut."""
        if line.strip():
            self.stderr.append(self._mask(line.rstrip())[:_SHOWN])

    def __str__(self) -> str:
        ended = f" It ended with code {self.exit_code}." if self.exit_code is not None else ""
        said = " / ".join(line.strip() for line in self.stderr)[-_SHOWN:]
        return ended + (f" Its stderr ends with: {said}" if said else "")


class LineReader:
    """Cuts bytes into lines. Of a line longer than `limit` only the ends are kept, and an error for its request is made of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._line = bytearray()
        self._dropped = 0

    def feed(self, chunk: bytes) -> Iterator[SessionMessage | Exception]:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._append(part)
            if self._dropped:
                yield self._too_long()
            elif self._line.strip():
                yield _parsed(bytes(self._line))
            self._line.clear()
            self._dropped = 0
        self._append(rest)

    def _append(self, part: bytes) -> None:
        self._line += part
        if len(self._line) > self._limit:
            self._dropped += len(self._line) - 2 * _ENDS
            del self._line[_ENDS:-_ENDS]

    def _too_long(self) -> SessionMessage | Exception:
        size = self._dropped + len(self._line)
        message = f"The answer has {size:,} bytes, and the limit is {self._limit:,}."
        found = _ID_FIRST.search(bytes(self._line[:_ENDS])) or _ID_LAST.search(bytes(self._line[-_ENDS:]))
        if found is None:
            return ValueError(message)
        error = types.ErrorData(code=types.INTERNAL_ERROR, message=message)
        return SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=int(found[1]), error=error))


@asynccontextmanager
async def stdio_process(config: ServerConfig, notes: StdioNotes, inbox: Inbox) -> AsyncIterator[Streams]:
    """Run the server; yields the messages that pass the inbox, and the stream to the server. Raises OSError."""
    process = await anyio.open_process(
        [config.command, *config.args],
        env=get_default_environment() | config.env,
        cwd=config.cwd or None,
        start_new_session=True,
    )
    # No await before the `try`: a cancellation here would leave the process behind.
    inward, messages = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outward, requests = anyio.create_memory_object_stream[SessionMessage](0)
    assert process.stdin and process.stdout and process.stderr
    reader = LineReader(int(config.options.max_message_mb * 1024 * 1024))
    watcher: Process | None = None
    async with anyio.create_task_group() as tasks:
        try:
            tasks.start_soon(_read_messages, process.stdout, reader, inbox, inward)
            tasks.start_soon(_write_messages, requests, process.stdin, inbox, inward)
            tasks.start_soon(_read_stderr, process.stderr, notes)
            watcher = await _watched(process)
            yield messages, outward
        finally:
            with anyio.CancelScope(shield=True):
                messages.close()  # from here on stdout is read and dropped, so that the server can end
                outward.close()
                await _stop(process, notes)
                if watcher is not None:
                    await _end_watcher(watcher)
            tasks.cancel_scope.cancel()


async def _read_messages(
    stdout: ByteReceiveStream,
    reader: LineReader,
    inbox: Inbox,
    inward: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    """Pass messages on until stdout ends. When nobody takes them any more, go on reading, so that the server can end."""
    is_open = True
    with inward, suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        async for chunk in stdout:
            for message in reader.feed(chunk) if is_open else ():
                try:
                    if inbox.passes(message):
                        await inward.send(message)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    is_open = False
                    break
    inbox.ended()


async def _write_messages(
    requests: MemoryObjectReceiveStream[SessionMessage],
    stdin: ByteSendStream,
    inbox: Inbox,
    inward: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    """Write to the server. When it reads no more, the connection has ended, and nobody must wait for an answer."""
    try:
        with requests:
            async for request in requests:
                line = request.message.model_dump_json(by_alias=True, exclude_unset=True)
                await stdin.send(line.encode() + b"\n")
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        inward.close()
        inbox.ended()


async def _read_stderr(stderr: ByteReceiveStream, notes: StdioNotes) -> None:
    rest = ""
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        async for chunk in stderr:
            *lines, rest = (rest + chunk.decode(errors="replace")).split("\n")
            for line in lines[-10:]:
                notes.note(line)
            rest = rest[:_MAX_STDERR_LINE]
    notes.note(rest)


async def _stop(process: Process, notes: StdioNotes) -> None:
    """End the child and its process group, and close its pipes."""
    assert process.stdin and process.stdout and process.stderr
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.aclose()
    has_ended = await _ends(process)
    _signal_group(process, signal.SIGTERM)  # helpers of it too, even if it has ended itself
    if not has_ended and not await _ends(process):
        _signal_group(process, signal.SIGKILL)
        if not await _ends(process):
            _log.warning("process %d of an MCP server is still alive after SIGKILL", process.pid)
    _signal_group(process, signal.SIGKILL)
    notes.exit_code = process.returncode
    for pipe in (process.stdout, process.stderr):
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await pipe.aclose()
    # A grandchild that left the group may hold a pipe open. Nothing public closes the transport then, and it would warn when collected.
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        transport.close()


async def _watched(process: Process) -> Process | None:
    """The watcher of the child's group. None: there is no shell here, and the child outlives us unless it reads the end of its stdin."""
    command = ["/bin/sh", "-c", _WATCH, str(process.pid)]
    with anyio.CancelScope(shield=True), suppress(OSError):  # a cancellation here would leave the watcher behind
        return await anyio.open_process(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath},
            start_new_session=True,
        )
    return None


async def _end_watcher(watcher: Process) -> None:
    """Before its stdin is closed: it must not kill a group that has ended."""
    with suppress(ProcessLookupError):
        watcher.kill()
    await watcher.aclose()


async def _ends(process: Process) -> bool:
    """Whether the process has ended in time. `process.wait()` would wait for its pipes too, which a grandchild can hold open."""
    with anyio.move_on_after(_EXIT_S):
        while process.returncode is None:
            await anyio.sleep(_POLL_S)
    return process.returncode is not None


def _signal_group(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _parsed(line: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error
