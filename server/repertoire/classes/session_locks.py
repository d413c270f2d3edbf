"""Session locks: at most one run holds a session's lock, in this process and among processes. Used by `body`, `script_doors`, storages.

Theory of operation:

1. Among threads and tasks, the lock is an entry in a table of `SessionLocks`.
2. Among processes, it is a lock of the operating system on one byte of a file beside the database. A process that dies releases it.
3. A run that could only wait for itself shares the lock, and with it one live dict. There are two cases: a run inside a run of the
   same session, and a second run of a thread or task whose first run is a paused generator.
4. A wait that could never end raises SessionBusy at once.
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
except ImportError:  # Windows: among processes, only the version of the state protects it
    fcntl = None  # type: ignore[assignment]  # checked before each use


class LockKey(NamedTuple):
    """The key of a stored session. `user_id` is "" without a user."""

    workflow_id: str
    user_id: str
    session_id: str


class LockOwner(NamedTuple):
    """The owner of a lock: a thread, and its asyncio task if there is one. It does one thing at a time."""

    thread: int
    task: Any


acting_for: ContextVar[LockOwner | None] = ContextVar("acting_for", default=None)
"""The real owner, for a body in a thread or loop that was made for it: the caller."""


blocked_thread: ContextVar[int | None] = ContextVar("blocked_thread", default=None)
"""The thread that waits for this thread, which was made for it."""


def owner() -> LockOwner:
    return acting_for.get() or LockOwner(threading.get_ident(), current_task())


def current_task() -> Any:
    asyncio = sys.modules.get("asyncio")  # not imported means no task; importing it costs 50 ms
    if asyncio is None:
        return None
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


@dataclass(eq=False)
class SessionLock:
    """A held lock of one session, with the session's state while runs hold it."""

    key: LockKey
    owner: LockOwner
    run_id: str
    since: float = field(default_factory=time.monotonic)
    sharers: int = 1
    state: State = field(default_factory=dict)
    packed: Any = None
    mark: bytes | None = None
    """The mark of `state` when it was read from `packed`. An equal mark later proves that the state is unchanged."""
    version: int = 0
    defaults: frozenset[str] = frozenset()


class SessionLocks:
    """The session locks of one storage. `lock_file` is None if no other process uses the storage."""

    def __init__(self, lock_file: str | None = None) -> None:
        self._held: dict[LockKey, SessionLock] = {}
        self._guard = threading.RLock()  # reentrant: garbage collection of a generator may end its run at any point
        self._lock_file = lock_file
        self._fd: int | None = None
        self._pid = os.getpid()

    def take(
        self, key: LockKey, run_id: str, outer: Iterable[SessionLock], *, blocking: bool
    ) -> tuple[SessionLock, bool] | None:
        """Take the lock. Gives the lock, and True if it is shared; None while another run has it.

        Raises SessionBusy if waiting would never end. `outer`: the locks of the outer runs. `blocking`: waiting blocks this thread.
        """
        me = owner()
        with self._guard:
            self._forget_parent_process()
            held = self._held.get(key)
            if held is None:
                if not self._lock(key):
                    return None
                lock = self._held[key] = SessionLock(key, me, run_id)
                return lock, False
            stands_still = held.owner.thread in (threading.get_ident(), blocked_thread.get())
            if held in outer or held.owner == me or (stands_still and held.owner.task is None):
                held.sharers += 1
                return held, True
            if blocking and stands_still:
                raise SessionBusy(
                    f"session {key.session_id!r} is held by run {held.run_id}, in another task of this thread, which cannot go on "
                    "while this thread waits for it",
                    hint="Await arun() in place of run().",
                )
            return None

    def leave(self, lock: SessionLock) -> None:
        with self._guard:
            lock.sharers -= 1
            if lock.sharers == 0 and self._held.get(lock.key) is lock:
                del self._held[lock.key]
                self._unlock(lock.key)

    def holder(self, key: LockKey) -> str:
        """The holder of the lock, in words for the end of a sentence."""
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
        """Clear the table after a fork: its threads are not in this process, and locks of the system are not inherited."""
        if self._pid != os.getpid():
            self._held.clear()
            self.close()
            self._pid = os.getpid()

    def _lock(self, key: LockKey) -> bool:
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

    def _unlock(self, key: LockKey) -> None:
        if self._fd is not None:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _offset(key))


def _offset(key: LockKey) -> int:
    """The session's own byte in the lock file. It has 62 bits, so a collision is too unlikely to handle."""
    digest = hashlib.blake2b("\0".join(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 2
