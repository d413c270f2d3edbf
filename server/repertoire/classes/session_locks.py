"""Taking turns for one session's state: at most one run holds a session's place, in this process and among processes.

Among threads and tasks by a table; among processes by a lock of the operating system on one byte of a file beside the database, which
its death gives up. Those who could only wait for themselves share the place, and with it one live dict: a run inside a run of
the same session, and a second run of a thread or task whose first is a generator that has paused.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .run_doors import SessionBusy, State

try:
    import fcntl
except ImportError:  # Windows: among processes only the version of the state protects it there
    fcntl = None  # type: ignore[assignment]  # asked for before each use


class Key(NamedTuple):
    """A session as it is stored. `user_id` is empty when there is none."""

    workflow_id: str
    user_id: str
    session_id: str


class Owner(NamedTuple):
    """Who runs: a thread, and the asyncio task in it if any. By itself it can do one thing at a time."""

    thread: int
    task: Any


acting_for: ContextVar[Owner | None] = ContextVar("acting_for", default=None)
"""Set where a body is run in a thread or loop made for it: it is still its caller's doing."""


blocked_thread: ContextVar[int | None] = ContextVar("blocked_thread", default=None)
"""Set where a thread was made while another stands still for it."""


def owner() -> Owner:
    return acting_for.get() or Owner(threading.get_ident(), current_task())


def current_task() -> Any:
    asyncio = sys.modules.get("asyncio")  # without it there is no task, and importing it costs 50 ms
    if asyncio is None:
        return None
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


@dataclass(eq=False)
class Place:
    """What is known of a session while runs hold it."""

    key: Key
    owner: Owner
    run_id: str
    since: float = field(default_factory=time.monotonic)
    sharers: int = 1
    state: State = field(default_factory=dict)
    packed: Any = None
    mark: bytes | None = None
    """Of `state` as it was when it was read from `packed`: an equal one later says that nothing has changed."""
    version: int = 0
    defaults: frozenset[str] = frozenset()


class Places:
    """The places of one store. `lock_file` is None for a store that no other process sees."""

    def __init__(self, lock_file: str | None = None) -> None:
        self._held: dict[Key, Place] = {}
        self._guard = threading.RLock()  # a collected generator may end its run in the middle of anything
        self._lock_file = lock_file
        self._fd: int | None = None
        self._pid = os.getpid()

    def take(self, key: Key, run_id: str, above: Iterable[Place], *, blocking: bool) -> tuple[Place, bool] | None:
        """The place and whether it is shared; None while somebody else has it. Raises SessionBusy where waiting would never end.

        `above`: places of the runs that this one is in. `blocking`: waiting stops this thread.
        """
        me = owner()
        with self._guard:
            self._forget_parent_process()
            held = self._held.get(key)
            if held is None:
                if not self._lock(key):
                    return None
                place = self._held[key] = Place(key, me, run_id)
                return place, False
            stands_still = held.owner.thread in (threading.get_ident(), blocked_thread.get())
            if held in above or held.owner == me or (stands_still and held.owner.task is None):
                held.sharers += 1
                return held, True
            if blocking and stands_still:
                raise SessionBusy(
                    f"session {key.session_id!r} is held by run {held.run_id}, in another task of this thread, which cannot go on "
                    "while this thread waits for it",
                    hint="Await arun() in place of run().",
                )
            return None

    def leave(self, place: Place) -> None:
        with self._guard:
            place.sharers -= 1
            if place.sharers == 0 and self._held.get(place.key) is place:
                del self._held[place.key]
                self._unlock(place.key)

    def holder(self, key: Key) -> str:
        """A sentence's end about who has it."""
        with self._guard:
            held = self._held.get(key)
            if held is None:
                return "a run of another process"
            return f"run {held.run_id}, for {time.monotonic() - held.since:.0f} s"

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _forget_parent_process(self) -> None:
        """After a fork the table speaks of threads that are not here, and locks of the system are not inherited."""
        if self._pid != os.getpid():
            self._held.clear()
            self.close()
            self._pid = os.getpid()

    def _lock(self, key: Key) -> bool:
        if self._lock_file is None or fcntl is None:
            return True
        if self._fd is None:
            os.makedirs(os.path.dirname(self._lock_file) or ".", exist_ok=True)
            self._fd = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _offset(key))
        except BlockingIOError:
            return False
        return True

    def _unlock(self, key: Key) -> None:
        if self._fd is not None:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _offset(key))


def _offset(key: Key) -> int:
    """A byte of its own for each session: 62 bits, so that two of them meeting need not be thought of."""
    digest = hashlib.blake2b("\0".join(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 2
