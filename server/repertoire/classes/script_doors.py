"""Script doors: `LocalDoors` implements `RunDoors` for a run in a user's own script: state and records go to a storage.

Used by `class_run`; not in a worker, which has its own doors.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from ..names import new_run_id
from ..values.exceptions import text_of, type_name
from ..values.refusals import Refusal
from .run_doors import Opened, Opening, RunEnd, SessionBusy, Unread, read_state
from .session_locks import LockKey, SessionLock
from .stored_sessions import Beginning, Ending, ModelsAs, Storage, remember, restore


class LocalDoors:
    """Implements `RunDoors` over a storage. Events go nowhere, because the run's caller gets the items themselves."""

    def __init__(self, storage: Storage, outer: Sequence[SessionLock], models_as: ModelsAs = "model") -> None:
        self._storage = storage
        self._outer = outer
        self._models_as = models_as
        self._asked: float | None = None
        self._pid = os.getpid()
        self._run_id = ""
        self._key = LockKey("", "", "")
        self.lock: SessionLock | None = None

    def start(self, opening: Opening, /) -> Opened | None:
        if self._asked is None:
            self._asked = time.monotonic()
            self._run_id = new_run_id(opening.workflow_id)
            self._key = LockKey(opening.workflow_id, opening.user_id or "", opening.session_id)
        locks = self._storage.locks
        taken = locks.take(self._key, self._run_id, self._outer, blocking=opening.blocking)
        if taken is None:
            if time.monotonic() - self._asked > self._storage.wait_s:
                raise SessionBusy(
                    f"session {opening.session_id!r} of {opening.workflow_name} is held by {locks.holder(self._key)}; "
                    f"waited {self._storage.wait_s:g} s",
                    hint="Let the other run end, close its generator, or use another session_id.",
                )
            return None
        lock, shared = taken
        try:
            return self._begin(lock, opening, shared)
        except BaseException:
            locks.leave(lock)
            raise

    def _begin(self, lock: SessionLock, opening: Opening, shared: bool) -> Opened:
        beginning = Beginning(
            self._run_id, opening.workflow_name, opening.input, opening.session_name, opening.extra_data
        )
        stored = self._storage.begin(self._key, beginning, exclusive=not shared)
        if not shared:
            later = isinstance(stored.packed, str)  # text cannot change; an object in memory might before it is read
            read = partial(self._read, lock, stored.packed)
            lock.state = Unread(read) if later else read()
            lock.packed, lock.version, lock.defaults = stored.packed, stored.version, stored.defaults
        self.lock = lock
        return Opened(
            run_id=self._run_id,
            session_id=opening.session_id,
            workflow_id=opening.workflow_id,
            state=lock.state,
            defaults=lock.defaults,
            shared=shared,
            extra_data=stored.extra_data,
        )

    def _read(self, lock: SessionLock, packed: Any) -> dict[str, Any]:
        state, lock.mark = restore(self._storage, packed, self._models_as)
        return state

    def emit(self, type: Literal["text", "item", "log"], data: dict[str, Any], /) -> None:
        pass

    def commit(self, state: dict[str, Any], /) -> None:
        lock = self._require_lock()
        packed = self._storage.pack(state)
        lock.version = self._storage.commit(self._key, packed, lock.version, lock.defaults)
        lock.packed, lock.mark = packed, None

    def finish(self, end: RunEnd, /) -> None:
        if self._pid != os.getpid():
            return  # in a forked process: a copy of a paused generator, whose run belongs to the parent
        lock = self._require_lock()
        try:
            self._record(lock, end)
        except Refusal as refusal:  # the state cannot be stored: record the run as failed, with its content
            self._record(lock, RunEnd("failed", end.content, end.content_type, refusal))
            raise
        finally:
            self._storage.locks.leave(lock)

    def _record(self, lock: SessionLock, end: RunEnd) -> None:
        packed, mark = None, None
        if end.state is not None and not isinstance(end.state, Unread):
            mark = self._storage.mark(end.state)
        # Equal marks prove that the state is unchanged. That saves encoding it, which takes longest.
        same = isinstance(end.state, Unread) or (mark is not None and mark == lock.mark)
        if end.state is not None and not (same and end.defaults == lock.defaults):
            packed = self._storage.pack(read_state(end.state))
            if self._storage.same(packed, lock.packed) and end.defaults == lock.defaults:
                packed = None  # unchanged, so not written
        error = None if end.error is None else {"type": type_name(end.error), "message": text_of(end.error)}
        lock.version = self._storage.finish(
            self._key,
            Ending(self._run_id, end.status, end.content, end.content_type, error, packed, lock.version, end.defaults),
        )
        if packed is not None:
            lock.packed, lock.mark, lock.defaults = packed, mark, end.defaults
            remember(self._storage, packed, self._models_as, mark)

    def _require_lock(self) -> SessionLock:
        if self.lock is None:
            raise RuntimeError("the run has not begun")
        return self.lock
