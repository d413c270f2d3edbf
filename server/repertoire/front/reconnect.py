"""Reconnect: says when a front that has lost its daemon tries again to start one; used by the pump.

A front that had a daemon before stays when it is lost: a locked file or a full disk may pass.
"""

from __future__ import annotations

import time

_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0
"""The pauses between tries grow from 0.5 s to 15 s."""


class Reconnect:
    def __init__(self) -> None:
        self.trouble = ""
        """The reason why there is no daemon now."""
        self.try_at = 0.0
        self._pause_s = 0.0

    def is_pausing(self) -> bool:
        return time.monotonic() < self.try_at

    def pause(self, reason: str) -> None:
        """A try has failed."""
        self.trouble = reason
        self._pause_s = min(max(_PAUSE_S, 2 * self._pause_s), _LONGEST_PAUSE_S)
        self.try_at = time.monotonic() + self._pause_s

    def reset(self) -> None:
        """There is a daemon again."""
        self.trouble = ""
        self._pause_s = 0.0
