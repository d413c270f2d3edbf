"""SessionFacts: sessions and the state that workflows keep in them; used by the service. Runs load and save state by the functions below."""

from __future__ import annotations

import sqlite3
import time

from ..model.session import Session
from ..names import new_session_id
from .audit import By, note
from .facts import Facts
from .unfinished import IS_UNFINISHED

_COLUMNS = "id, principal, name, created_at, used_at"


class StateInUse(Exception):
    """Raised when a run that has not ended uses a session that is to be reset or deleted. `args[0]` is its id."""


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

    async def sessions_like(self, principal: str, word: str) -> list[Session]:
        """The session with this name or id. Without one, at most two whose ids begin with `word`."""

        def query(db: sqlite3.Connection) -> list[Session]:
            rows = db.execute(
                f"SELECT {_COLUMNS}, name IS ? OR id = ? AS exact FROM session WHERE principal = ? "
                "AND (exact OR substr(id, 1, ?) = ?) ORDER BY exact DESC LIMIT 2",
                (word, word, principal, len(word), word),
            ).fetchall()
            return [_decode_session(row[:5]) for row in rows if row[5] or not rows[0][5]]

        return await self.read(query)

    async def states(self, session_id: str) -> list[tuple[str, str, float]]:
        """Each workflow that keeps state in the session, with the state as JSON text, and when it was stored."""
        statement = "SELECT workflow, value, updated_at FROM state WHERE session_id = ? ORDER BY workflow"
        return await self.read(lambda db: db.execute(statement, (session_id,)).fetchall())

    async def forget_states(self, session_id: str, workflow: str | None, by: By) -> list[str]:
        """Delete the states of the session, or that of one workflow. Returns their workflows. Raises StateInUse."""

        def fact(db: sqlite3.Connection) -> list[str]:
            which, values = "session_id = ?", [session_id]
            if workflow is not None:
                which, values = f"{which} AND workflow = ?", [session_id, workflow]
            if (holder := db.execute(f"SELECT run_id FROM place WHERE {which}", values).fetchone()) is not None:
                raise StateInUse(holder[0])
            forgotten = db.execute(f"DELETE FROM state WHERE {which} RETURNING workflow", values).fetchall()
            if forgotten:
                note(db, "session_reset", by, workflow=workflow or "", subject=session_id)
            return [name for (name,) in forgotten]

        return await self.write(fact)

    async def rename_session(self, session: Session, name: str, by: By) -> bool:
        """Give the session a name. Another session of that name loses it when it is empty. False: it keeps state."""

        def fact(db: sqlite3.Connection) -> bool:
            other = db.execute(
                "SELECT id FROM session WHERE principal = ? AND name = ? AND id <> ?",
                (session.principal, name, session.id),
            ).fetchone()
            if other is not None and db.execute("SELECT 1 FROM state WHERE session_id = ?", other).fetchone():
                return False
            if other is not None:
                db.execute("UPDATE session SET name = NULL WHERE id = ?", other)
            note(db, "session_renamed", by, subject=session.id)  # before it: the name may be that of the session in use
            db.execute("UPDATE session SET name = ? WHERE id = ?", (name, session.id))
            return True

        return await self.write(fact)

    async def delete_session(self, session_id: str, by: By) -> None:
        """Delete the session and its states. Its runs stay. Raises StateInUse while one of them has not ended."""

        def fact(db: sqlite3.Connection) -> None:
            statement = f"SELECT id FROM run WHERE session_id = ? AND {IS_UNFINISHED} LIMIT 1"
            if (run := db.execute(statement, (session_id,)).fetchone()) is not None:
                raise StateInUse(run[0])
            note(db, "session_deleted", by, subject=session_id)
            db.execute("DELETE FROM state WHERE session_id = ?", (session_id,))
            db.execute("DELETE FROM session WHERE id = ?", (session_id,))

        await self.write(fact)

    async def drop_empty_sessions(self, used_before: float) -> int:
        """Delete sessions without state that no name finds again: nameless ones, and those of closed HTTP connections."""

        def fact(db: sqlite3.Connection) -> int:
            statement = (
                "DELETE FROM session WHERE used_at < ? AND (name IS NULL OR name LIKE 'http:%' OR name LIKE 'sse:%') "
                "AND id NOT IN (SELECT session_id FROM state) "
                f"AND id NOT IN (SELECT session_id FROM run WHERE {IS_UNFINISHED})"
            )
            return db.execute(statement, (used_before,)).rowcount

        return await self.write(fact)

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
