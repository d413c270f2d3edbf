"""Opening the database file: pragmas, numbered migrations, and refusing what must not be written."""

from __future__ import annotations

import sqlite3
from importlib import resources

from ..errors import DamagedStore, NewerSchema


def prepare(connection: sqlite3.Connection) -> None:
    """Bring the file to this version's schema. Raises NewerSchema or DamagedStore and writes nothing then."""
    try:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        steps = migrations()
        if found > len(steps):
            raise NewerSchema(
                f"the database has schema {found}, this Repertoire knows {len(steps)}; it was written by a newer version",
                "Upgrade repertoire-mcp, or use another --home.",
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA busy_timeout = 5000")
        for number, script in enumerate(steps[found:], found + 1):
            connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise DamagedStore(
            f"the database file cannot be read: {error}", "It was left as it is; restore a copy or use another --home."
        ) from error


def migrations() -> list[str]:
    """The scripts in order. They only ever add, so that an older copy of the file can always be brought up."""
    folder = resources.files(__package__) / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]
