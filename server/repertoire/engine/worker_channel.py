"""WorkerChannel: the host's end of a worker's socket, with typed frames and back-pressure; used by Attempt, WorkerPool and IdleWorkers."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Final, cast

import msgspec

from ..wire import HostFrame, WorkerFrame, encode, frames, worker_decoder

_HIGH_WATER: Final = 64
"""With more waiting frames than this, the socket is not read. The worker then blocks in its send."""


class ProtocolViolation(Exception):
    """Raised when the worker has sent something that is no frame."""


class WorkerChannel(asyncio.Protocol):
    """`receive` gives the frames in order, then None when the worker has closed the socket or died."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._frames: deque[WorkerFrame | ProtocolViolation] = deque()
        self._arrived = asyncio.Event()
        self._paused = False
        self._interrupted = False
        self._is_awaited = False
        self.shortcut: Callable[[WorkerFrame], bool] | None = None
        """Called with each frame that a task waits for in `receive`. True: it has handled the frame, without a turn of that task."""
        self._transport: asyncio.Transport | None = None
        self.closed = False

    @classmethod
    async def over(cls, sock: socket.socket) -> WorkerChannel:
        sock.setblocking(False)
        _, channel = await asyncio.get_running_loop().create_connection(cls, sock=sock)
        return channel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            for frame in frames(self._buffer):
                self._accept(worker_decoder.decode(frame))
            if not self._frames:
                return
        except (ValueError, msgspec.MsgspecError) as error:
            self._frames.append(ProtocolViolation(str(error)))
            self.close()
        if len(self._frames) > _HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._arrived.set()

    def _accept(self, frame: WorkerFrame) -> None:
        direct = self.shortcut is not None and self._is_awaited and not self._frames and not self._interrupted
        if not (direct and self.shortcut is not None and self.shortcut(frame)):
            self._frames.append(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._arrived.set()

    def send(self, frame: HostFrame) -> None:
        if self._transport is not None and not self.closed:
            self._transport.write(encode(frame))

    async def receive(self) -> WorkerFrame | None:
        """The next frame. None: the worker is gone, or `interrupt` was called. Raises ProtocolViolation."""
        while not self._frames or self._interrupted:
            if self.closed or self._interrupted:
                return None
            self._arrived.clear()
            self._is_awaited = True
            try:
                await self._arrived.wait()
            finally:
                self._is_awaited = False
        return self._take()

    def interrupt(self) -> None:
        """End `receive` with None, now and from now on. The worker is not used again."""
        self._interrupted = True
        self._arrived.set()

    @property
    def pending(self) -> bool:
        """True: `receive` returns at once."""
        return bool(self._frames) and not self._interrupted

    def _take(self) -> WorkerFrame:
        frame = self._frames.popleft()
        if self._paused and len(self._frames) <= _HIGH_WATER // 2 and self._transport is not None:
            self._paused = False
            if not self.closed:
                self._transport.resume_reading()
        if isinstance(frame, ProtocolViolation):
            raise frame
        return frame

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
