"""What a thread of a body sees of other threads: seen once, recorded as a reading of a clock is, the same again on replay.

Which future is completed next, which are done, whether a queue is empty, who puts and gets before whom: that depends on how long
each thread takes. Each node has its own sequence of such readings. Used by seen.py, which is what bodies call.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from ...authoring.door import AIO
from . import call_paths
from .exchange import Exchange
from .journal_reader import Journal
from .replayer import LOST_S, Replay

_SIGHTS: Final = "#"
"""Behind a node's prefix: what it has seen, which are no readings of its clock."""
_LOOK_S: Final = 0.002


class Sights:
    """Of one run."""

    def __init__(self, journal: Journal, exchange: Exchange, replay: Replay) -> None:
        self._journal = journal
        self._exchange = exchange
        self._replay = replay

    def known(self) -> float | None:
        """What this node saw next the first time; None: nothing more that is recorded."""
        self._replay.check()
        if not (self._journal.replaying or self._journal.has_reads):
            return None
        with self._exchange.changed:
            return self._journal.clock(call_paths.current().prefix + _SIGHTS)

    def note(self, *values: float) -> None:
        self._exchange.reads.note_all(call_paths.current().prefix + _SIGHTS, values)

    def place(self) -> str:
        return call_paths.current().prefix

    def in_step(self) -> bool:
        return ":" in call_paths.current().prefix

    def rest(self) -> None:
        """This thread waits for others now: what it was given has led to all that it can."""
        if self._journal.replaying:
            self._replay.settled(call_paths.current())

    def until(self, true: Callable[[], Any], what: str) -> None:
        """Waits for other threads to come as far as they were."""
        self.rest()
        end = time.monotonic() + LOST_S
        while not true():
            self._exchange.check_open()
            self._replay.check()
            if time.monotonic() > end:
                self._replay.lose(f"this time a thread waits for {what} in vain")
            time.sleep(_LOOK_S)

    def until_replayed(self) -> None:
        """What is not recorded has happened after all that is."""
        if self._journal.replaying and self._has_any():
            self.until(lambda: not self._journal.replaying, "the calls of other threads")

    def _has_any(self) -> bool:
        """Whether such things are recorded of this run at all: once they were not."""
        with self._exchange.changed:
            return self._journal.has_reads_of(_SIGHTS)


class _Now:
    sights: Sights | None = None


_now = _Now()


def begin(sights: Sights | None) -> None:
    _now.sights = sights


def of_body(depth: int = 2) -> Sights | None:
    """The sights of the run when it is text of a workflow that has called the function that asks."""
    if _now.sights is None:
        return None
    frame = sys._getframe(depth)
    if AIO not in frame.f_builtins:
        return None
    return _now.sights if call_paths.is_placed(threading.current_thread()) else None


def rest() -> None:
    """This thread waits for others, whoever has asked for that."""
    if _now.sights is not None and call_paths.is_placed(threading.current_thread()):
        _now.sights.rest()
