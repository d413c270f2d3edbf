"""Time as one run has it: recorded readings of clocks, and the run's own clock, which its loop's timers go by.

The run's clock moves from one thing that happens to the next. On replay it stands in between: what is recorded says how late it is.
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
"""A sleep at least this long is recorded when it is over, so that it is not slept again."""
_TIMERS: Final = "@"
"""Behind a node's prefix: its readings of the loop's clock, which are no readings of its own."""


class Timeline:
    """Implements `clock.Reads`. `began`: the host's monotonic clock when the run's own was at zero."""

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
        """A timer's time has come. Of a long sleep it is recorded, so that it is not slept again."""
        if timer - self._at >= _TICK_S:
            self._exchange.tell(Tick())
        self.move(timer)
        self._fired_at = max(self._fired_at, timer)

    def on_answer(self, answer: Answer) -> None:
        """The body gets this answer now."""
        if answer.at <= self._fired_at:  # on its way while a timer fired: on replay it is to come after that too
            self._exchange.tell(Late(answer.n, math.nextafter(self._fired_at, math.inf)))
        self.move(answer.at)

    # What the body reads, and sleeps

    def read_timers(self) -> float:
        """The run's clock for timers that the body sets: they count from now, and not from the last thing that happened."""
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
        """`time.sleep` of the body: over at once where there are records of what came after it."""
        if self._journal.is_replaying:
            with self._exchange.changed:
                front = self._journal.front()
                if seconds >= _TICK_S and front is not None and front.op == "tick":
                    self.move(front.at)
                    self._journal.pop()  # its own: one that comes after it and was not over is slept
            return
        time.sleep(seconds)
        if seconds >= _TICK_S:
            self._exchange.tell(Tick())
