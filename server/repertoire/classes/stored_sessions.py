"""What a storage of class workflows keeps; `memory` and `storage` are the two there are.

A storage speaks in whole facts: `begin` records a run and gives the session's state, `finish` records its end and the new state.
Its state is kept packed, as text by default; `version` counts its changes, so that no writer overwrites what it has not seen.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ..values import codec
from .run_doors import SessionConflict, Status
from .session_locks import Key, Places

ModelsAs = Literal["model", "dict"]


@dataclass(frozen=True)
class RunRecord:
    """One run. Times are Unix seconds; `content` and `input` are restored as the state is."""

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
    """`{"type": ..., "message": ...}` of a run that failed."""


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
    """A run to be recorded, and what its instance says of the session."""

    run_id: str
    workflow_name: str
    input: dict[str, Any]
    session_name: str | None = None
    extra_data: dict[str, Any] | None = None


@dataclass(frozen=True)
class Ending:
    """The end of a run. `packed` is None when the state stays as it is."""

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
    """The contract. All methods may be called from any thread; errors of the medium come through as they are."""

    wait_s: float = 300.0
    """How long a run waits for its session's turn: as long as a run may take on a server by default."""

    places: Places

    _last: _Last | None = None

    # Facts.

    def begin(self, key: Key, run: Beginning, *, exclusive: bool) -> Stored:
        """Record the run as working, the session with it. `exclusive`: nobody else runs in it, so whoever is said to is dead."""
        raise NotImplementedError

    def commit(self, key: Key, packed: Any, version: int, defaults: frozenset[str]) -> int:
        """Store a state that followed `version`; its own version. Raises SessionConflict."""
        raise NotImplementedError

    def finish(self, key: Key, end: Ending) -> int:
        """Record the end, and the state if there is one, as one fact; the state's version. Raises SessionConflict."""
        raise NotImplementedError

    def open_session(self, key: Key, run: Beginning) -> Stored:
        """As `begin`, without a run."""
        raise NotImplementedError

    def name_session(self, key: Key, name: str) -> None:
        """Names an existing or new session."""
        raise NotImplementedError

    def remove(self, keys: Sequence[Key]) -> None:
        """Sessions with their states and runs."""
        raise NotImplementedError

    # Questions.

    def sessions(
        self, workflow_id: str | None = None, user_id: str | None = None, session_id: str | None = None
    ) -> list[SessionRecord]:
        """The latest used first."""
        raise NotImplementedError

    def runs(self, key: Key, limit: int = 50, before: str | None = None) -> list[RunRecord]:
        """The newest first; `before` is the last run id of the page before."""
        raise NotImplementedError

    # How states are kept.

    def pack(self, state: dict[str, Any]) -> Any:
        """Raises StateError naming the place of what cannot be kept."""
        return codec.encode(state)

    def unpack(self, packed: Any, models_as: ModelsAs = "model") -> dict[str, Any]:
        return {} if packed is None else codec.decode(packed, models_as=models_as)

    def mark(self, state: dict[str, Any]) -> bytes | None:
        """Equal marks mean equal states; None where there is no quick one."""
        return codec.mark(state)

    def restored(self, packed: Any, models_as: ModelsAs) -> tuple[dict[str, Any], bytes | None]:
        """`unpack`, and the state's mark: read from it where the last state here was the same, which takes half as long."""
        last = self._last
        if last is not None and last.models_as == models_as and last.packed == packed:
            return codec.of_mark(last.mark), last.mark
        state = self.unpack(packed, models_as)
        mark = self.mark(state)
        self.remember(packed, models_as, mark)
        return state, mark

    def remember(self, packed: Any, models_as: ModelsAs, mark: bytes | None) -> None:
        """One state and not several: the next run here is most often in the same session."""
        if mark is not None:
            self._last = _Last(packed, models_as, mark)

    def same(self, packed: Any, other: Any) -> bool:
        """Whether nothing has to be written."""
        return bool(packed == other)

    # The names of the class style's storages.

    def read(self, session_id: str, user_id: str | None = None) -> SessionRecord | None:
        """The session used last under this id, of whichever workflow."""
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
        """Of every workflow and user: the id alone is given. `Workflow.delete_session` deletes only its own."""
        found = self.sessions(session_id=session_id) if session_id is not None else []
        self.remove([Key(one.workflow_id, one.user_id or "", one.session_id) for one in found])

    def create(self) -> None:
        """Tables are made at first use; nothing to do."""

    def upgrade_schema(self) -> None:
        """Nothing to do."""


def merged_over(stored: dict[str, Any] | None, own: dict[str, Any] | None) -> dict[str, Any] | None:
    """Stored data with one's own over it, at every depth."""
    if not stored or not own:
        return own or stored
    result = copied(stored)
    put_over(result, copied(own))
    return result


def put_over(state: dict[Any, Any], values: dict[Any, Any]) -> None:
    """Into `state`, at every depth; lists are replaced."""
    for key, value in values.items():
        if type(value) is dict and type(state.get(key)) is dict:
            put_over(state[key], value)
        else:
            state[key] = value


def copied(state: dict[str, Any]) -> dict[str, Any]:
    """A deep copy, except for values that cannot be copied: locks, clients and the like stay the same objects."""
    try:
        return copy.deepcopy(state)
    except Exception:  # __deepcopy__ and __reduce__ of any class whatever
        return {key: _copied(value) for key, value in state.items()}


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # as above
        return value


def conflict(key: Key) -> SessionConflict:
    return SessionConflict(
        f"the state of session {key.session_id!r} of {key.workflow_id} was changed by another run meanwhile; "
        "what this run changed is not stored",
        hint="Run it again.",
    )
