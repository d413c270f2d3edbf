"""The doors of a run in a user's own script: ids are made here, the state and the record go to a storage."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from ..names import new_run_id
from ..values.exceptions import text_of, type_name
from ..values.refusals import Refusal
from .run_doors import Opened, Opening, RunEnd, SessionBusy, Unread, looked_at
from .session_locks import Key, Place
from .stored_sessions import Beginning, Ending, ModelsAs, Storage


class LocalDoors:
    """Implements `runs.RunDoors`. Events go nowhere: whoever called the run receives its items itself."""

    def __init__(self, storage: Storage, above: Sequence[Place], models_as: ModelsAs = "model") -> None:
        self._storage = storage
        self._above = above
        self._models_as = models_as
        self._asked: float | None = None
        self._pid = os.getpid()
        self._run_id = ""
        self._key = Key("", "", "")
        self.place: Place | None = None

    def start(self, opening: Opening, /) -> Opened | None:
        if self._asked is None:
            self._asked = time.monotonic()
            self._run_id = new_run_id(opening.workflow_id)
            self._key = Key(opening.workflow_id, opening.user_id or "", opening.session_id)
        places = self._storage.places
        taken = places.take(self._key, self._run_id, self._above, blocking=opening.blocking)
        if taken is None:
            if time.monotonic() - self._asked > self._storage.wait_s:
                raise SessionBusy(
                    f"session {opening.session_id!r} of {opening.workflow_name} is held by {places.holder(self._key)}; "
                    f"waited {self._storage.wait_s:g} s",
                    hint="Let the other run end, close its generator, or use another session_id.",
                )
            return None
        place, shared = taken
        try:
            return self._begin(place, opening, shared)
        except BaseException:
            places.leave(place)
            raise

    def _begin(self, place: Place, opening: Opening, shared: bool) -> Opened:
        begun = Beginning(
            self._run_id, opening.workflow_name, opening.input, opening.session_name, opening.extra_data
        )  # fmt: skip
        stored = self._storage.begin(self._key, begun, exclusive=not shared)
        if not shared:
            later = isinstance(stored.packed, str)  # text stays what it is; what memory keeps may be changed by then
            read = partial(self._read, place, stored.packed)
            place.state = Unread(read) if later else read()
            place.packed, place.version, place.defaults = stored.packed, stored.version, stored.defaults
        self.place = place
        return Opened(
            self._run_id, opening.session_id, opening.workflow_id, place.state, place.defaults, shared, stored.extra_data
        )  # fmt: skip

    def _read(self, place: Place, packed: Any) -> dict[str, Any]:
        state, place.mark = self._storage.restored(packed, self._models_as)
        return state

    def emit(self, type: Literal["text", "item", "log"], data: dict[str, Any], /) -> None:
        pass

    def commit(self, state: dict[str, Any], /) -> None:
        place = self._held()
        packed = self._storage.pack(state)
        place.version = self._storage.commit(self._key, packed, place.version, place.defaults)
        place.packed, place.mark = packed, None

    def finish(self, end: RunEnd, /) -> None:
        if self._pid != os.getpid():
            return  # a fork's copy of a paused generator: the run is its parent's
        place = self._held()
        try:
            self._record(place, end)
        except Refusal as refusal:  # the state cannot be stored: the run has failed, its content is kept
            self._record(place, RunEnd("failed", end.content, end.content_type, refusal))
            raise
        finally:
            self._storage.places.leave(place)

    def _record(self, place: Place, end: RunEnd) -> None:
        packed, mark = None, None
        if end.state is not None and not isinstance(end.state, Unread):
            mark = self._storage.mark(end.state)
        # known to be as it was without writing it as text, which takes longest
        same = isinstance(end.state, Unread) or (mark is not None and mark == place.mark)
        if end.state is not None and not (same and end.defaults == place.defaults):
            packed = self._storage.pack(looked_at(end.state))
            if self._storage.same(packed, place.packed) and end.defaults == place.defaults:
                packed = None  # nothing changed: nothing is written
        error = None if end.error is None else {"type": type_name(end.error), "message": text_of(end.error)}
        place.version = self._storage.finish(
            self._key,
            Ending(self._run_id, end.status, end.content, end.content_type, error, packed, place.version, end.defaults),
        )
        if packed is not None:
            place.packed, place.mark, place.defaults = packed, mark, end.defaults
            self._storage.remember(packed, self._models_as, mark)

    def _held(self) -> Place:
        if self.place is None:
            raise RuntimeError("the run has not begun")
        return self.place
