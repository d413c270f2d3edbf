"""SQLite storage: `SqliteStorage` keeps sessions, states and runs of class workflows in one SQLite file, without a server.

1. Each `table_name` has three tables. Runs are only inserted and ended, so the ten-thousandth run costs as much as the first.
2. A state is a row of its own, written only if it changed.
3. The file uses WAL, and each record is one short transaction.
4. The file `<db>.places` beside the database holds no data: processes lock bytes of it (`session_locks`).

Used by workflow files.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ..values import codec
from .memory_storage import InMemoryStorage
from .session_locks import LockKey, SessionLocks
from .stored_sessions import Beginning, Ending, RunRecord, SessionRecord, Storage, Stored, conflict, merge_data

__all__ = ["InMemoryStorage", "SqliteStorage"]

_BUSY_S: Final = 60.0
"""The longest wait for writes of other processes; each takes about a millisecond."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS "{t}_sessions" (
    id INTEGER PRIMARY KEY, workflow_id TEXT NOT NULL, user_id TEXT NOT NULL, session_id TEXT NOT NULL,
    workflow_name TEXT, name TEXT, extra TEXT, created_at REAL NOT NULL, UNIQUE (workflow_id, user_id, session_id));
CREATE TABLE IF NOT EXISTS "{t}_states" (
    session INTEGER PRIMARY KEY, version INTEGER NOT NULL, updated_at REAL NOT NULL, defaults TEXT NOT NULL, state TEXT);
CREATE TABLE IF NOT EXISTS "{t}_runs" (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, run_id TEXT NOT NULL, status TEXT NOT NULL,
    started_at REAL NOT NULL, ended_at REAL, input TEXT, content TEXT, content_type TEXT, error TEXT);
