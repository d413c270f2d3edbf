"""Capture: makes events of the text that subprocesses and C code write to the file descriptors 1 and 2; used by Process.

A thread of ours reads two pipes, which every process that the body starts inherits. It also reads a socket, through which forked children
send their events (`ChildVoice`). The text reaches the host only as events.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import resource
import select
import socket
import threading
from typing import Any, Final, Protocol

import msgspec

from ..link.sanitize import plain
from ..link.threads import OUR_PREFIX
from .line_buffer import LineBuffer

_READ_BYTES: Final = 64 * 1024
_PIPE_BYTES: Final = 1024 * 1024
"""Size of a pipe. C code that holds the interpreter's lock can write this much before it blocks; our thread needs that lock to read."""
_TALK_BYTES: Final = 256 * 1024
_PIECE_CHARS: Final = 16 * 1024
"""Length of the text in one message of a child: well below the largest datagram."""
_PATIENCE_S: Final = 1.0
"""Longest wait for the lock. A finalizer that prints while our thread holds the lock must not block the body for ever."""


_MOST_SINGLE: Final = 1000
"""Number of lines that become one event each. Later lines that arrive together become one event, as a run has at most 10,000 events."""


class ChildEventSink(Protocol):
    def hear(self, type: Any, data: dict[str, Any], /) -> None:
        """Take an event that was not made in the body's own process."""


