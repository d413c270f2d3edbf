"""EventOrder: decides what happens next when a loop has nothing to do: a recorded outcome, an arrived answer, or a timer.

One at a time, in the order of their times, live as well as on replay (replay, rule 5). Used by `event_loop` as its Conductor.
"""

from __future__ import annotations

import math
from typing import Final

from .exchange import Exchange
from .replayer import Replay
from .timeline import Timeline

_BEFORE_S: Final = 1e-6
"""More than the clock resolution with which asyncio decides that a timer is due."""


class EventOrder:
    """Implements `event_loop.Conductor`."""

    def __init__(self, replay: Replay, exchange: Exchange, timeline: Timeline) -> None:
        self._replay = replay
        self._exchange = exchange
        self._timeline = timeline
        self.now = timeline.now
        self.read = timeline.read_timers
        self.on_readable = exchange.on_readable
        self.fileno = exchange.fileno

    def on_interruption(self, timer: float | None) -> None:
        """Move the clock to the real time, but not beyond the next timer, which has not fired yet."""
        self._timeline.catch_up(math.inf if timer is None else timer - _BEFORE_S)

    def on_idle(self, timer: float | None, *, elsewhere: bool) -> float | None:
        self._replay.count_look()
        if self._exchange.take_pieces():
            return 0
        if self._replay.is_replaying:
            return self._replay.step_on(timer, elsewhere=elsewhere)
        if self._replay.go_live():
            return 0
        answers = self._exchange.answers
        if answers and (timer is None or answers[0][1].at <= timer):
            pending, answer = answers.popleft()
            self._timeline.on_answer(answer)
            pending.resolve(answer)
            return 0
        if timer is None:
            if not elsewhere:
                self._exchange.tell_idle()
            return None
        left = timer - self._timeline.real()
        if left > 0:
            return left
        self._timeline.fire(timer)
        return 0
