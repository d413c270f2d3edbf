"""Stderr log: log lines of a server in the foreground, written by a thread; used by `repertoire serve`.

Some programs start a server and never read its stderr. The pipe is full after some hundred lines, and a write to it blocks for ever. Only
the thread waits then, and further lines are dropped.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import queue
import time
from logging.handlers import QueueHandler, QueueListener
from typing import Any, Final

from .log_format import LogFormat

_MOST_LINES: Final = 10_000
"""Lines that wait for a reader."""
_LAST_LINES_S: Final = 1.0
"""Time for the last lines at the end of the process."""


class _Handler(QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)


class _Writer:
    """Not a Handler: at the end of the process `logging` would wait for one that is blocked."""

    def handle(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):  # nobody can read it any more
            os.write(2, (record.getMessage() + "\n").encode("utf-8", "replace"))


def log_to_stderr(level: int, format: str = logging.BASIC_FORMAT) -> None:
    """Send all log records of this level and above to stderr."""
    lines: queue.Queue[logging.LogRecord] = queue.Queue(_MOST_LINES)
    handler = _Handler(lines)
    writer: Any = _Writer()
    handler.setFormatter(LogFormat(format))
    QueueListener(lines, writer).start()  # its thread is a daemon: it never holds up the end of the process
    logging.basicConfig(level=level, handlers=[handler])

    def write_last() -> None:
        until = time.monotonic() + _LAST_LINES_S
        while not lines.empty() and time.monotonic() < until:
            time.sleep(0.01)

    atexit.register(write_last)
