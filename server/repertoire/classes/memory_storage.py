"""Memory storage: `InMemoryStorage` for tests and notebooks, `UnstoredSessions` for workflows without a storage.

Used by workflow files and `instance`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..values import codec
from .session_locks import LockKey, SessionLocks
from .stored_sessions import (
    Beginning,
    Ending,
    ModelsAs,
    RunRecord,
    SessionRecord,
    Storage,
    Stored,
    conflict,
    copy_state,
    merge_data,
)


@dataclass
class _Session:
    workflow_name: str
    name: str | None = None
    extra: dict[str, Any] | None = None
    packed: Any = None
    version: int = 0
    defaults: frozenset[str] = frozenset()
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    runs: dict[str, RunRecord] = field(default_factory=dict)


class InMemoryStorage(Storage):
    """Sessions for the life of the process, for tests and notebooks. States follow the same rules as in a file."""

    def __init__(self, *, wait_s: float = 300.0) -> None:
        self.locks = SessionLocks()
        self.wait_s = wait_s
        self._sessions: dict[LockKey, _Session] = {}
        self._lock = threading.RLock()

    def begin(self, key: LockKey, run: Beginning, *, exclusive: bool) -> Stored:
        with self._lock:
            stored = self.open_session(key, run)
            session = self._sessions[key]
            session.updated_at = now = time.time()
            session.runs[run.run_id] = RunRecord(
                run.run_id,
                key.workflow_id,
                key.user_id or None,
                key.session_id,
                "working",
                now,
                input=_snapshot(run.input),
            )
            self._trim(session)
            return stored

    def open_session(self, key: LockKey, run: Beginning) -> Stored:
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                session = self._sessions[key] = _Session(run.workflow_name)
            session.workflow_name, session.name = run.workflow_name, run.session_name or session.name
            if run.extra_data is not None:
                session.extra = merge_data(session.extra, _snapshot(run.extra_data))
            return Stored(session.packed, session.version, session.defaults, session.extra)

    def commit(self, key: LockKey, packed: Any, version: int, defaults: frozenset[str]) -> int:
        with self._lock:
            session = self._sessions.setdefault(key, _Session(key.workflow_id))
            if session.version != version:
                raise conflict(key)
            session.packed, session.version, session.defaults = packed, version + 1, defaults
            return session.version

    def finish(self, key: LockKey, end: Ending) -> int:
        with self._lock:
            session = self._sessions.setdefault(key, _Session(key.workflow_id))
            version = end.version
            if end.packed is not None:
                version = self.commit(key, end.packed, end.version, end.defaults)
            run = session.runs.get(end.run_id)
            if run is not None:
                session.runs[end.run_id] = replace(
                    run,
                    status=end.status,
                    ended_at=time.time(),
                    content=_snapshot(end.content),
                    content_type=end.content_type,
                    error=end.error,
                )
            return version

    def name_session(self, key: LockKey, name: str) -> None:
        with self._lock:
            self._sessions.setdefault(key, _Session(key.workflow_id)).name = name

    def remove(self, keys: Sequence[LockKey]) -> None:
        with self._lock:
            for key in keys:
                self._sessions.pop(key, None)

    def sessions(
        self, workflow_id: str | None = None, user_id: str | None = None, session_id: str | None = None
    ) -> list[SessionRecord]:
        with self._lock:
            found = [
                SessionRecord(
                    workflow_id=key.workflow_id,
                    user_id=key.user_id or None,
                    session_id=key.session_id,
                    session_name=one.name,
                    workflow_name=one.workflow_name,
                    session_state=self.unpack(one.packed),
                    created_at=one.created_at,
                    updated_at=one.updated_at,
                    extra_data=one.extra,
                )
                for key, one in self._sessions.items()
                if workflow_id in (None, key.workflow_id)
                and user_id in (None, key.user_id)
                and session_id in (None, key.session_id)
            ]
        return sorted(found, key=lambda one: one.updated_at, reverse=True)

    def runs(self, key: LockKey, limit: int = 50, before: str | None = None) -> list[RunRecord]:
        with self._lock:
            session = self._sessions.get(key)
            found = [] if session is None else list(reversed(session.runs.values()))
        if before is not None:
            found = found[next((i + 1 for i, one in enumerate(found) if one.run_id == before), len(found)) :]
        return found[:limit]

    def _trim(self, session: _Session) -> None:
        """Drop old runs; here none."""


class UnstoredSessions(InMemoryStorage):
    """The sessions of a workflow without a storage. Nothing is written, so a state may hold any value. Only the last runs are kept."""

    _MAX_RUNS = 100  # so that a script in a loop does not grow

    def pack(self, state: dict[str, Any]) -> Any:
        return state

    def unpack(self, packed: Any, models_as: ModelsAs = "model") -> dict[str, Any]:
        return {} if packed is None else copy_state(packed)

    def commit(self, key: LockKey, packed: Any, version: int, defaults: frozenset[str]) -> int:
        # A copy, because the run or the script may change its dict later.
        return super().commit(key, copy_state(packed), version, defaults)

    def mark(self, state: dict[str, Any]) -> bytes | None:
        return None

    def same(self, packed: Any, other: Any) -> bool:
        return False  # a comparison would call the author's code, and keeping a state costs nothing

    def _trim(self, session: _Session) -> None:
        while len(session.runs) > self._MAX_RUNS:
            del session.runs[next(iter(session.runs))]


def _snapshot(value: Any) -> Any:
    """A copy of the value as records have it, so that later changes by the body do not reach the record."""
    return codec.read_value(codec.write_value(value))
