"""Channel: the worker's end of the socket to the host; reads and writes whole frames, blocking; used by Outbox and Exchange.

`leave` ends the process at once. A worker whose host has closed the socket calls it, so no worker outlives its host.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import threading
from collections import deque
from typing import Final, NoReturn

from ...wire import MAX_FRAME_BYTES, HostFrame, WorkerFrame, encode, frames, host_decoder
from .threads import OUR_PREFIX

_RECEIVE_BYTES = 256 * 1024


_ELSEWHERE: Final = (
    "a child process cannot reach the run's record. Return the value to the process that runs the workflow and do it there, or use "
    "threads instead of processes"
)


class NotInAChild(RuntimeError):
    """Raised when a child process makes a call that only the process that runs the body can make."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: {_ELSEWHERE}")


class Channel:
    """One thread reads at a time. Only the Outbox writes, and it holds its lock while it does."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._frames: deque[bytes] = deque()
        self._is_parents = False
        self.max_bytes = MAX_FRAME_BYTES
        """Of a frame to the host, in the present run."""

    def receive(self) -> HostFrame:
        """The next frame from the host. Ends the process when the host has closed the socket."""
        self._check_is_own()
        while not self._frames:
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except OSError:
                data = b""
            if not data:
                leave()
            self._buffer += data
            self._frames.extend(frames(self._buffer))
        return host_decoder.decode(self._frames.popleft())

    def receive_all(self) -> list[HostFrame]:
        """Wait for the next frame. Gives it and all frames that arrived with it."""
        return [self.receive(), *self._take_buffered()]

    def receive_arrived(self) -> list[HostFrame]:
        """The frames that have arrived. Does not wait."""
        self._check_is_own()
        with contextlib.suppress(BlockingIOError):
            try:
                data = self._socket.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
            except ConnectionError:
                data = b""
            if not data:
                leave()
            self._buffer += data
        self._frames.extend(frames(self._buffer))
        return self._take_buffered()

    def _take_buffered(self) -> list[HostFrame]:
        taken = [host_decoder.decode(frame) for frame in self._frames]
        self._frames.clear()
        return taken

    def is_readable(self) -> bool:
        """True if `receive` would return at once: a frame has arrived, or the host has closed the socket."""
        return bool(self._frames or select.select([self._socket], [], [], 0)[0])

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, frame: WorkerFrame) -> None:
        """Raises ValueError, OverflowError or UnicodeEncodeError when the frame cannot be encoded. Nothing is sent then."""
        self._check_is_own()
        data = encode(frame, self.max_bytes)
        try:
            self._socket.sendall(data)
        except OSError:
            leave()

    def watch(self) -> threading.Thread:
        """Start a thread that ends this process when the host closes the socket while a body runs and nobody reads."""
        thread = threading.Thread(target=self._leave_on_hang_up, name=f"{OUR_PREFIX}watch", daemon=True)
        thread.start()
        return thread

    def _leave_on_hang_up(self) -> None:
        poll = select.poll()
        poll.register(self._socket, 0)  # hang-up and error are always reported
        while not poll.poll():
            pass
        leave()

    def let_go(self) -> None:
        """Close the socket in a child that the body forked: two writers would mix their frames."""
        self._is_parents = True
        self._socket.close()

    def _check_is_own(self) -> None:
        if self._is_parents:  # the process was forked in the middle of a call
            raise NotInAChild("a call of the run")


def leave(code: int = 0) -> NoReturn:
    """End this process. Does not wait for the body's threads and does not run its exit handlers."""
    with contextlib.suppress(OSError, ValueError):
        if sys.__stderr__ is not None:
            sys.__stderr__.flush()
    os._exit(code)
