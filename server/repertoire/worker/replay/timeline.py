"""Timeline: the run's own clock, which its loop's timers use, and its readings of real clocks; used by EventOrder, Replay and RunClock.

The run's clock moves from one event (answer, timer) to the next. On replay it moves only to times that are recorded (replay, rule 5).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from ...wire import Answer, Late, Tick
from . import call_paths
from .exchange import Exchange
from .journal_reader import JournalReader

_TICK_S: Final = 1.0
"""A sleep of at least this length is recorded when it is over, so that a replay does not sleep again."""
_TIMERS: Final = "@"
"""Added to a node's prefix for readings of the loop's clock, so that they are apart from the node's readings of real clocks."""


class Timeline:
    """Implements `run_clock.ClockSource`. `began` is the host's monotonic clock at the zero of the run's own clock."""

    def __init__(self, began: float, journal: JournalReader, exchange: Exchange) -> None:
        self._began = began
        self._journal = journal
        self._exchange = exchange
        self._at = 0.0
        self._fired_at = -1.0

    # The run's clock

    def now(self) -> float:
        return self._at

    def real(self) -> float:
        return self._at if self._journal.is_replaying else time.monotonic() - self._began

    def move(self, to: float) -> None:
        self._at = max(self._at, to)

    def catch_up(self, at_most: float) -> None:
        self.move(min(self.real(), at_most))

    def fire(self, timer: float) -> None:
        """A timer is due: move the clock to it, and record it if the sleep was long."""
        if timer - self._at >= _TICK_S:
            self._exchange.tell(Tick())
        self.move(timer)
        self._fired_at = max(self._fired_at, timer)

    def on_answer(self, answer: Answer) -> None:
        """The body gets this answer now: move the clock to it."""
        if (
            answer.at <= self._fired_at
        ):  # a timer fired while it was on its way: a replay must give it after the timer too
            self._exchange.tell(Late(answer.n, math.nextafter(self._fired_at, math.inf)))
        self.move(answer.at)

    # Readings and sleeps of the body

    def read_timers(self) -> float:
        """The time for timers that the body sets. They count from the real time, not from the last event."""
        prefix = call_paths.current().prefix + _TIMERS
        known = self._take_recorded(prefix)
        if known is None:
            known = self._exchange.readings.note(prefix, max(self._at, self.real()))
        self.move(known)
        return known

    def read_clock(self, live: Callable[[], float], /) -> float:
        prefix = call_paths.current().prefix
        known = self._take_recorded(prefix)
        return self._exchange.readings.note(prefix, live()) if known is None else known

    def _take_recorded(self, prefix: str) -> float | None:
        if not (self._journal.is_replaying or self._journal.has_readings):
            return None
        with self._exchange.changed:
            return self._journal.clock(prefix)

    def sleep(self, seconds: float) -> None:
        """`time.sleep` of the body. Returns at once while records are left."""
        if self._journal.is_replaying:
            with self._exchange.changed:
                front = self._journal.front()
                if seconds >= _TICK_S and front is not None and front.op == "tick":
                    self.move(front.at)
                    self._journal.pop()  # this sleep's own record; a later sleep without a record is slept
            return
        time.sleep(seconds)
        if seconds >= _TICK_S:
            self._exchange.tell(Tick())
