"""Opening the database file: checks that it may be written to, then sets pragmas and runs numbered migrations; used by `open_store`."""

from __future__ import annotations

import os
import sqlite3
from importlib import resources
from typing import Final
from urllib.parse import quote

from ..errors import NewerSchema, StorageError
from .storage_errors import BUSY_S, damaged_store, read_only_store

APPLICATION_ID: Final = 0x52455054
"""The application's number in the file's header ("REPT"). The first builds wrote 0, SQLite's default."""

_CHECKED_BYTES: Final = 64 * 1024 * 1024
"""A file up to this size is read through before it is written to. That takes a millisecond for each megabyte, once for each start.
In a larger file, damage is noticed when it is read."""

_LOG_PAGES: Final = 10_000
"""The log is moved into the file beside the commits (`sqlite._checkpoint`). If that cannot keep up, a commit does it at 40 MiB."""


def examine(path: str) -> None:
    """Check the file without changing a byte of it or of its log. Raises NewerSchema, DamagedStore, StorageError."""
    if not os.path.lexists(path):
        return
    if not os.path.isfile(path):
        raise StorageError(f"{path} is not a file.", "Move it away, or use another --home.")
    if not os.access(path, os.W_OK):
        # before SQLite opens it: it would give its log and index the same mode, and they would keep it when the file's is corrected
        raise read_only_store(path)
    if os.path.getsize(path) == 0:
        if os.path.exists(log := f"{path}-wal") and os.path.getsize(log) > 0:
            raise damaged_store(path, f"it is empty, but {log} is not")
        return
    # read-only, because closing the last writable connection moves the log into the file
    connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=BUSY_S)
    try:
        _check(connection, path)
    finally:
        connection.close()


def _check(connection: sqlite3.Connection, path: str) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    ours = owner == APPLICATION_ID or (owner == 0 and (not tables or (found > 0 and "run" in tables)))
    if not ours:
        raise damaged_store(path, "it is another program's SQLite database")
    if found > (known := len(migrations())):
        raise NewerSchema(
            f"The database {path} has schema {found}, this Repertoire knows {known}: it was written by a newer version.",
            "Upgrade repertoire-mcp, or use another --home.",
        )
    if os.path.getsize(path) <= _CHECKED_BYTES:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise damaged_store(path, verdict.rpartition("***")[2].strip())


def prepare(connection: sqlite3.Connection) -> None:
    """Bring the file to this version's schema."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    for number, script in enumerate(migrations()[found:], found + 1):
        pragmas = f"PRAGMA user_version = {number}; PRAGMA application_id = {APPLICATION_ID};"
        connection.executescript(f"BEGIN IMMEDIATE; {script} {pragmas} COMMIT;")
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if owner != APPLICATION_ID:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def migrations() -> list[str]:
    """The scripts in order. They never remove anything, so any older copy of the file can be migrated."""
    folder = resources.files(__package__) / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]
