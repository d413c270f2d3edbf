"""Run doors: the Protocol `RunDoors`, through which all effects of one run of a class workflow pass.

    opened = doors.start(opening)      ids and stored state; None: another run holds the session, ask again
    doors.emit("text", {...})          zero or more, in order
    doors.commit(state)                zero or more: this state stays stored even if the run fails later
    doors.finish(end)                  once, if start gave a value: status, content, error, state

`class_run` is the only caller. In a script, `script_doors` gives doors over a storage or over memory. A host, such as the worker, gives
its own with `serving(factory)`, for the time of its run:

    class MyDoors:                                               # implements RunDoors
        def start(self, opening): return Opened(task.run_id, task.session_id, "my_workflow", codec.decode(task.state))
        ...
    with serving(lambda workflow, parent: MyDoors() if parent is None else None):
        value = MyWorkflow().run(**arguments)                    # or arun: a value, an iterator, an awaitable, an async iterator

If the factory gives None, that run gets the doors of a script.
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
"""The limit in characters. File systems have the same limit for a name; a longer id is data."""


class SessionBusy(Refusal):
    """Another run holds the session and did not give it up in time."""

    code = "session_busy"
    kind = "SessionBusy"


class SessionConflict(Refusal):
    """Another writer changed the stored state while this run had the session. This run's state is not stored."""

    code = "session_conflict"
    kind = "SessionConflict"


@dataclass(frozen=True)
class Opening:
    """The description of a run before it has an id. `session_id` is the one that the caller asks for."""

    workflow_id: str
    workflow_name: str
    user_id: str | None
    session_id: str
    input: dict[str, Any]
    session_name: str | None = None
    extra_data: dict[str, Any] | None = None
    blocking: bool = True
    """True if waiting would block this thread, and so all its tasks."""


class Unread:
    """A stored state that is read at the first access, so that a run that does not use it does not pay for its size."""

    __slots__ = ("_load", "_lock", "_state")

    def __init__(self, load: Callable[[], dict[str, Any]]) -> None:
        self._load = load
        self._lock = threading.Lock()  # two threads with a first access must get one dict
        self._state: dict[str, Any] | None = None

    @property
    def is_read(self) -> bool:
        return self._state is not None

    def read(self) -> dict[str, Any]:
        """The state, the same dict each time. Raises StateError if the stored text cannot be read."""
        with self._lock:
            if self._state is None:
                self._state = self._load()
            return self._state


State = dict[str, Any] | Unread


def read_state(state: State) -> dict[str, Any]:
    """The state as a dict; an Unread one is read now."""
    return state.read() if isinstance(state, Unread) else state


@dataclass(frozen=True)
class Opened:
    """The run's ids and its first state: its own dict, unless it shares the lock of an outer run.

    A host gives a dict. The script's storages give Unread, which comes back in RunEnd if it was never read.
    """

    run_id: str
    session_id: str
    workflow_id: str
    state: State
    defaults: frozenset[str] = frozenset()
    """Paths of constructor defaults that this session got before. If a body has deleted one since, it stays deleted."""
    shared: bool = False
    """`state` is the live dict of an outer run or of another run of this thread. It is changed in place, never replaced."""
    extra_data: dict[str, Any] | None = None


@dataclass(frozen=True)
class RunEnd:
    """The end of a run. `state` is None if the state is not to be stored, because the run failed or was cancelled."""

    status: Status
    content: Any = None
    content_type: str = "str"
    error: BaseException | None = None
    state: State | None = None
    defaults: frozenset[str] = field(default=frozenset())


class RunDoors(Protocol):
    """The doors of one run. Only that run uses them. Several threads may call `emit`."""

    def start(self, opening: Opening, /) -> Opened | None:
        """Record the run as working and give its state. None: ask again soon. Raises SessionBusy after too long a wait."""

    def emit(self, type: Literal["text", "item", "log"], data: dict[str, Any], /) -> None:
        """`text`: {text, event}; `item`: {value}; `log`: {level, message}. No data of the body makes it fail."""

    def commit(self, state: dict[str, Any], /) -> None:
        """Store this state now. Raises StateError, SessionConflict."""

    def finish(self, end: RunEnd, /) -> None:
        """Record the end and the state in one write. Raises StateError or SessionConflict; the end is then recorded as failed."""


Factory = Callable[[Any, Any], RunDoors | None]
"""Gives the doors of a run, from its workflow and its outer run (None without one)."""

_factory: Factory | None = None  # no context variable, because threads of a body belong to the host's run as well


@contextmanager
def serving(factory: Factory) -> Iterator[None]:
    """Let a host give the doors: runs that begin inside this context get theirs from `factory`."""
    global _factory
    before, _factory = _factory, factory
    try:
        yield
    finally:
        _factory = before


def find_host_doors(workflow: Any, parent: Any) -> RunDoors | None:
    """The host's doors for a run; None without a host, or if its factory gives None."""
    return None if _factory is None else _factory(workflow, parent)


def check_session_id(value: object) -> str:
    """The id as text. Raises ValueError: ids become parts of paths and addresses, so they must not contain path parts."""
    text = value if isinstance(value, str) else str(value)
    if not text or len(text) > MAX_SESSION_ID:
        raise ValueError(f"session_id must have 1 to {MAX_SESSION_ID} characters, got {len(text)}")
    if text in (".", "..") or "/" in text or "\\" in text:
        raise ValueError(f"session_id must not contain parts of a path, got {text!r}; replace / and \\ by -")
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"session_id must be printable, without spaces around it, got {text!r}")
    return text
