"""What a body prints, as `log` events: whole lines, those of one write together. Outside a run, dropped.

The same two objects stay `sys.stdout` and `sys.stderr` for the life of the process, since logging handlers keep them.
"""

from __future__ import annotations

import io
import sys
import threading
from typing import Any, Protocol


class Sink(Protocol):
    def emit(self, type: Any, data: dict[str, Any], /) -> None: ...


class LineStream(io.TextIOBase):
    """A text stream without a file. `sink` is the current run's desk."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, source: str, fd: int) -> None:
        super().__init__()
        self._source = source
        self._fd = fd
        self._rests: dict[int, list[str]] = {}
        self._lock = threading.RLock()
        self._max = 64 * 1024
        self._sink: Sink | None = None
        self.buffer = _Bytes(self)

    def attach(self, sink: Sink | None, max_message: int = 64 * 1024) -> None:
        """From now on lines go to `sink`; an unfinished line of before is dropped."""
        with self._lock:
            self._rests.clear()
            self._sink, self._max = sink, max_message

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        with self._lock:
            rest = self._rests.setdefault(threading.get_ident(), [])  # print() writes a line and its end separately
            head, newline, tail = text.rpartition("\n")
            if newline:
                rest.append(head)
                self._say(rest)
            if tail:
                rest.append(tail)
                if sum(map(len, rest)) > self._max:
                    self._say(rest)
            if not rest:
                del self._rests[threading.get_ident()]
        return len(text)

    def drain(self) -> None:
        """Say the last lines though they have no end."""
        with self._lock:
            for rest in self._rests.values():
                self._say(rest)
            self._rests.clear()

    def _say(self, rest: list[str]) -> None:
        message = "".join(rest)
        rest.clear()
        if self._sink is not None and message.strip():
            self._sink.emit("log", {"level": "info", "message": message, "source": self._source})

    def writable(self) -> bool:
        return True

    def reconfigure(self, **_: Any) -> None:
        """Scripts ask for UTF-8 with it; it is UTF-8."""

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        """For subprocesses given this stream: what they write goes to the server's stderr."""
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


class Streams:
    """Both streams of the process."""

    def __init__(self) -> None:
        self._out = LineStream("stdout", 1)
        self._err = LineStream("stderr", 2)

    def attach(self, sink: Sink | None, max_message: int = 64 * 1024) -> None:
        sys.stdout, sys.stderr = self._out, self._err  # the last body may have put others there
        for stream in (self._out, self._err):
            stream.attach(sink, max_message)

    def drain(self) -> None:
        self._out.drain()
        self._err.drain()
