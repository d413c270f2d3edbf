"""Streams: `sys.stdout` and `sys.stderr` of bodies; makes `log` events of whole lines; used by Process.

Complete lines of one write become one event. Text outside a run is dropped. The same two objects stay in place for the life of the
process, because logging handlers keep references to them.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

from .line_buffer import LineBuffer


class LogSink(Protocol):
    def emit(self, type: Any, data: dict[str, Any], /) -> None: ...


class ChildText(Protocol):
    """Takes a forked child's text; `capture.ChildVoice` implements it."""

    def text(self, source: str, text: str, /) -> None: ...


class LineStream(io.TextIOBase):
    """A text stream without a file. `sink` is the current run's BodyCalls.

    `before` is called before a line is sent, so that lines which children have printed earlier are sent first.
    """

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, source: str, fd: int, before: Callable[[], None]) -> None:
        super().__init__()
        self._source = source
        self._fd = fd
        self._before = before
        self._buffers: dict[int, LineBuffer] = {}
        self._lock = threading.RLock()
        self._max_message = 64 * 1024
        self._sink: LogSink | None = None
        self._voice: ChildText | None = None
        self.buffer = _Bytes(self)

    def attach(self, sink: LogSink | None, max_message: int = 64 * 1024) -> None:
        """From now on lines go to `sink`. An unfinished line is dropped."""
        with self._lock:
            self._buffers.clear()
            self._sink, self._max_message = sink, max_message

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if "\n" in text:
            self._before()
        with self._lock:
            thread = threading.get_ident()  # print() writes a line and its newline separately
            buffer = self._buffers.get(thread)
            if buffer is None:
                buffer = self._buffers[thread] = LineBuffer(self._say, self._max_message)
            buffer.feed(text)
            if buffer.is_empty:
                self._buffers.pop(thread, None)
        return len(text)

    def flush(self) -> None:
        """In a forked child, which may end at any time: pass unfinished text to the process that runs the body, which completes the line."""
        if self._voice is not None and (buffer := self._buffers.pop(threading.get_ident(), None)) is not None:
            self._voice.text(self._source, buffer.take())

    def drain(self) -> None:
        """Send the last lines, even those without a newline."""
        with self._lock:
            for buffer in self._buffers.values():
                buffer.end()
            self._buffers.clear()

    def become_child(self, voice: ChildText) -> None:
        """Reset the copy in a forked child: the thread that held the lock does not exist here, and unfinished lines are the parent's."""
        self._lock = threading.RLock()
        self._buffers.clear()
        self._before = _do_nothing
        self._voice = voice

    def _say(self, message: str) -> None:
        if self._voice is not None:
            self._voice.text(self._source, message + "\n")
        elif self._sink is not None:
            self._sink.emit("log", {"level": "info", "message": message, "source": self._source})

    def writable(self) -> bool:
        return True

    def reconfigure(self, **_: Any) -> None:
        """Does nothing. Scripts use it to ask for UTF-8, which this stream always uses."""

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        """The descriptor for subprocesses that get this stream: `capture` reads what they write there."""
        return self._fd

    def close(self) -> None:
        """Does nothing: a body that closes its stdout must not close that of the next run."""


class _Bytes(io.RawIOBase):
    """`sys.stdout.buffer`: takes bytes as UTF-8 text."""

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
        """Does nothing, as for the stream."""


def _do_nothing() -> None:
    """For a forked child, which reads no lines of children."""


class Streams:
    """Both streams of the process."""

    def __init__(self, before: Callable[[], None]) -> None:
        self._out = LineStream("stdout", 1, before)
        self._err = LineStream("stderr", 2, before)

    def attach(self, sink: LogSink | None, max_message: int = 64 * 1024) -> None:
        sys.stdout, sys.stderr = self._out, self._err  # the last body may have put others there
        for stream in (self._out, self._err):
            stream.attach(sink, max_message)

    def drain(self) -> None:
        self._out.drain()
        self._err.drain()

    def become_child(self, voice: ChildText) -> None:
        for stream in (self._out, self._err):
            stream.become_child(voice)
