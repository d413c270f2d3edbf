"""ThreadQueue: lets the threads of a body continue in the order of their records on replay; used by Replay (replay, rules 4d and 7).

It serves threads outside the main thread's loop. They may share lists and locks that nobody records, so they go on one after the other,
as the first time. The next thread gets its record when the one before has made its next call, has ended its work, or is blocked.

The order cannot always be kept. The thread whose turn it is may stand still, for example behind a lock that another thread holds this
time. Then the others go on, each with the record of its own call.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ...wire import Recorded
from ..link.threads import foreign
from .call_paths import Node

_LOOK_S: Final = 0.002
_QUIET_S: Final = 0.05
"""A thread that has been at the same instruction for so long is blocked."""
_STILL_S: Final = 1.0
"""If all threads have been at the same instruction for so long, none is on its way to the next recorded call."""

_Position = tuple[int, int]


class ThreadQueue:
    """`changed` guards the run's calls. `front` gives the next record."""

    def __init__(self, changed: threading.Condition, front: Callable[[], Recorded | None]) -> None:
        self._changed = changed
        self._front = front
        self._waiting: Counter[int] = Counter()
        self._last: tuple[Node, int] | None = None
        """Node and thread that got the last record, until that has led to the thread's next call or end."""
        self._seen: dict[int, tuple[_Position, float]] = {}
        """By thread: its position, and since when it is there."""
        self._moved_at = 0.0

    def wait(self, path: str) -> None:
        """Wait until it is this path's turn, or the order cannot be kept. `changed` is held."""
        with self._in_line():
            while not self._is_wait_over(path):
                self._changed.wait(_LOOK_S)

    async def wait_async(self, path: str) -> None:
        """The same, for a coroutine: its loop goes on meanwhile. `changed` is not held."""
        with self._in_line():
            while True:
                with self._changed:
                    if self._is_wait_over(path):
                        return
                await asyncio.sleep(_LOOK_S)

    def on_given(self, node: Node) -> None:
        """Called when this thread has got its record and goes on."""
        self._last = node, threading.get_ident()
        self._on_progress()

    def on_settled(self, node: Node) -> None:
        """Called when the node's record has led to its next call, or the node waits for others, or its work has ended."""
        if self._last is not None and self._last[0] is node:
            with self._changed:
                self._last = None
                self._on_progress()

    @contextmanager
    def _in_line(self) -> Iterator[None]:
        me = threading.get_ident()
        self._waiting[me] += 1
        self._moved_at = time.monotonic()
        try:
            yield
        finally:
            self._waiting[me] -= 1

    def _on_progress(self) -> None:
        self._seen.clear()
        self._moved_at = time.monotonic()
        self._changed.notify_all()

    def _is_wait_over(self, path: str) -> bool:
        front = self._front()
        now = time.monotonic()
        if front is None:  # live: the thread with the last record goes first, unless it computes for long
            return self._is_quiet(now) or now - self._moved_at > _STILL_S
        is_next = front.path == path or front.path.startswith(
            f"{path}:"
        )  # the latter: a step that had begun but not ended
        if is_next and self._is_quiet(now):
            return True
        self._look_at_all(now)
        return now - self._moved_at > _STILL_S

    def _is_quiet(self, now: float) -> bool:
        if self._last is None:
            return True
        thread = self._last[1]
        if thread == threading.get_ident() or self._waiting[thread]:
            return True
        since = self._still_since(thread, now)
        return since is None or now - since > _QUIET_S

    def _look_at_all(self, now: float) -> None:
        for thread in (threading.main_thread(), *foreign()):
            ident = thread.ident or 0
            if not self._waiting[ident] and self._still_since(ident, now) == now:
                self._moved_at = now

    def _still_since(self, ident: int, now: float) -> float | None:
        """The time since when the thread is at its position. None: the thread has ended."""
        frame = sys._current_frames().get(ident)
        if frame is None:
            return None
        position = id(frame), frame.f_lasti
        known = self._seen.get(ident)
        if known is None or known[0] != position:
            self._seen[ident] = known = position, now
        return known[1]
