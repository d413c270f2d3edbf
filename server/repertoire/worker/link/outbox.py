"""Events on their way to the host: sent at once when it is quiet, gathered for 20 ms when the body talks a lot.

Blocking sends are the back-pressure: a body that talks faster than the host records is slowed down.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from ...wire import Events, RawEvent, WorkerFrame
from .channel import Channel
from .threads import OUR_PREFIX

GATHER_S: Final = 0.02
"""Watchers see nothing faster than this; each frame costs the host 20-40 us."""

_FULL_BYTES: Final = 256 * 1024
"""Sent early at this size, so that a frame stays small whatever the body says in 20 ms."""


class Outbox:
    """Thread-safe, and re-entrant: a signal handler or a finaliser of the body may print while we send."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._changed = threading.Condition(threading.RLock())
        self._events: list[RawEvent] = []
        self._size = 0
        self._sent_at = 0.0
        self._sending = False
        self._flusher: threading.Thread | None = None

    def put(self, event: RawEvent, size: int) -> None:
        """`size` is about the event's length in bytes."""
        with self._changed:
            self._events.append(event)
            self._size += size
            if self._size >= _FULL_BYTES or time.monotonic() - self._sent_at >= GATHER_S:
                self._send_events()
            elif len(self._events) == 1:
                self._wake_flusher()

    def send(self, frame: WorkerFrame) -> None:
        """Everything gathered, then this frame. Raises as Channel.send does."""
        with self._changed:
            self._send_events()
            self._channel.send(frame)

    def become_child(self) -> None:
        """This is a forked child's copy: whoever held the lock is not here, and the events are the parent's."""
        self._changed = threading.Condition(threading.RLock())
        self._events, self._size, self._sending = [], 0, False

    def _send_events(self) -> None:
        if self._sending or not self._events:
            return
        events, self._events, self._size = self._events, [], 0
        self._sending = True
        try:
            self._channel.send(Events(events))
        finally:
            self._sending = False
            self._sent_at = time.monotonic()

    def _wake_flusher(self) -> None:
        if self._flusher is None:
            thread = threading.Thread(target=self._flush_forever, name=f"{OUR_PREFIX}flush", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no memory or no process left for a thread: then without gathering
                self._send_events()
                return
            self._flusher = thread
        self._changed.notify()

    def _flush_forever(self) -> None:
        with self._changed:
            while True:
                while not self._events:
                    self._changed.wait()
                rest = self._sent_at + GATHER_S - time.monotonic()
                if rest > 0:
                    self._changed.wait(rest)
                if time.monotonic() - self._sent_at >= GATHER_S:
                    self._send_events()
