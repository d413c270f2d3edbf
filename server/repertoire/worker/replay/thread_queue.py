"""The line in which threads outside the main thread's loop wait, on replay, for what is recorded of their calls.

Threads may share lists and locks that nobody records. So they go on one after the other, as the first time: the next in the line is
given its record when the one before has made its next call, has ended its work, or is blocked.

The line is an order that is kept where it can be. Where it cannot, because the one whose turn it is stands still and does not call
(for instance behind a lock that another one has got this time), the others go on, each with what is recorded of its own call.
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
"""A thread that has stood at the same place for so long is blocked."""
_STILL_S: Final = 1.0
"""The same for all of them: then nobody is on the way to the call that is recorded next."""

_Position = tuple[int, int]


class ThreadQueue:
    """`changed` guards what is known of the run's calls. `front` is what is recorded next."""

    def __init__(self, changed: threading.Condition, front: Callable[[], Recorded | None]) -> None:
        self._changed = changed
        self._front = front
        self._waiting: Counter[int] = Counter()
        self._last: tuple[Node, int] | None = None
        """Who got the last record, and in which thread, until it has led to something."""
        self._seen: dict[int, tuple[_Position, float]] = {}
        """Where a thread is, and since when."""
        self._moved_at = 0.0

    def wait(self, path: str) -> None:
        """Until it is the turn of the call of this path, or turns cannot be kept. `changed` is held."""
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
        """This thread goes on now."""
        self._last = node, threading.get_ident()
        self._on_progress()

    def on_settled(self, node: Node) -> None:
        """What it was given has led to its next call, or it has nothing to do for now, or its work has ended."""
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
        if front is None:
            return True
        now = time.monotonic()
        is_next = front.path == path or front.path.startswith(
            f"{path}:"
        )  # below it: a step that had begun, but not ended
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
        """None: it has ended."""
        frame = sys._current_frames().get(ident)
        if frame is None:
            return None
        position = id(frame), frame.f_lasti
        known = self._seen.get(ident)
        if known is None or known[0] != position:
            self._seen[ident] = known = position, now
        return known[1]
