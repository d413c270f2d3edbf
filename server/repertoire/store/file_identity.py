"""Whether the files that are open here are still those at their paths; used by the Store and by the owner of a home.

A deleted file can be written to for as long as it is open, and nobody will ever find what was written.
"""

from __future__ import annotations

import os

from ..errors import StorageError


class Identity:
    """The files of one database as they are now: itself, its log and its index. Make it when they are open."""

    def __init__(self, path: str) -> None:
        self._files: dict[str, os.stat_result] = {}
        for file in (path, f"{path}-wal", f"{path}-shm"):
            try:
                self._files[file] = os.stat(file)
            except FileNotFoundError:  # not every disk lets SQLite share memory
                pass

    def lost_file(self) -> str | None:
        """One that was deleted, moved or replaced since."""
        return next((path for path, known in self._files.items() if not is_same(path, known)), None)


def is_same(path: str, known: os.stat_result) -> bool:
    """True too where it cannot be said: a disk that does not answer has lost nothing yet."""
    try:
        now = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return (now.st_dev, now.st_ino) == (known.st_dev, known.st_ino)


def lost_home(path: str) -> StorageError:
    return StorageError(
        f"{path} was deleted, moved or replaced while the server had it open, so nothing can be recorded or answered any more.",
        "This server ends. Put the home back, or start again with what is there now.",
    )
