"""Stored sessions: `Storage`, the base class of the storages of class workflows, and the records that it keeps.

Each write is complete: `begin` records a run and gives the session's state, `finish` records its end and the new state. A state is kept
packed, as text by default. `version` counts its changes, so that a writer never overwrites a state that it has not seen.
Implemented by `memory_storage` and `sqlite_storage`; used by `script_doors`, `instance` and `workflow`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ..values import codec
from .run_doors import SessionConflict, Status
from .session_locks import LockKey, SessionLocks

ModelsAs = Literal["model", "dict"]


@dataclass(frozen=True)
class RunRecord:
    """One run. Times are Unix seconds. `content` and `input` are restore like a state."""

    run_id: str
    workflow_id: str
    user_id: str | None
    session_id: str
    status: Status
    started_at: float
    ended_at: float | None = None
    input: dict[str, Any] = field(default_factory=dict)
    content: Any = None
    content_type: str = "str"
    error: dict[str, str] | None = None
    """`{"type": ..., "message": ...}` for a run that failed."""


@dataclass(frozen=True)
class SessionRecord:
    """One session of one workflow. Times are Unix seconds."""

    workflow_id: str
    user_id: str | None
    session_id: str
    session_name: str | None
    workflow_name: str | None
    session_state: dict[str, Any]
    created_at: float
    updated_at: float
    extra_data: dict[str, Any] | None = None

    @property
    def session_data(self) -> dict[str, Any]:
        return {"session_name": self.session_name, "session_state": self.session_state}


@dataclass(frozen=True)
class Stored:
    """A session's state as `begin` found it. `packed` is None for a new session."""

    packed: Any
    version: int
    defaults: frozenset[str]
    extra_data: dict[str, Any] | None = None


@dataclass(frozen=True)
class Beginning:
    """A new run to record, and its instance's data about the session."""

    run_id: str
    workflow_name: str
    input: dict[str, Any]
    session_name: str | None = None
    extra_data: dict[str, Any] | None = None


@dataclass(frozen=True)
class Ending:
    """The end of a run to record. `packed` is None if the state is unchanged."""

    run_id: str
    status: Status
    content: Any
    content_type: str
    error: dict[str, str] | None = None
    packed: Any = None
    version: int = 0
    defaults: frozenset[str] = frozenset()


class _Last(NamedTuple):
    """A packed state and its mark."""

    packed: Any
    models_as: ModelsAs
    mark: bytes


