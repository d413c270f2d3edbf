"""Stopwatch: seconds for which a run has held a place among the workers, with a limit; used by Live and Attempt.

It pauses while the run waits without a place, and stops while the run is parked.
"""

from __future__ import annotations

import asyncio
import time

import anyio


class Stopwatch:
    def __init__(self, limit_s: float, used_s: float) -> None:
        self.limit_s = limit_s
        self._used_s = used_s
        self._since: float | None = None
        self._pauses = 0
        self._scope: anyio.CancelScope | None = None

    def start(self, scope: anyio.CancelScope) -> None:
        """Cancel `scope` when the limit is reached."""
        self._scope = scope
        self._go_on()

    def stop(self) -> None:
        self._halt()
        self._scope = None

    def pause(self) -> None:
        self._pauses += 1
        self._halt()

    def resume(self) -> None:
        self._pauses -= 1
        if self._pauses == 0:
            self._go_on()

    @property
    def used_s(self) -> float:
        return self._used_s + (0.0 if self._since is None else time.monotonic() - self._since)

    def _go_on(self) -> None:
        if self._scope is not None and not self._pauses:
            self._since = time.monotonic()
            # Not anyio's clock: a callback of the loop calls this, and there anyio may not see its loop.
            self._scope.deadline = asyncio.get_running_loop().time() + self.limit_s - self._used_s

    def _halt(self) -> None:
        self._used_s, self._since = self.used_s, None
        if self._scope is not None:
            self._scope.deadline = float("inf")
