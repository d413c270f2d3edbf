"""Clock: tells when a wall-clock time has come, even if that clock is set back. Alarms: due times of parked runs. Used by Waits and Recovery.

Due times are stored as wall-clock times. A wall clock can be set back, so each due time is also translated into a steady clock, which
cannot be set. A time has come when either clock says so. Both clocks count while the machine is suspended.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from typing import Any, Final

import anyio

LOOK_S: Final = 0.5
"""Clocks are set and laptops sleep, and no timer notices. So while anything is due, the time is read this often."""
_REMEMBERED: Final = 10_000
"""So many due times are translated into the steady clock. Beyond that, the oldest are due by the wall clock alone."""
_SLACK: Final = 64
"""With fewer dropped alarms than this, the queues are not rebuilt."""


def _steady_time() -> float:
    """Like `time.monotonic`. If the system has such a clock, it also counts while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Clock:
    """One for each process: it remembers the translated due times."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = _steady_time) -> None:
        self.wall = wall
        self._steady = steady
        self._due: dict[float, float] = {}

    def left(self, at: float) -> float:
        """Seconds until the wall-clock time `at`. 0 or less: it has come."""
        return min(at - self.wall(), self.steady_due(at) - self._steady())

    def forget(self, at: float | None) -> None:
        """Nothing waits for this time any more."""
        if at is not None:
            self._due.pop(at, None)

    async def sleep_until(self, at: float) -> None:
        while (left := self.left(at)) > 0:
            await anyio.sleep(min(left, LOOK_S))

    async def wait(self, news: asyncio.Future[Any], until: float | None) -> bool:
        """True: `news` came before the time `until`. Without `until`, wait for ever."""
        while not news.done():
            left = None if until is None else self.left(until)
            if left is not None and left <= 0:
                return False
            await asyncio.wait([news], timeout=None if left is None else min(left, LOOK_S))
        return True

    def steady_due(self, at: float) -> float:
        """`at` by the steady clock."""
        due = self._due.get(at)
        if due is None:
            if len(self._due) >= _REMEMBERED:
                del self._due[next(iter(self._due))]
            due = self._due[at] = self._steady() + at - self.wall()
        return due


class Alarms:
    """The time at which each parked run wakes, in two queues: the clocks may differ in their order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._set: dict[str, tuple[float, bool]] = {}
        self._by_wall: list[tuple[float, str, float]] = []
        self._by_steady: list[tuple[float, str, float]] = []

    def __len__(self) -> int:
        return len(self._set)

    @property
    def sleeping(self) -> int:
        """How many alarms end a sleep. The others end a question that expires."""
        return sum(sleeps for _, sleeps in self._set.values())

    def set(self, run_id: str, at: float, *, sleeps: bool) -> None:
        self._set[run_id] = at, sleeps
        for queue, due in ((self._by_wall, at), (self._by_steady, self._clock.steady_due(at))):
            heapq.heappush(queue, (due, run_id, at))
        if len(self._by_wall) > 2 * len(self._set) + _SLACK:
            self._rebuild_queues()

    def drop(self, run_id: str) -> None:
        self._set.pop(run_id, None)

    def due(self) -> list[str]:
        """Remove and return the runs whose time has come by either clock."""
        found: list[str] = []
        for queue in (self._by_wall, self._by_steady):
            while queue and self._clock.left(queue[0][2]) <= 0:
                found += self._take_run(*heapq.heappop(queue))
        return found

    def look_s(self) -> float | None:
        """Seconds until the next look. None: no alarm is set."""
        tops = [queue[0][2] for queue in (self._by_wall, self._by_steady) if queue]
        return min([LOOK_S, *(max(0.0, self._clock.left(at)) for at in tops)]) if self._set else None

    def _take_run(self, due: float, run_id: str, at: float) -> list[str]:
        if self._set.get(run_id, (None,))[0] != at:
            return []  # the alarm was set again since, or dropped
        del self._set[run_id]
        return [run_id]

    def _rebuild_queues(self) -> None:
        entries = [(at, run_id) for run_id, (at, _) in self._set.items()]
        self._by_wall = [(at, run_id, at) for at, run_id in entries]
        self._by_steady = [(self._clock.steady_due(at), run_id, at) for at, run_id in entries]
        heapq.heapify(self._by_wall)
        heapq.heapify(self._by_steady)
