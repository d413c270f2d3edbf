"""BodyEvents: sends the events of a run's body and of its children, and limits their number; used by BodyCalls.

On replay, events that are stored already are not sent again (replay, rule 8).
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any, Final

import msgspec

from ...authoring.doors import EventType
from ...text import well_formed_json
from ...wire import RawEvent, Task
from ..link.outbox import Outbox
from ..link.sanitize import plain
from ..link.threads import foreign
from . import call_paths
from .exchange import Exchange
from .replayer import Replay

MESSAGES_IN_EVENT: Final = 5
"""An event has at most as many bytes as so many messages: the longest one, of characters with four bytes, and some fields."""


class BodyEvents:
    """The events of one run."""

    def __init__(self, outbox: Outbox, task: Task, exchange: Exchange, replay: Replay) -> None:
        self._outbox = outbox
        self._task = task
        self._exchange = exchange
        self._replay = replay
        self._count = 0
        self._strangers = weakref.WeakSet(foreign())  # threads that earlier runs left behind; their events are dropped

    def emit(self, type: EventType, data: dict[str, Any], /) -> None:
        """Send an event. Events of threads are dropped after the run's end."""
        if not self._exchange.open or (self._strangers and threading.current_thread() in self._strangers):
            return
        if self._count_event():
            self._put(type, data)

    def hear(self, type: EventType, data: dict[str, Any], /) -> None:
        """Send an event of a child process.

        It has no path among the body's own events, so a replay cannot count it. Instead it drops what children say while records are
        left: that was sent the first time.
        """
        if not self._exchange.open or self._replay.is_replaying:
            return
        if self._count_event():
            self._send(type, data, "", 0)

    def warn(self, message: str) -> None:
        self._put("log", {"level": "warning", "message": message})

    def _count_event(self) -> bool:
        """Count one more event of the run. False: the limit is exceeded."""
        self._count += 1
        limit = self._task.max_events
        if self._count == limit + 1:
            self.warn(
                f"this run has sent {limit} events; further ones are not recorded. The setting max_events raises this limit."
            )
        return self._count <= limit

    def _put(self, type: EventType, data: dict[str, Any]) -> None:
        node = call_paths.current()
        node.events += 1
        if self._task.told and node.events <= self._task.told.get(node.prefix, 0):
            return
        self._send(type, data, node.prefix, node.events)

    def _send(self, type: EventType, data: dict[str, Any], path: str, k: int) -> None:
        limit = self._task.max_message_bytes
        fit = _json({key: plain(value, limit) for key, value in data.items()}, MESSAGES_IN_EVENT * limit)
        self._outbox.put(RawEvent(type, time.time(), fit.decode(), path, k), len(fit))


def _json(data: dict[str, Any], most: int) -> bytes:
    """The event's data as JSON text. Values with which it would be longer than `most` bytes are left out."""
    text = _encode(data)
    if len(text) <= most:
        return text
    kept: dict[str, Any] = {}
    size = 0
    for key, value in data.items():
        size += len(_encode({key: value}))
        if size < most:
            kept[key] = value
    return _encode({**kept, "left_out": len(data) - len(kept)})


def _encode(data: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(data)
    except UnicodeEncodeError:  # a name of a field
        return msgspec.json.encode(well_formed_json(data))
