"""FrameReader: takes a worker's frames out of the bytes that it sends, one at a time; used by WorkerChannel.

The bytes may be anything. A length beyond the limit is refused before any of the frame has arrived. A frame is decoded only when somebody
takes it, so the frames that wait are bytes. What a frame means is not checked here: `FrameCheck`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ..wire import MAX_FRAME_BYTES, WorkerFrame, worker_decoder

_COMPACT_BYTES: Final = 256 * 1024
_KIND: Final = b"\xa4type"
"""The key of a frame's kind. Our encoder writes it first; a decoder that has to look for it would read everything before it twice."""


class BadFrame(Exception):
    """Raised when a worker has sent something that no worker of ours sends. The text says what, and is short."""


class FrameReader:
    """`max_bytes`: of one frame."""

    def __init__(self) -> None:
        self.max_bytes = MAX_FRAME_BYTES
        self._buffer = bytearray()
        self._start = 0

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def clear(self) -> None:
        self._buffer.clear()
        self._start = 0

    def take(self) -> tuple[WorkerFrame, int] | None:
        """The next frame and its size. None: it has not arrived yet. Raises BadFrame."""
        start = self._start + 4
        if len(self._buffer) < start:
            return None
        size = int.from_bytes(self._buffer[self._start : start], "little")
        if size > self.max_bytes:
            raise BadFrame(f"a frame of {size} bytes, where {self.max_bytes} are allowed")
        if len(self._buffer) < start + size:
            return None
        body = bytes(memoryview(self._buffer)[start : start + size])
        self._start = start + size
        if self._start >= _COMPACT_BYTES or self._start == len(self._buffer):
            del self._buffer[: self._start]
            self._start = 0
        return _decode(body), size


def _decode(body: bytes) -> WorkerFrame:
    if body[1:6] != _KIND:
        raise BadFrame("bytes that are no frame")
    try:
        return worker_decoder.decode(body)
    except (ValueError, msgspec.MsgspecError, RecursionError, OverflowError) as error:
        raise BadFrame(f"a frame that cannot be decoded: {str(error)[:200]}") from None
