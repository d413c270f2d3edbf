"""What happens next when a loop has nothing to do: a recorded answer, one that has arrived, or a timer.

One after the other, in the order of their times: so it was the first time, and so it is on replay.
"""

from __future__ import annotations

import math
from typing import Final

from .exchange import Exchange
from .replayer import Replay
from .timeline import Timeline

_BEFORE_S: Final = 1e-6
"""More than the resolution at which asyncio calls a timer due."""


class Turns:
    """Implements `loop.Conductor`."""

    def __init__(self, replay: Replay, exchange: Exchange, timeline: Timeline) -> None:
        self._replay = replay
        self._exchange = exchange
        self._timeline = timeline
        self.now = timeline.now
        self.read = timeline.read_timers
        self.arrived = exchange.arrived
        self.fileno = exchange.fileno

    def interrupted(self, timer: float | None) -> None:
        """The clock moves to the real time, but not over what the loop has not come to: that has its turn."""
        self._timeline.catch_up(math.inf if timer is None else timer - _BEFORE_S)

    def idle(self, timer: float | None, *, elsewhere: bool) -> float | None:
        self._replay.looked()
        if self._replay.going_on:
            return self._replay.step_on(timer, elsewhere=elsewhere)
        if self._replay.go_live():
            return 0
        answers = self._exchange.answers
        if answers and (timer is None or answers[0][1].at <= timer):
            slot, answer = answers.popleft()
            self._timeline.answered(answer)
            slot.resolve(answer)
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
