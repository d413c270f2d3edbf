"""Pace: how long somebody has to wait who may do only so much in a second; used by WorkerChannel.

Time that was not used counts, up to a second.
"""

from __future__ import annotations

import time


class Pace:
    """`per_s`: units in a second. 0: there is no limit."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._left = float(per_s)
        self._at = time.monotonic()

    def spend(self, units: int) -> None:
        """Count units. More than are left may be spent at once: the next ones wait longer."""
        if self._per_s:
            now = time.monotonic()
            self._left = min(self._left + (now - self._at) * self._per_s, float(self._per_s)) - units
            self._at = now

    def wait_s(self) -> float:
        """Seconds until one unit is left. 0: there is one."""
        if not self._per_s:
            return 0.0
        left = self._left + (time.monotonic() - self._at) * self._per_s
        return max(0.0, (1 - left) / self._per_s)
