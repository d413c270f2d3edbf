"""StorageTrouble: tells callers that wait for a run why nothing can be stored; used by Runner, told by the Store's writer.

A full disk or a locked file ends no run: the writer tries its records again until they are stored. Callers do not wait for that: after
`_HELD_BACK_S` each live run is held back (`Live.hold_back`), and let go when records can be stored again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from ..errors import StorageError
from .live_table import LiveTable

logger = logging.getLogger(__name__)

_HELD_BACK_S: Final = 1.0
"""How long callers wait for records that cannot be stored, beside the time that SQLite waits for a lock, before they are told."""


class StorageTrouble:
    def __init__(self, live: LiveTable) -> None:
        self._live = live
        self._timer: asyncio.TimerHandle | None = None
        """Set while nothing can be stored."""

    def on_trouble(self, trouble: StorageError | None) -> None:
        """Nothing can be stored (told with each try), or everything can again (None)."""
        if trouble is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            for live in self._live:
                live.let_go()
        elif self._timer is None:
            logger.error("no record can be written: %s", trouble)
            self._start_timer(f"{trouble.message} {trouble.hint or ''}".rstrip())

    def _start_timer(self, why: str) -> None:
        self._timer = asyncio.get_running_loop().call_later(_HELD_BACK_S, self._hold_back, why)

    def _hold_back(self, why: str) -> None:
        self._start_timer(why)  # runs that begin later are held back with the next turn
        for live in self._live:
            if live.recorded is None or live.recorded.done():  # a run whose start cannot be stored is refused instead
                live.hold_back(why)