CREATE INDEX IF NOT EXISTS "{t}_runs_of" ON "{t}_runs" (session, id);
CREATE INDEX IF NOT EXISTS "{t}_runs_working" ON "{t}_runs" (session) WHERE status = 'working';
"""


class _File:
    """One database file in this process: one connection, and the locks of its sessions."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.locks = SessionLocks(None if path is None else path + ".places")
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = os.getpid()
        self._tables: set[str] = set()

    @contextmanager
    def transaction(self, table: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._connect()
            if connection.in_transaction:  # garbage collection ended a generator's run inside our transaction
                yield connection
                return
            if table not in self._tables:
                connection.executescript(_TABLES.format(t=table))
                self._tables.add(table)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        if self._pid != os.getpid():  # after a fork, the child must neither use nor close the connection
            _LOST.append(self._connection)
            self._connection, self._pid = None, os.getpid()
        if self._connection is None:
            if self.path is not None:
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path or ":memory:", timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._tables.clear()
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
        return self._connection

    def forget_tables(self, table: str) -> None:
        with self._lock:
            self._tables.discard(table)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None
            self.locks.close()

    def __del__(self) -> None:
        self.close()


_LOST: Final[list[Any]] = []
"""Connections of the parent process, kept so that garbage collection does not close them here."""

_FILES: Final[weakref.WeakValueDictionary[str, _File]] = weakref.WeakValueDictionary()
"""The open files by path: two storages over one file share its connection and locks."""

_FILES_LOCK: Final = threading.Lock()


def _file(path: str | None) -> _File:
    if path is None:
        return _File(None)
    with _FILES_LOCK:
        file = _FILES.get(path)
        if file is None:
            file = _FILES[path] = _File(path)
        return file


class SqliteStorage(Storage):
    """Sessions in a SQLite file.

    Args:
        table_name: Letters, digits, `_` and `-`; the tables' names begin with it.
        db_url: `sqlite:///path`, instead of db_file.
        db_file: The file, created with its folders at first use. Without db_url and db_file, memory.
        wait_s: Seconds that a run waits for its session before SessionBusy.
        db_engine, schema_version, auto_upgrade_schema, mode: Accepted from older files; an engine is refused.
    """

    def __init__(
        self,
        table_name: str = "workflows",
        db_url: str | None = None,
        db_file: str | os.PathLike[str] | None = None,
        db_engine: Any = None,
        schema_version: int = 1,
        auto_upgrade_schema: bool = False,
        mode: str | None = "workflow",
        *,
        wait_s: float = 300.0,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", table_name):
            raise ValueError(f"table_name must be 1 to 100 letters, digits, _ or -, got {table_name!r}")
        if db_engine is not None:
            raise ValueError("db_engine is not taken here: SqliteStorage opens its own file; give db_file or db_url")
        self.table_name = table_name
        self.mode = mode
        self.wait_s = wait_s
        self._file = _file(_path(db_url, db_file))
        self.locks = self._file.locks

    def begin(self, key: LockKey, run: Beginning, *, exclusive: bool) -> Stored:
        with self._file.transaction(self.table_name) as sql:
            session, stored = self._open(sql, key, run)
            if exclusive:
                sql.execute(
                    f'UPDATE "{self.table_name}_runs" SET status = ?, ended_at = ?, error = ? '
                    "WHERE session = ? AND status = 'working'",
                    ("failed", time.time(), _PROCESS_LOST, session),
                )
            sql.execute(
                f'INSERT INTO "{self.table_name}_runs" (session, run_id, status, started_at, input) VALUES (?, ?, ?, ?, ?)',
                (session, run.run_id, "working", time.time(), codec.write_value(run.input)),
            )
            return stored

    def open_session(self, key: LockKey, run: Beginning) -> Stored:
        with self._file.transaction(self.table_name) as sql:
            return self._open(sql, key, run)[1]

    def commit(self, key: LockKey, packed: Any, version: int, defaults: frozenset[str]) -> int:
        with self._file.transaction(self.table_name) as sql:
            return self._write_state(sql, key, packed, version, defaults)

    def finish(self, key: LockKey, end: Ending) -> int:
        t = self.table_name
        with self._file.transaction(self.table_name) as sql:
            version = end.version
            if end.packed is not None:
                version = self._write_state(sql, key, end.packed, end.version, end.defaults)
            sql.execute(
                f'UPDATE "{t}_runs" INDEXED BY "{t}_runs_working" SET status = ?, ended_at = ?, content = ?, '
                f"content_type = ?, error = ? WHERE status = 'working' AND run_id = ? "
                f"AND session = (SELECT id FROM {self._where_session()})",
                (
                    end.status,
                    time.time(),
                    None if end.content is None else codec.write_value(end.content),
                    end.content_type,
                    None if end.error is None else codec.write_value(end.error),
                    end.run_id,
                    *key,
                ),
            )
            return version

    def name_session(self, key: LockKey, name: str) -> None:
        with self._file.transaction(self.table_name) as sql:
            session, _ = self._open(sql, key, None)
            sql.execute(f'UPDATE "{self.table_name}_sessions" SET name = ? WHERE id = ?', (name, session))

    def remove(self, keys: Sequence[LockKey]) -> None:
        t = self.table_name
        with self._file.transaction(t) as sql:
            for key in keys:
                row = sql.execute(f"SELECT id FROM {self._where_session()}", key).fetchone()
                if row is not None:
                    sql.execute(f'DELETE FROM "{t}_runs" WHERE session = ?', row)
                    sql.execute(f'DELETE FROM "{t}_states" WHERE session = ?', row)
                    sql.execute(f'DELETE FROM "{t}_sessions" WHERE id = ?', row)

    def sessions(
        self, workflow_id: str | None = None, user_id: str | None = None, session_id: str | None = None
    ) -> list[SessionRecord]:
        t = self.table_name
        wanted = {"workflow_id": workflow_id, "user_id": user_id, "session_id": session_id}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"s.{name} = ?" for name in wanted) or "1"
        with self._file.transaction(t) as sql:
            rows = sql.execute(
                f"SELECT s.workflow_id, s.user_id, s.session_id, s.name, s.workflow_name, x.state, s.created_at, "
                f'max(s.created_at, coalesce(x.updated_at, 0), coalesce((SELECT r.started_at FROM "{t}_runs" r '
                f'WHERE r.session = s.id ORDER BY r.id DESC LIMIT 1), 0)) AS used, s.extra FROM "{t}_sessions" s '
                f'LEFT JOIN "{t}_states" x ON x.session = s.id WHERE {where} ORDER BY used DESC, s.id DESC',
                tuple(wanted.values()),
            ).fetchall()
        return [
            SessionRecord(
                workflow_id=row[0],
                user_id=row[1] or None,
                session_id=row[2],
                session_name=row[3],
                workflow_name=row[4],
                session_state=self.unpack(row[5]),
                created_at=row[6],
                updated_at=row[7],
                extra_data=None if row[8] is None else codec.read_value(row[8]),
            )
            for row in rows
        ]

    def runs(self, key: LockKey, limit: int = 50, before: str | None = None) -> list[RunRecord]:
        t = self.table_name
        session = f"(SELECT id FROM {self._where_session()})"
        older = f'AND id < (SELECT id FROM "{t}_runs" WHERE run_id = ? AND session = {session})' if before else ""
        with self._file.transaction(t) as sql:
            rows = sql.execute(
                f"SELECT run_id, status, started_at, ended_at, input, content, content_type, error "
                f'FROM "{t}_runs" WHERE session = {session} {older} ORDER BY id DESC LIMIT ?',
                (*key, *((before, *key) if before else ()), limit),
            ).fetchall()
        return [
            RunRecord(
                run_id=row[0],
                workflow_id=key.workflow_id,
                user_id=key.user_id or None,
                session_id=key.session_id,
                status=row[1],
                started_at=row[2],
                ended_at=row[3],
                input=_value(row[4]) or {},
                content=_value(row[5]),
                content_type=row[6] or "str",
                error=_value(row[7]),
            )
            for row in rows
        ]

    def drop(self) -> None:
        """Delete the three tables with their rows."""
        with self._file.transaction(self.table_name) as sql:
            for what in ("runs", "states", "sessions"):
                sql.execute(f'DROP TABLE "{self.table_name}_{what}"')
        self._file.forget_tables(self.table_name)

    def close(self) -> None:
        """Close the file. The next use opens it again."""
        self._file.close()

    def _open(self, sql: sqlite3.Connection, key: LockKey, run: Beginning | None) -> tuple[int, Stored]:
        t = self.table_name
        row = sql.execute(
            f'SELECT s.id, s.name, s.extra, s.workflow_name, x.state, x.version, x.defaults FROM "{t}_sessions" s '
            f'LEFT JOIN "{t}_states" x ON x.session = s.id WHERE s.workflow_id = ? AND s.user_id = ? AND s.session_id = ?',
            key,
        ).fetchone()
        if row is None:
            inserted = sql.execute(
                f'INSERT INTO "{t}_sessions" (workflow_id, user_id, session_id, created_at) VALUES (?, ?, ?, ?)',
                (*key, time.time()),
            )
            row = (inserted.lastrowid, None, None, None, None, None, None)
        session, name, extra, workflow_name, state, version, defaults = row
        kept = None if extra is None else codec.read_value(extra)
        if run is not None:
            kept = merge_data(kept, run.extra_data)
            new = (run.session_name or name, None if kept is None else codec.write_value(kept), run.workflow_name)
            if new != (name, extra, workflow_name):
                sql.execute(
                    f'UPDATE "{t}_sessions" SET name = ?, extra = ?, workflow_name = ? WHERE id = ?', (*new, session)
                )
        return session, Stored(state, version or 0, frozenset(codec.read_value(defaults) if defaults else ()), kept)

    def _write_state(
        self, sql: sqlite3.Connection, key: LockKey, packed: Any, version: int, defaults: frozenset[str]
    ) -> int:
        session, stored = self._open(sql, key, None)
        if stored.version != version:
            raise conflict(key)
        sql.execute(
            f'INSERT OR REPLACE INTO "{self.table_name}_states" (session, version, updated_at, defaults, state) '
            "VALUES (?, ?, ?, ?, ?)",
            (session, version + 1, time.time(), codec.write_value(sorted(defaults)), packed),
        )
        return version + 1

    def _where_session(self) -> str:
        return f'"{self.table_name}_sessions" WHERE workflow_id = ? AND user_id = ? AND session_id = ?'


_PROCESS_LOST: Final = codec.write_value({"type": "ProcessLost", "message": "the process ended while the run went on"})


def _value(text: str | None) -> Any:
    return None if text is None else codec.read_value(text)


def _path(db_url: str | None, db_file: str | os.PathLike[str] | None) -> str | None:
    """The file's absolute path; None for memory."""
    if db_url is not None:
        scheme, found, rest = db_url.partition("://")
        if not found or scheme.partition("+")[0] != "sqlite":
            raise ValueError(
                f"db_url must begin with sqlite:///, got {db_url!r}; other databases are not supported yet"
            )
        db_file = rest.removeprefix("/") or None
    if db_file is None or os.fspath(db_file) in ("", ":memory:"):
        return None
    return str(Path(db_file).expanduser().resolve())
