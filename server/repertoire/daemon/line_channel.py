"""Line channel: reads and writes the lines of one connection to the daemon, within bounds; used by both ends of it.

`LineChannel` is an `asyncio.Protocol` and not a pair of streams: a line costs one callback and one wake-up.
It does not parse lines.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any, Final

import anyio
import msgspec

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""A longer line ends the connection: it bounds what one client can make the daemon hold in memory."""

MAX_HELLO_BYTES: Final = 64 * 1024
"""The limit of the first line: the client is not known yet."""

_QUEUE_BYTES: Final = 1024 * 1024
"""Lines that are read and not yet taken. Above it reading pauses, and the client's writes fill its socket."""

_WRITE_BYTES: Final = 256 * 1024
"""Bytes that are written and not yet read by the client. Above it `send` waits."""

_CLOSE_S: Final = 2.0
"""How long a closing connection waits for its last bytes to be read."""


class LineTooLong(Exception):
    """The client sent a line over the limit; nothing after it can be read."""


class LineChannel(asyncio.Protocol):
    """One reader, any number of writers. The event loop makes one for each connection."""

    def __init__(self) -> None:
        self.too_long = False
        self.client = ""
        """The own name of the program at the other end, once a request has told it."""
        self.session = ""
        """The name of its default session."""
        self._limit = MAX_HELLO_BYTES
        self._transport: asyncio.Transport | None = None
        self._lines: deque[bytes] = deque()
        self._queued = 0
        self._tail = bytearray()
        self._ended = False
        self._paused = False
        self._reader: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = asyncio.Event()

    async def receive(self) -> bytes | None:
        """The next line without its newline; blank lines are skipped. None at the end. Raises LineTooLong.

        While the client does not read its answers, its lines are not read either: each could cost us another answer.
        """
        if not self._writable.is_set():
            await self._writable.wait()
        while not self._lines:
            if self.too_long:
                raise LineTooLong(f"a line is over {self._limit} bytes")
            if self._ended:
                return None
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        line = self._lines.popleft()
        self._queued -= len(line)
        if self._paused and self._queued < _QUEUE_BYTES // 2:
            self._resume()
        return line

    async def send(self, line: bytes) -> None:
        """Write one line; waits while the client does not read. Raises BrokenResourceError when it has gone."""
        self.write(line)
        if not self._writable.is_set():
            await self._writable.wait()
            if self._lost.is_set():
                raise anyio.BrokenResourceError

    def write(self, line: bytes) -> None:
        """Write one line without waiting: the last one of a connection. Raises BrokenResourceError when the client has gone."""
        if self._transport is None or self._lost.is_set():
            raise anyio.BrokenResourceError
        self._transport.write(line + b"\n")

    async def send_json(self, value: Any) -> None:
        await self.send(msgspec.json.encode(value))

    def note_open(self, request_id: str | int, run_id: str) -> None:
        """Tell the front which run a request began, in case we die before it ends. The front does not pass this line on."""
        with contextlib.suppress(anyio.BrokenResourceError):
            self.write(b"#" + msgspec.json.encode({"id": request_id, "run": run_id}))

    async def aclose(self) -> None:
        """Close when the client has read everything, or after two seconds. Safe to call while being cancelled."""
        if self._transport is None:
            return
        self._transport.close()
        with anyio.move_on_after(_CLOSE_S, shield=True):
            await self._lost.wait()
        self._transport.abort()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITE_BYTES)

    def data_received(self, data: bytes) -> None:
        if self.too_long:
            return
        if self._tail:
            self._tail += data
            if b"\n" not in data:  # only the new part is searched: else a long line would cost the square of its length
                self._check(len(self._tail))
                return
            data = bytes(self._tail)
            self._tail.clear()
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._check(len(line))
            if self.too_long:
                return
            self._limit = MAX_LINE_BYTES
            if line.strip():
                self._lines.append(line)
                self._queued += len(line)
        self._tail += rest
        self._check(len(rest))
        self._wake()
        if self._queued > _QUEUE_BYTES and not self._paused:
            self._pause()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return True  # the client may have closed only its sending half, and still read our answers

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._lost.set()
        self._writable.set()
        self._wake()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _check(self, length: int) -> None:
        if length > self._limit:
            self.too_long = True
            self._tail.clear()
            self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()
            self._paused = True

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()


def is_gone(error: BaseException) -> bool:
    """Whether this error says only that the client has gone, also inside a task group's error."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_gone(inner) for inner in error.exceptions)
    return isinstance(error, (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, ConnectionError))
