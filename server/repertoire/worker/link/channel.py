"""The worker's end of the socket to the host: blocking, framed. When the host is gone, so is this process, at once."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import threading
from collections import deque
from typing import Final, NoReturn

from ...wire import HostFrame, WorkerFrame, encode, frames, host_decoder
from .threads import OUR_PREFIX

_RECEIVE_BYTES = 256 * 1024


_ELSEWHERE: Final = (
    "a child process cannot reach the run's record. Return the value to the process that runs the workflow and do it there, or use "
    "threads instead of processes"
)


class NotInAChild(RuntimeError):
    """Raised when a child process calls what only the process that runs the body can do."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: {_ELSEWHERE}")


class Channel:
    """Reads are made by one thread at a time; writes are the Outbox's, which holds the lock."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._frames: deque[bytes] = deque()
        self._is_parents = False

    def receive(self) -> HostFrame:
        """The next frame of the host; does not return when the host has closed the socket."""
        self._check_own()
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

    def received(self) -> list[HostFrame]:
        """The next frame and all that came with it."""
        return [self.receive(), *self._buffered()]

    def arrived(self) -> list[HostFrame]:
        """The frames that are here already. Does not wait."""
        self._check_own()
        with contextlib.suppress(BlockingIOError):
            try:
                data = self._socket.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
            except ConnectionError:
                data = b""
            if not data:
                leave()
            self._buffer += data
        self._frames.extend(frames(self._buffer))
        return self._buffered()

    def _buffered(self) -> list[HostFrame]:
        taken = [host_decoder.decode(frame) for frame in self._frames]
        self._frames.clear()
        return taken

    def is_readable(self) -> bool:
        """Whether a frame is here, or the end."""
        return bool(self._frames or select.select([self._socket], [], [], 0)[0])

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, frame: WorkerFrame) -> None:
        """Raises ValueError, OverflowError or UnicodeEncodeError before anything is sent when the frame cannot be written."""
        self._check_own()
        data = encode(frame)
        try:
            self._socket.sendall(data)
        except OSError:
            leave()

    def watch(self) -> threading.Thread:
        """End this process when the host closes its end while a body runs and nobody reads the socket."""
        thread = threading.Thread(target=self._wait_for_end, name=f"{OUR_PREFIX}watch", daemon=True)
        thread.start()
        return thread

    def _wait_for_end(self) -> None:
        poll = select.poll()
        poll.register(self._socket, 0)  # hang-up and error are always reported
        while not poll.poll():
            pass
        leave()

    def let_go(self) -> None:
        """In a child that the body forked: the socket is not its own, and two writers would break the frames."""
        self._is_parents = True
        self._socket.close()

    def _check_own(self) -> None:
        if self._is_parents:  # a call that was under way when the process was forked
            raise NotInAChild("a call of the run")


def leave(code: int = 0) -> NoReturn:
    """End this process without waiting for threads or exit handlers of the body."""
    with contextlib.suppress(OSError, ValueError):
        if sys.__stderr__ is not None:
            sys.__stderr__.flush()
    os._exit(code)