class _Pipe:
    """The pipe at one of the two descriptors."""

    def __init__(self, number: int, source: str) -> None:
        self.number = number
        self.source = source
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.open()

    def open(self) -> None:
        self.reads, self.writes = os.pipe()
        os.set_blocking(self.reads, False)
        with contextlib.suppress(
            AttributeError, OSError
        ):  # only Linux has this, and it limits all pipes of a user together
            import fcntl

            fcntl.fcntl(self.writes, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self.place()

    def reopen(self) -> bool:
        """Open the pipe's writing end again after we have closed it. True: that was impossible, so this is a new pipe."""
        try:
            self.writes = os.open(f"/proc/self/fd/{self.reads}", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            os.close(self.reads)
            self.open()
            return True
        self.place()
        return False

    def place(self) -> None:
        """Put the pipe at its descriptor. The body may have closed that, or put another file there."""
        os.dup2(self.writes, self.number)


class Capture:
    """Outside a run the text goes to the files that the descriptors had before: the server's stderr."""

    def __init__(self) -> None:
        self._before = os.dup(2)
        self._pipes = [_Pipe(1, "stdout"), _Pipe(2, "stderr")]
        self._voice: ChildVoice | None = None
        self._from_children, self._to_parent = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._from_children.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._to_parent.setsockopt(socket.SOL_SOCKET, option, _TALK_BYTES)
            self._from_children.setsockopt(socket.SOL_SOCKET, option, _TALK_BYTES)
        self._lock = threading.RLock()
        self._reading = False
        self._sink: ChildEventSink | None = None
        self._longest = 64 * 1024
        self._singles = _MOST_SINGLE
        self._buffers: dict[tuple[int, str], LineBuffer] = {}
        self._reaped_count = _count_reaped()
        self._poll = self._make_poll()
        self._wake_reads, self._wake_writes = os.pipe()
        threading.Thread(target=self._read_forever, name=f"{OUR_PREFIX}capture", daemon=True).start()

    def attach(self, sink: ChildEventSink | None, longest: int) -> None:
        for pipe in self._pipes:
            pipe.place()
        self._sink, self._longest = sink, longest
        self._singles = _MOST_SINGLE

    def drain(self) -> None:
        """Send everything that has been written until now."""
        if self._lock.acquire(timeout=_PATIENCE_S):
            try:
                if not self._reading and self._poll.poll(0):  # if it is reading, this is a finalizer in the same thread
                    self._read_all()
            finally:
                self._lock.release()

    def detach(self) -> None:
        """The run is over: send its last lines, even those without a newline."""
        self.drain()
        with self._lock:
            for buffer in self._buffers.values():
                buffer.end()
            self._buffers.clear()
            self._sink = None

    def is_held(self) -> bool:
        """True if a process of the last run may still write. Its text would become events of the next run."""
        if _has_children():
            return True
        reaped = _count_reaped()
        if reaped == self._reaped_count:
            return False
        self._reaped_count = reaped
        return self._is_inherited()

    def _is_inherited(self) -> bool:
        """True if another process has one of the pipes: children may have left children of their own.

        We close our own ends for this test. Then a pipe reports a hang-up if no process has its writing end.
        """
        with self._lock:
            for pipe in self._pipes:
                os.dup2(self._before, pipe.number)
                os.close(pipe.writes)
            poll = select.poll()
            for pipe in self._pipes:
                poll.register(pipe.reads, 0)
            free = len(poll.poll(0)) == len(self._pipes)
            reopened = [pipe.reopen() for pipe in self._pipes]
            if any(reopened):
                self._poll = self._make_poll()
                os.write(self._wake_writes, b"\0")
        return not free

    def open_voice(self) -> ChildVoice:
        """In a forked child: its way to the run. The pipes and the other end of the socket are the parent's, so it closes them."""
        if self._voice is None:
            for pipe in self._pipes:
                os.close(pipe.reads)
            self._from_children.close()
            self._voice = ChildVoice(self._to_parent, self._longest)
        return self._voice

    # The thread

    def _read_forever(self) -> None:
        while True:
            with self._lock:
                poll = self._make_poll()
            poll.register(self._wake_reads, select.POLLIN)
            while not any(fd == self._wake_reads for fd, _ in poll.poll()):
                with self._lock:
                    self._read_all()
            os.read(self._wake_reads, 64)

    def _make_poll(self) -> select.poll:
        poll = select.poll()
        for fd in (*(pipe.reads for pipe in self._pipes), self._from_children.fileno()):
            poll.register(fd, select.POLLIN)
        return poll

    def _read_all(self) -> None:
        self._reading = True
        try:
            while any([*map(self._read, self._pipes), self._listen()]):
                pass
        finally:
            self._reading = False

    def _read(self, pipe: _Pipe) -> bool:
        try:
            data = os.read(pipe.reads, _READ_BYTES)
        except BlockingIOError:
            return False
        if self._sink is None:
            with contextlib.suppress(OSError):
                os.write(self._before, data)
        else:
            self._singles -= data.count(b"\n")
            self._feed(0, pipe.source, pipe.decoder.decode(data), single=self._singles >= 0)
        return True

    def _listen(self) -> bool:
        try:
            data = self._from_children.recv(_TALK_BYTES)
        except BlockingIOError:
            return False
        if self._sink is not None:
            # a body that writes to every descriptor writes here too
            with contextlib.suppress(msgspec.MsgspecError, AttributeError, LookupError, TypeError, ValueError):
                said = msgspec.msgpack.decode(data)
                if said[0] == "text":
                    self._feed(*said[1:])
                else:
                    self._sink.hear(*said)
        return True

    def _feed(self, writer: int, source: str, text: str, *, single: bool = False) -> None:
        buffer = self._buffers.get((writer, source))
        if buffer is None:
            buffer = self._buffers[writer, source] = LineBuffer(
                lambda message: self._say(source, message), self._longest, in_pieces=True
            )
        if single:
            buffer.feed_single(text)
        else:
            buffer.feed(text)
        if buffer.is_empty:
            del self._buffers[writer, source]

    def _say(self, source: str, message: str) -> None:
        if self._sink is not None:
            self._sink.hear("log", {"level": "info", "message": message, "source": source})


class ChildVoice:
    """Sends a forked child's text and events to the process that runs the body. Blocks while that process is behind."""

    def __init__(self, to_parent: socket.socket, longest: int) -> None:
        self._to_parent = to_parent
        self._longest = min(longest, _PIECE_CHARS)

    def text(self, source: str, text: str) -> None:
        for at in range(0, len(text), _PIECE_CHARS):
            self._send(["text", os.getpid(), source, text[at : at + _PIECE_CHARS]])

    def event(self, type: str, data: dict[str, Any]) -> None:
        self._send([type, {key: plain(value, self._longest) for key, value in data.items()}])

    def _send(self, said: list[Any]) -> None:
        with contextlib.suppress(OSError):  # the run has ended, or the child has closed the inherited socket
            self._to_parent.send(msgspec.msgpack.encode(said))


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _count_reaped() -> int:
    """A number that grows with every reaped child: its page faults, of which each process has some."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
