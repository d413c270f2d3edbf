"""Outbox: sends events and frames to the host in order; used by BodyCalls, Exchange and Process.

It sends an event at once when the last send is 20 ms ago, else it gathers events for 20 ms. Sends block, which is the back-pressure:
a body that makes events faster than the host records them is slowed down.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from ...wire import Events, RawEvent, WorkerFrame
from .channel import Channel
from .threads import OUR_PREFIX

GATHER_S: Final = 0.02
"""A person who watches sees nothing faster than this. Each frame costs the host 20-40 us."""

_FULL_BYTES: Final = 256 * 1024
"""Events of this size are sent early, so that a frame stays small even if the body makes many events in 20 ms."""


class Outbox:
    """Thread-safe and re-entrant: a signal handler or finalizer of the body may print while we send."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._changed = threading.Condition(threading.RLock())
        self._events: list[RawEvent] = []
        self._size = 0
        self._sent_at = 0.0
        self._sending = False
        self._flusher: threading.Thread | None = None

    def put(self, event: RawEvent, size: int) -> None:
        """Send or gather an event. `size` is its approximate length in bytes."""
        with self._changed:
            self._events.append(event)
            self._size += size
            if self._size >= _FULL_BYTES or time.monotonic() - self._sent_at >= GATHER_S:
                self._send_events()
            elif len(self._events) == 1:
                self._wake_flusher()

    def send(self, frame: WorkerFrame) -> None:
        """Send the gathered events, then this frame. Raises as Channel.send does."""
        with self._changed:
            self._send_events()
            self._channel.send(frame)

    def become_child(self) -> None:
        """Reset the copy in a forked child: the thread that held the lock does not exist here, and the events are the parent's."""
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
            except RuntimeError:  # a thread cannot be started for want of memory or processes: send without gathering
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
