"""What is written to the file descriptors 1 and 2 (by subprocesses, by C code) and what forked children say, as events of the run.

A thread of ours reads two pipes, which every process that the body starts inherits, and a socket that only forked children have.
Used by `process`; nothing of it reaches the host's socket but as events.
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
from .line_buffer import Lines

_READ_BYTES: Final = 64 * 1024
_PIPE_BYTES: Final = 1024 * 1024
"""C code that holds the interpreter's lock can write so much before it waits for our thread, which needs that lock too."""
_TALK_BYTES: Final = 256 * 1024
_PIECE_CHARS: Final = 16 * 1024
"""Text in one message of a child: well below what a datagram may hold."""
_PATIENCE_S: Final = 1.0
"""A finaliser that prints while our thread holds the lock must not hold up the body for good."""


_MOST_SINGLE: Final = 1000
"""Lines of a run's programs that are events of their own; later ones that come together are one event: a run has 10,000 at most."""


class Sink(Protocol):
    def hear(self, type: Any, data: dict[str, Any], /) -> None:
        """An event that no place in the body's own process has made."""


class _Pipe:
    """Stands at one of the two descriptors."""

    def __init__(self, number: int, source: str) -> None:
        self.number = number
        self.source = source
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.open()

    def open(self) -> None:
        self.reads, self.writes = os.pipe()
        os.set_blocking(self.reads, False)
        with contextlib.suppress(AttributeError, OSError):  # Linux, and there is a bound for all pipes of a user
            import fcntl

            fcntl.fcntl(self.writes, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self.place()

    def reopen(self) -> bool:
        """Once our own ends are closed. The same pipe where the system can, so that nothing has changed; else a new one: True."""
        try:
            self.writes = os.open(f"/proc/self/fd/{self.reads}", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            os.close(self.reads)
            self.open()
            return True
        self.place()
        return False

    def place(self) -> None:
        """Also where the body has closed the descriptor or put something else there."""
        os.dup2(self.writes, self.number)


class Capture:
    """Outside a run what comes goes to where the descriptors led before: the server's stderr."""

    def __init__(self) -> None:
        self._before = os.dup(2)
        self._pipes = [_Pipe(1, "stdout"), _Pipe(2, "stderr")]
        self._voice: Voice | None = None
        self._heard, self._talk = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._heard.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._talk.setsockopt(socket.SOL_SOCKET, option, _TALK_BYTES)
            self._heard.setsockopt(socket.SOL_SOCKET, option, _TALK_BYTES)
        self._lock = threading.RLock()
        self._reading = False
        self._sink: Sink | None = None
        self._longest = 64 * 1024
        self._singles = _MOST_SINGLE
        self._lines: dict[tuple[int, str], Lines] = {}
        self._reaped = _reaped()
        self._poll = self._polled()
        self._wakes, self._wake = os.pipe()
        threading.Thread(target=self._read_forever, name=f"{OUR_PREFIX}capture", daemon=True).start()

    def attach(self, sink: Sink | None, longest: int) -> None:
        for pipe in self._pipes:
            pipe.place()
        self._sink, self._longest = sink, longest
        self._singles = _MOST_SINGLE

    def drain(self) -> None:
        """Tell everything that has been written until now."""
        if self._lock.acquire(timeout=_PATIENCE_S):
            try:
                if not self._reading and self._poll.poll(0):  # reading: it is this very thread, in a finaliser
                    self._read_all()
            finally:
                self._lock.release()

    def detach(self) -> None:
        """The run is over: its last lines are told though they have no end."""
        self.drain()
        with self._lock:
            for lines in self._lines.values():
                lines.end()
            self._lines.clear()
            self._sink = None

    def is_held(self) -> bool:
        """Whether a process that the last run started may still write: what it writes would be told as the next run's."""
        if _has_children():
            return True
        reaped = _reaped()
        if reaped == self._reaped:
            return False
        self._reaped = reaped
        return self._is_inherited()

    def _is_inherited(self) -> bool:
        """Children may have left children of their own. Without our own ends a pipe says whether somebody has it."""
        with self._lock:
            for pipe in self._pipes:
                os.dup2(self._before, pipe.number)
                os.close(pipe.writes)
            poll = select.poll()
            for pipe in self._pipes:
                poll.register(pipe.reads, 0)
            free = len(poll.poll(0)) == len(self._pipes)
            anew = [pipe.reopen() for pipe in self._pipes]
            if any(anew):
                self._poll = self._polled()
                os.write(self._wake, b"\0")
        return not free

    def voice(self) -> Voice:
        """In a forked child: its way to the run. The rest is the parent's."""
        if self._voice is None:
            for pipe in self._pipes:
                os.close(pipe.reads)
            self._heard.close()
            self._voice = Voice(self._talk, self._longest)
        return self._voice

    # The thread

    def _read_forever(self) -> None:
        while True:
            with self._lock:
                poll = self._polled()
            poll.register(self._wakes, select.POLLIN)
            while not any(fd == self._wakes for fd, _ in poll.poll()):
                with self._lock:
                    self._read_all()
            os.read(self._wakes, 64)

    def _polled(self) -> select.poll:
        poll = select.poll()
        for fd in (*(pipe.reads for pipe in self._pipes), self._heard.fileno()):
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
            data = self._heard.recv(_TALK_BYTES)
        except BlockingIOError:
            return False
        if self._sink is not None:
            said = msgspec.msgpack.decode(data)
            if said[0] == "text":
                self._feed(*said[1:])
            else:
                self._sink.hear(*said)
        return True

    def _feed(self, writer: int, source: str, text: str, *, single: bool = False) -> None:
        lines = self._lines.get((writer, source))
        if lines is None:
            lines = self._lines[writer, source] = Lines(
                lambda message: self._say(source, message), self._longest, in_pieces=True
            )
        if single:
            lines.feed_single(text)
        else:
            lines.feed(text)
        if lines.is_empty:
            del self._lines[writer, source]

    def _say(self, source: str, message: str) -> None:
        if self._sink is not None:
            self._sink.hear("log", {"level": "info", "message": message, "source": source})


class Voice:
    """What a forked child says, on its way to the process that runs the body. Waits when that is behind."""

    def __init__(self, talk: socket.socket, longest: int) -> None:
        self._talk = talk
        self._longest = min(longest, _PIECE_CHARS)

    def text(self, source: str, text: str) -> None:
        for at in range(0, len(text), _PIECE_CHARS):
            self._send(["text", os.getpid(), source, text[at : at + _PIECE_CHARS]])

    def event(self, type: str, data: dict[str, Any]) -> None:
        self._send([type, {key: plain(value, self._longest) for key, value in data.items()}])

    def _send(self, said: list[Any]) -> None:
        with contextlib.suppress(OSError):  # the run has ended, or the child has closed what it inherited
            self._talk.send(msgspec.msgpack.encode(said))


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _reaped() -> int:
    """A number that grows with every child that has been waited for: each has touched pages of memory."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
