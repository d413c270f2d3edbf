"""Patience: tells when a replay has waited in vain for the body's own threads, programs or sockets; used by Replay and ThreadReadings."""

from __future__ import annotations

import time
from typing import Final

_STILL_S: Final = 60.0
"""Time for threads, programs or sockets of the body to lead to the next recorded call. After it the replay has failed."""
_AT_WORK: Final = 0.25
"""A process that uses this share of a processor computes, so it is given the same time again. Threads that only look use 2 % each."""


class Patience:
    def __init__(self) -> None:
        self._begin()

    def is_over(self) -> bool:
        if time.monotonic() - self._since <= _STILL_S:
            return False
        if time.process_time() - self._used > _STILL_S * _AT_WORK:
            self._begin()
            return False
        return True

    def _begin(self) -> None:
        self._since = time.monotonic()
        self._used = time.process_time()
