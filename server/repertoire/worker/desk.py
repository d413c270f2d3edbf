"""The doors of one run: what the body says becomes numbered-to-be events, `commit_state` waits for the host's answer."""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any, Final

from ..authoring.doors import EventType
from ..wire import Commit, Committed, RawEvent
from .channel import Channel
from .outbox import Outbox
from .threads import foreign
from .words import plain

MAX_EVENTS: Final = 10_000
"""Events recorded of one run: beyond it nobody reads them, and they would fill the host's disk."""


class Desk:
    """Implements `authoring.doors.Doors`. Closed when the run ends: what threads say later is dropped."""

    def __init__(self, outbox: Outbox, channel: Channel, max_message: int, *, has_state: bool) -> None:
        self._outbox = outbox
        self._channel = channel
        self._max_message = max_message
        self._has_state = has_state
        self._count = 0
        self._open = True
        self._lock = threading.Lock()
        self._strangers = weakref.WeakSet(
            foreign()
        )  # what earlier runs left behind; it is not this run that they speak for
        self.committed: str | None = None

    def emit(self, type: EventType, data: dict[str, Any], /) -> None:
        if not self._open or (self._strangers and threading.current_thread() in self._strangers):
            return
        self._count += 1
        if self._count > MAX_EVENTS:
            if self._count == MAX_EVENTS + 1:
                text = f"this run has sent {MAX_EVENTS} events; further ones are not recorded"
                self._put("log", {"level": "warning", "message": text})
            return
        self._put(type, data)

    def warn(self, message: str) -> None:
        self._put("log", {"level": "warning", "message": message})

    def commit(self, state: str, /) -> None:
        if not self._has_state:
            raise RuntimeError("commit_state(): this run was started without session state")
        with self._lock:  # two threads of the body may commit at once
            if not self._open:
                raise RuntimeError("commit_state(): the run has ended")
            try:
                self._outbox.send(Commit(state))
            except ValueError as error:
                raise RuntimeError(f"commit_state(): the state is too large: {error}") from None
            answer = self._channel.receive()
        if not isinstance(answer, Committed):
            raise RuntimeError("commit_state(): the host answered with something else")
        if answer.error is not None:
            raise RuntimeError(f"commit_state(): {answer.error}")
        self.committed = state

    def close(self) -> None:
        """Waits for a commit of another thread: its answer must not be taken for the next task."""
        with self._lock:
            self._open = False

    def _put(self, type: EventType, data: dict[str, Any]) -> None:
        fit = {key: plain(value, self._max_message) for key, value in data.items()}
        size = sum(len(value) if isinstance(value, str) else 100 for value in fit.values())
        self._outbox.put(RawEvent(type, time.time(), fit), size)