class Storage:
    """The base class of storages. Any thread may call all methods. Errors of the medium are not wrapped."""

    wait_s: float = 300.0
    """Seconds that a run waits for its session: as long as a run may take on a server by default."""

    locks: SessionLocks

    _last: _Last | None = None

    # Writes.

    def begin(self, key: LockKey, run: Beginning, *, exclusive: bool) -> Stored:
        """Record the run as working, with its session.

        `exclusive`: this run holds the session's lock alone. So any other run that is recorded as working is dead.
        """
        raise NotImplementedError

    def commit(self, key: LockKey, packed: Any, version: int, defaults: frozenset[str]) -> int:
        """Store the state that follows `version`. Gives its own version. Raises SessionConflict."""
        raise NotImplementedError

    def finish(self, key: LockKey, end: Ending) -> int:
        """Record the end, and the state if there is one, in one write. Gives the state's version. Raises SessionConflict."""
        raise NotImplementedError

    def open_session(self, key: LockKey, run: Beginning) -> Stored:
        """Like `begin`, without a run."""
        raise NotImplementedError

    def name_session(self, key: LockKey, name: str) -> None:
        """Name an existing or new session."""
        raise NotImplementedError

    def remove(self, keys: Sequence[LockKey]) -> None:
        """Delete sessions with their states and runs."""
        raise NotImplementedError

    # Reads.

    def sessions(
        self, workflow_id: str | None = None, user_id: str | None = None, session_id: str | None = None
    ) -> list[SessionRecord]:
        """Sessions, the last used first."""
        raise NotImplementedError

    def runs(self, key: LockKey, limit: int = 50, before: str | None = None) -> list[RunRecord]:
        """Runs of a session, the newest first. `before` is the last run id of the page before."""
        raise NotImplementedError

    # The form of states.

    def pack(self, state: dict[str, Any]) -> Any:
        """The stored form of a state. Raises StateError that names the place of a value that cannot be stored."""
        return codec.encode(state)

    def unpack(self, packed: Any, models_as: ModelsAs = "model") -> dict[str, Any]:
        return {} if packed is None else codec.decode(packed, models_as=models_as)

    def mark(self, state: dict[str, Any]) -> bytes | None:
        """A quick mark of the state: equal marks mean equal states. None if there is none."""
        return codec.mark(state)

    def same(self, packed: Any, other: Any) -> bool:
        """True if two packed states are equal, so that nothing must be written."""
        return bool(packed == other)

    # Methods under the names that storages of the class style have.

    def read(self, session_id: str, user_id: str | None = None) -> SessionRecord | None:
        """The session that was last used under this id, of any workflow."""
        return next(iter(self.sessions(user_id=user_id, session_id=session_id)), None)

    def get_all_sessions(self, user_id: str | None = None, entity_id: str | None = None) -> list[SessionRecord]:
        """`entity_id` is a workflow's id."""
        return self.sessions(entity_id, user_id)

    def get_all_session_ids(self, user_id: str | None = None, entity_id: str | None = None) -> list[str]:
        return [one.session_id for one in self.sessions(entity_id, user_id)]

    def get_recent_sessions(
        self, user_id: str | None = None, entity_id: str | None = None, limit: int | None = 2
    ) -> list[SessionRecord]:
        return self.sessions(entity_id, user_id)[:limit]

    def delete_session(self, session_id: str | None = None) -> None:
        """Delete the sessions with this id, of every workflow and user. `Workflow.delete_session` deletes only its own."""
        found = self.sessions(session_id=session_id) if session_id is not None else []
        self.remove([LockKey(one.workflow_id, one.user_id or "", one.session_id) for one in found])

    def create(self) -> None:
        """Do nothing: tables are created at first use."""

    def upgrade_schema(self) -> None:
        """Do nothing: there is one schema."""


def restore(storage: Storage, packed: Any, models_as: ModelsAs) -> tuple[dict[str, Any], bytes | None]:
    """The unpacked state and its mark. If it equals the storage's last state, it is read from the mark: that takes half as long."""
    last = storage._last
    if last is not None and last.models_as == models_as and last.packed == packed:
        return codec.of_mark(last.mark), last.mark
    state = storage.unpack(packed, models_as)
    mark = storage.mark(state)
    remember(storage, packed, models_as, mark)
    return state, mark


def remember(storage: Storage, packed: Any, models_as: ModelsAs, mark: bytes | None) -> None:
    """Remember the storage's last state. One is enough: the next run is most often in the same session."""
    if mark is not None:
        storage._last = _Last(packed, models_as, mark)


def merge_data(stored: dict[str, Any] | None, own: dict[str, Any] | None) -> dict[str, Any] | None:
    """Stored data, with `own` values over it at every depth."""
    if not stored or not own:
        return own or stored
    result = copy_state(stored)
    overlay(result, copy_state(own))
    return result


def overlay(state: dict[Any, Any], values: dict[Any, Any]) -> None:
    """Put values into `state`, at every depth. Lists are replaced."""
    for key, value in values.items():
        if type(value) is dict and type(state.get(key)) is dict:
            overlay(state[key], value)
        else:
            state[key] = value


def copy_state(state: dict[str, Any]) -> dict[str, Any]:
    """A deep copy. Values that cannot be copy_state, such as locks and clients, stay the same objects."""
    try:
        return copy.deepcopy(state)
    except Exception:  # a value's own __deepcopy__ or __reduce__ may raise anything
        return {key: _copy_value(value) for key, value in state.items()}


def _copy_value(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # as in `copy_state`
        return value


def conflict(key: LockKey) -> SessionConflict:
    return SessionConflict(
        f"the state of session {key.session_id!r} of {key.workflow_id} was changed by another run meanwhile; "
        "what this run changed is not stored",
        hint="Run it again.",
    )
