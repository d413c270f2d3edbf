"""Trouble: turns SQLite's errors into errors with a sentence and a hint for people, and remembers damage; used by Facts and Writer.

It names the file, but never touches it.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from ..errors import DamagedStore, StorageError

BUSY_S: Final = 5.0
"""So long SQLite waits for a lock of another program. With more, clients would give up first."""

_KEPT = "What was stored before is kept."


class Trouble:
    """State of one database file. After damage was seen, nothing is written to it: its intact parts must stay intact."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._damage: str | None = None
        self.gone: StorageError | None = None
        """Set when the file is no longer at its path. Then nothing is read or written."""

    def refusal(self) -> DamagedStore | StorageError | None:
        """The reason why nothing may be written. None: writing is allowed."""
        if self.gone is not None:
            return self.gone
        return None if self._damage is None else damaged_store(self.path, self._damage)

    def explain(self, error: BaseException) -> BaseException:
        """The error for the caller. It is the same error if neither the file nor the disk is the cause."""
        if isinstance(error, sqlite3.Error):
            known = explain_error(error, self.path)
            if isinstance(known, DamagedStore):
                self._damage = str(error)
            return known or error
        return error


def explain_error(error: sqlite3.Error, path: str) -> StorageError | DamagedStore | None:
    """None: neither the file nor the disk is the cause."""
    if str(error).startswith("Could not decode to UTF-8"):  # a message of the sqlite3 module, without an error code
        return damaged_store(path, str(error))
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:  # the higher bits only tell the place in SQLite
        case sqlite3.SQLITE_FULL:
            return StorageError(f"The disk of {path} is full.", f"Make room on it, then try again. {_KEPT}")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageError(
                f"{path} has been locked by another program for more than {BUSY_S:g} s.",
                f"Close what has it open (an SQLite shell, a backup), then try again. {_KEPT}",
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return read_only_store(path)
        case sqlite3.SQLITE_CANTOPEN:
            return StorageError(
                f"{path}, or its log beside it, cannot be opened or made.",
                "Is the disk full? Else make the file and its folder readable and writable by this user, or use another --home.",
            )
        case sqlite3.SQLITE_IOERR:
            return StorageError(
                f"The disk of {path} cannot be used: {error}.", f"Is it full, read-only or gone? {_KEPT}"
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_FORMAT:
            return damaged_store(path, str(error))
    return None


def read_only_store(path: str) -> StorageError:
    return StorageError(
        f"{path} is read-only.", "Make the file, its folder and its disk writable, or use another --home."
    )


def damaged_store(path: str, reason: str) -> DamagedStore:
    return DamagedStore(
        f"The database file {path} cannot be read: {reason}.",
        "Nothing is written to it. Put a copy in its place or move it away, or use another --home.",
    )
