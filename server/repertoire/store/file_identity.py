"""Identity: notices when an open database file was deleted, moved or replaced; used by the Store and by the home's lock.

A deleted file can still be written to while it is open, but no process will ever find these writes.
"""

from __future__ import annotations

import os

from ..errors import StorageError


class FileIdentity:
    """The files of one open database: the file itself, its log and its index. Create it after they are opened."""

    def __init__(self, path: str) -> None:
        self._files: dict[str, os.stat_result] = {}
        for file in (path, f"{path}-wal", f"{path}-shm"):
            try:
                self._files[file] = os.stat(file)
            except FileNotFoundError:  # not every file system lets SQLite share memory
                pass

    def lost_file(self) -> str | None:
        """The path of a file that was deleted, moved or replaced since. None: all are in place."""
        return next((path for path, known in self._files.items() if not is_same(path, known)), None)


def is_same(path: str, known: os.stat_result) -> bool:
    """Is the file at `path` the known one? True also if the disk does not answer: nothing is lost yet."""
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
