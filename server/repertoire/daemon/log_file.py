"""LogFile: a logging handler on stderr that keeps a daemon's log short while the daemon lives; used by daemon_process.py.

The front that starts a daemon gives it HOME/logs/daemon.log as stdout and stderr, and renames a long one. A daemon that lives for weeks
renames it by itself. Its children keep the old file.
"""

from __future__ import annotations

import logging
import os
from typing import Final

_MAX_BYTES: Final = 4 * 1024 * 1024
_EVERY: Final = 100
"""Records between two looks at the file's size."""


class LogFile(logging.StreamHandler):  # type: ignore[type-arg]  # not generic at run time
    def __init__(self, path: str, max_bytes: int = _MAX_BYTES, every: int = _EVERY) -> None:
        super().__init__()
        self._path, self._max_bytes, self._every = path, max_bytes, every
        self._count = 0

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        self._count += 1
        if self._count % self._every == 0:
            try:
                self._rename_long()
            except OSError:
                self.handleError(record)

    def _rename_long(self) -> None:
        """Nothing where stderr is another file: somebody started the daemon by hand."""
        there = os.fstat(2)
        try:
            known = os.stat(self._path)
        except FileNotFoundError:
            return
        if (there.st_dev, there.st_ino) != (known.st_dev, known.st_ino) or there.st_size < self._max_bytes:
            return
        os.replace(self._path, self._path + ".1")
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        os.close(fd)
