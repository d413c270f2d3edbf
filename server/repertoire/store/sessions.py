"""SessionFacts: sessions and the state that workflows keep in them; used by the service. Runs load and save state by the functions below."""

from __future__ import annotations

import sqlite3
import time

from ..model.session import Session
from ..names import new_session_id
from .facts import Facts

_COLUMNS = "id, principal, name, created_at, used_at"


class SessionFacts(Facts):
    async def session(self, session_id: str) -> Session | None:
        def query(db: sqlite3.Connection) -> Session | None:
            row = db.execute(f"SELECT {_COLUMNS} FROM session WHERE id = ?", (session_id,)).fetchone()
            return row and _decode_session(row)

        return await self.read(query)

    async def named_session(self, principal: str, name: str) -> Session:
        """The principal's session with this name. It is created at its first use."""

        def fact(db: sqlite3.Connection) -> Session:
            now = time.time()
            db.execute(
                f"INSERT INTO session ({_COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (new_session_id(), principal, name, now, now),
            )
            row = db.execute(f"SELECT {_COLUMNS} FROM session WHERE principal = ? AND name = ?", (principal, name))
            return _decode_session(row.fetchone())

        return await self.write(fact)

    async def sessions(self, principal: str, limit: int = 1000) -> list[tuple[Session, list[str]]]:
        """The principal's sessions, last used first, each with the workflows that keep state in it."""

        def query(db: sqlite3.Connection) -> list[tuple[Session, list[str]]]:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM session WHERE principal = ? ORDER BY used_at DESC LIMIT ?", (principal, limit)
            ).fetchall()
            states = "SELECT workflow FROM state WHERE session_id = ? ORDER BY workflow"
            return [(_decode_session(row), [name for (name,) in db.execute(states, (row[0],))]) for row in rows]

        return await self.read(query)

    async def state(self, session_id: str, workflow: str) -> str | None:
        """The state as JSON text. None: there is none yet."""

        def query(db: sqlite3.Connection) -> str | None:
            return load_state(db, session_id, workflow)

        return await self.read(query)


def load_state(db: sqlite3.Connection, session_id: str, workflow: str) -> str | None:
    row = db.execute("SELECT value FROM state WHERE session_id = ? AND workflow = ?", (session_id, workflow)).fetchone()
    return None if row is None else row[0]


def save_state(db: sqlite3.Connection, session_id: str, workflow: str, value: str, at: float) -> None:
    db.execute(
        "INSERT OR REPLACE INTO state (session_id, workflow, value, updated_at) VALUES (?, ?, ?, ?)",
        (session_id, workflow, value, at),
    )


def touch_session(db: sqlite3.Connection, session_id: str, principal: str, at: float) -> None:
    """Note that the session is used now. A new session is stored at its first use."""
    db.execute(
        f"INSERT INTO session ({_COLUMNS}) VALUES (?, ?, NULL, ?, ?) ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at",
        (session_id, principal, at, at),
    )


def _decode_session(row: tuple[str, str, str | None, float, float]) -> Session:
    return Session(id=row[0], principal=row[1], name=row[2], created_at=row[3], used_at=row[4])
