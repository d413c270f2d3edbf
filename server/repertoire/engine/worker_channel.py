"""WorkerChannel: the host's end of a worker's socket, with checked frames and back-pressure; used by Attempt, WorkerPool and IdleWorkers.

1. Bytes that have arrived wait as bytes. `_HIGH_WATER` frames are decoded ahead, not more than so many in one turn of the loop.
2. Every frame passes `FrameCheck`, in both directions. The first that may not come ends the worker: `violation` says what it was.
3. Created code may send only so many frames in a second (`Rules.frames_per_s`). Then the socket is not read for a while.
4. While the socket is not read, the worker blocks in its send. So a flood costs the worker, and not other runs.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from ..wire import HostFrame, SendContent, WorkerFrame, encode
from .frame_check import FrameCheck, Rules
from .frame_reader import BadFrame, FrameReader
from .pace import Pace

logger = logging.getLogger(__name__)

_HIGH_WATER: Final = 64
"""With more waiting frames than this, the socket is not read."""
_TEXT_BYTES, _CONTENT_BYTES = 1024, 64 * 1024
"""Bytes of a frame that count as another one: of text that is read, and of a content that is only stored."""
_MOST_WAITING: Final = 4 * 1024 * 1024
"""The same for the bytes of the waiting frames."""


class WorkerChannel(asyncio.Protocol):
    """`receive` gives the frames in order, then None when the worker has closed the socket or died."""

    def __init__(self) -> None:
        self._reader = FrameReader()
        self._check = FrameCheck()
        self._pace = Pace(0)
        self._frames: deque[tuple[WorkerFrame, int]] = deque()
        self._waiting_bytes = 0
        self._given = 0
        self._arrived = asyncio.Event()
        self._paused = False
        self._has_more = False
        """Frames have arrived that are not decoded."""
        self._filling: asyncio.Handle | None = None
        self._interrupted = False
        self._is_awaited = False
        self.shortcut: Callable[[WorkerFrame], bool] | None = None
        """Called with each frame that a task waits for in `receive`. True: it has handled the frame, without a turn of that task."""
        self._transport: asyncio.Transport | None = None
        self.closed = False
        self.violation: str | None = None
        """Why the worker was ended: it has sent something that no worker of ours sends."""

    @classmethod
    async def over(cls, sock: socket.socket) -> WorkerChannel:
        sock.setblocking(False)
        _, channel = await asyncio.get_running_loop().create_connection(cls, sock=sock)
        return channel

    def begin(self, rules: Rules) -> None:
        """These rules hold for the Task or Inspect that is sent next."""
        self._check.rules = rules
        self._reader.max_bytes = rules.frame_bytes
        self._pace = Pace(rules.frames_per_s)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._filling is None:
            self._fill()

    def _fill(self) -> None:
        """Decode frames that have arrived, until enough of them wait."""
        self._filling = None
        self._has_more = True
        try:
            for _ in range(_HIGH_WATER):
                if self._is_full or self._pace.wait_s() > 0:
                    break
                if (taken := self._reader.take()) is None:
                    self._has_more = False
                    break
                self._pace.spend(1 + taken[1] // (_CONTENT_BYTES if isinstance(taken[0], SendContent) else _TEXT_BYTES))
                if (frame := self._check.take(taken[0])) is not None:
                    self._accept(frame, taken[1])
        except BadFrame as error:
            self._refuse(str(error))
            return
        except Exception:  # the edge of a worker: whatever it has sent ends this worker and nothing else
            logger.exception("a frame of a worker")
            self._refuse("a frame that the server cannot handle")
            return
        if self._frames or self.closed:
            self._arrived.set()
        self._plan()

    def _plan(self) -> None:
        """Go on with the rest when there is room and time for it. The socket is read when nothing is left."""
        if self._has_more and not self._is_full and self._filling is None:
            loop, seconds = asyncio.get_running_loop(), self._pace.wait_s()
            self._filling = loop.call_later(seconds, self._fill) if seconds > 0 else loop.call_soon(self._fill)
        if self._transport is None or self.closed or self._has_more == self._paused:
            return
        self._paused = self._has_more
        if self._paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    @property
    def _is_full(self) -> bool:
        return len(self._frames) > _HIGH_WATER or self._waiting_bytes > _MOST_WAITING

    def _accept(self, frame: WorkerFrame, size: int) -> None:
        direct = self.shortcut is not None and self._is_awaited and not self._frames and not self._interrupted
        if not (direct and self.shortcut is not None and self.shortcut(frame)):
            self._frames.append((frame, size))
            self._waiting_bytes += size

    def _refuse(self, why: str) -> None:
        """End the worker. The frames before this one stay."""
        logger.debug("a worker has sent %s; it is ended", why)
        self.violation = why
        self._reader.clear()
        self._has_more = False
        self.close()
        self.closed = True
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._arrived.set()

    def send(self, frame: HostFrame) -> None:
        if self._transport is not None and not self.closed:
            self._check.sent(frame)
            self._transport.write(encode(frame))

    async def receive(self) -> WorkerFrame | None:
        """The next frame. None: the worker is gone, or `interrupt` was called."""
        self._given += 1
        if self._given % _HIGH_WATER == 0:  # many frames in a row must not keep the loop from others
            await asyncio.sleep(0)
        while not self._frames or self._interrupted:
            if self._interrupted or (self.closed and not self._has_more):
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
    def is_over(self) -> bool:
        """The worker is gone, and no frame of it is left."""
        return self.closed and not self._frames and not self._has_more

    @property
    def pending(self) -> bool:
        """True: `receive` returns at once."""
        return bool(self._frames) and not self._interrupted

    def _take(self) -> WorkerFrame:
        frame, size = self._frames.popleft()
        self._waiting_bytes -= size
        if self._has_more and len(self._frames) <= _HIGH_WATER // 2:
            self._plan()
        return frame

    def close(self) -> None:
        self._has_more = False
        if self._filling is not None:
            self._filling.cancel()
            self._filling = None
        if self._transport is not None:
            self._transport.abort()
