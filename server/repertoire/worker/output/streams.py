"""What a body prints, as `log` events: whole lines, those of one write together. Outside a run, dropped.

The same two objects stay `sys.stdout` and `sys.stderr` for the life of the process, since logging handlers keep them.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

from .line_buffer import Lines


class Sink(Protocol):
    def emit(self, type: Any, data: dict[str, Any], /) -> None: ...


class Voice(Protocol):
    """Where a forked child's text goes."""

    def text(self, source: str, text: str, /) -> None: ...


class LineStream(io.TextIOBase):
    """A text stream without a file. `sink` is the current run's desk; `before` is called before a line is told, so that what
    children have printed until then is told first."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, source: str, fd: int, before: Callable[[], None]) -> None:
        super().__init__()
        self._source = source
        self._fd = fd
        self._before = before
        self._rests: dict[int, Lines] = {}
        self._lock = threading.RLock()
        self._max = 64 * 1024
        self._sink: Sink | None = None
        self._voice: Voice | None = None
        self.buffer = _Bytes(self)

    def attach(self, sink: Sink | None, max_message: int = 64 * 1024) -> None:
        """From now on lines go to `sink`; an unfinished line of before is dropped."""
        with self._lock:
            self._rests.clear()
            self._sink, self._max = sink, max_message

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if "\n" in text:
            self._before()
        with self._lock:
            thread = threading.get_ident()  # print() writes a line and its end separately
            rest = self._rests.get(thread)
            if rest is None:
                rest = self._rests[thread] = Lines(self._say, self._max)
            rest.feed(text)
            if rest.is_empty:
                self._rests.pop(thread, None)
        return len(text)

    def flush(self) -> None:
        """In a forked child, which may end at once: what has no end yet is told by the process that runs the body, with what follows."""
        if self._voice is not None and (rest := self._rests.pop(threading.get_ident(), None)) is not None:
            self._voice.text(self._source, rest.take())

    def drain(self) -> None:
        """Say the last lines though they have no end."""
        with self._lock:
            for rest in self._rests.values():
                rest.end()
            self._rests.clear()

    def become_child(self, voice: Voice) -> None:
        """This is a forked child's copy. Whoever held the lock is not here, and what was unfinished is the parent's."""
        self._lock = threading.RLock()
        self._rests.clear()
        self._before = _nothing
        self._voice = voice

    def _say(self, message: str) -> None:
        if self._voice is not None:
            self._voice.text(self._source, message + "\n")
        elif self._sink is not None:
            self._sink.emit("log", {"level": "info", "message": message, "source": self._source})

    def writable(self) -> bool:
        return True

    def reconfigure(self, **_: Any) -> None:
        """Scripts ask for UTF-8 with it; it is UTF-8."""

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        """For subprocesses given this stream: what they write is captured there."""
        return self._fd

    def close(self) -> None:
        """Stays open: a body that closes its stdout must not silence the next run's."""


class _Bytes(io.RawIOBase):
    """`sys.stdout.buffer`: bytes as UTF-8 text."""

    def __init__(self, stream: LineStream) -> None:
        super().__init__()
        self._stream = stream

    def write(self, data: Any, /) -> int:
        text = bytes(data).decode("utf-8", "replace")
        self._stream.write(text)
        return len(data)

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """As the stream's."""


def _nothing() -> None:
    """A forked child has nobody else's lines to tell."""


class Streams:
    """Both streams of the process."""

    def __init__(self, before: Callable[[], None]) -> None:
        self._out = LineStream("stdout", 1, before)
        self._err = LineStream("stderr", 2, before)

    def attach(self, sink: Sink | None, max_message: int = 64 * 1024) -> None:
        sys.stdout, sys.stderr = self._out, self._err  # the last body may have put others there
        for stream in (self._out, self._err):
            stream.attach(sink, max_message)

    def drain(self) -> None:
        self._out.drain()
        self._err.drain()

    def become_child(self, voice: Voice) -> None:
        for stream in (self._out, self._err):
            stream.become_child(voice)
