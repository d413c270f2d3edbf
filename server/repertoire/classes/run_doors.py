"""THE SEAM of the class style: everything one run of a workflow does to the world passes through one RunDoors.

    opened = doors.start(opening)      ids and stored state; None: another run holds the session, ask again
    doors.emit("text", {...})          zero or more, in order
    doors.commit(state)                zero or more: what is stored now stays whatever becomes of the run
    doors.finish(end)                  once, if start gave something: status, content, error, state

`drive` is the only caller, and the only code that knows plain functions from generators and coroutines. In a script `local` gives
doors over a storage or over memory; a host gives its own with `serving(factory)`, for as long as its run takes:

    class Desk:                                                  # implements RunDoors
        def start(self, opening): return Opened(task.run_id, task.session_id, "my_workflow", codec.decode(task.state))
        ...
    with serving(lambda workflow, parent: Desk() if parent is None else None):
        value = MyWorkflow().run(**arguments)                    # or arun: a value, an iterator, an awaitable, an async iterator

A factory that gives None leaves that run to what a script would do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from ..values.refusals import Refusal

Status = Literal["working", "completed", "failed", "cancelled"]

MAX_SESSION_ID: Final = 255
"""Characters: more is a payload, and file systems end there."""


class SessionBusy(Refusal):
    """Another run holds the session and did not give it up in time."""

    code = "session_busy"
    kind = "SessionBusy"


class SessionConflict(Refusal):
    """The stored state was changed by somebody else while this run had the session; nothing of this run's state is stored."""

    code = "session_conflict"
    kind = "SessionConflict"


@dataclass(frozen=True)
class Opening:
    """What a run is, before it has an id. `session_id` is the caller's wish."""

    workflow_id: str
    workflow_name: str
    user_id: str | None
    session_id: str
    input: dict[str, Any]
    session_name: str | None = None
    extra_data: dict[str, Any] | None = None
    blocking: bool = True
    """Whether waiting would block this thread, and with it everything else that runs in it."""


class Unread:
    """A stored state at which nobody has looked yet: a run that leaves it alone does not pay for its size."""

    __slots__ = ("_load", "_lock", "_state")

    def __init__(self, load: Callable[[], dict[str, Any]]) -> None:
        self._load = load
        self._lock = threading.Lock()  # two threads of a body that look first must see one dict
        self._state: dict[str, Any] | None = None

    @property
    def seen(self) -> bool:
        return self._state is not None

    def read(self) -> dict[str, Any]:
        """The same dict each time. Raises StateError when what is stored cannot be read."""
        with self._lock:
            if self._state is None:
                self._state = self._load()
            return self._state


State = dict[str, Any] | Unread


def looked_at(state: State) -> dict[str, Any]:
    return state.read() if isinstance(state, Unread) else state


@dataclass(frozen=True)
class Opened:
    """The run's ids, and the state that it starts from: a dict of its own, except where it shares an ancestor's place.

    A host gives a dict; Unread is for storages of one's own, and comes back in RunEnd as long as nobody has looked.
    """

    run_id: str
    session_id: str
    workflow_id: str
    state: State
    defaults: frozenset[str] = frozenset()
    """Paths of constructor defaults that this session has been given before: deleted since, they stay deleted."""
    shared: bool = False
    """`state` is the live dict of another run of this thread or of an ancestor; it is not replaced, only changed."""
    extra_data: dict[str, Any] | None = None


@dataclass(frozen=True)
class RunEnd:
    """How a run ended. `state` is None when nothing of it is to be stored: the run failed or was cancelled."""

    status: Status
    content: Any = None
    content_type: str = "str"
    error: BaseException | None = None
    state: State | None = None
    defaults: frozenset[str] = field(default=frozenset())


class RunDoors(Protocol):
    """One run's way out. Used by one run only; `emit` may be called from several threads."""

    def start(self, opening: Opening, /) -> Opened | None:
        """Record the run as working and give its state. None: ask again soon. Raises SessionBusy when that took too long."""

    def emit(self, type: Literal["text", "item", "log"], data: dict[str, Any], /) -> None:
        """`text`: {text, event}; `item`: {value}; `log`: {level, message}. Never fails for what the body said."""

    def commit(self, state: dict[str, Any], /) -> None:
        """Store this state now. Raises StateError, SessionConflict."""

    def finish(self, end: RunEnd, /) -> None:
        """Record the end and the state as one fact. Raises StateError or SessionConflict, the end is then recorded as failed."""


Factory = Callable[[Any, Any], RunDoors | None]
"""Gets the workflow and the run inside which it was started, or None."""

_factory: Factory | None = None  # not a context variable: threads that a body starts belong to the host's run as well


@contextmanager
def serving(factory: Factory) -> Iterator[None]:
    """For a host: runs that begin in here get their doors from `factory`."""
    global _factory
    before, _factory = _factory, factory
    try:
        yield
    finally:
        _factory = before


def hosted(workflow: Any, parent: Any) -> RunDoors | None:
    """The host's doors for a run, if there is a host and it wants this run."""
    return None if _factory is None else _factory(workflow, parent)


def check_session_id(value: object) -> str:
    """The id as text. Raises ValueError: ids become parts of paths and addresses, so they hold none themselves."""
    text = value if isinstance(value, str) else str(value)
    if not text or len(text) > MAX_SESSION_ID:
        raise ValueError(f"session_id must have 1 to {MAX_SESSION_ID} characters, got {len(text)}")
    if text in (".", "..") or "/" in text or "\\" in text:
        raise ValueError(f"session_id must not contain parts of a path, got {text!r}; replace / and \\ by -")
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"session_id must be printable, without spaces around it, got {text!r}")
    return text
