"""Lifetime: decides when the daemon ends; used by server.py. It does not close anything.

Rules, in this order:

1. A caller, a signal, `stop` or a lost home ends it at once (`finish`). The first reason stays.
2. A newer version that connects gets the home (`hand_over_to`). The daemon ends when no run is live and no verb is open, or after 30 s.
   Then the runs go on in the newer version, replayed from their journals.
3. Without a visitor, a live run and a run that sleeps, it ends after `idle_exit_s` (`limits.Limits`). The next front starts it again.

Live runs end without telling the daemon. So `until_end` looks again at intervals.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, Literal, Protocol

import anyio

from repertoire.version import as_numbers

_LOOK_S: Final = 5.0
_LOOK_DRAINING_S: Final = 0.1
"""While a newer version waits, the daemon looks this often."""
_DRAIN_S: Final = 30.0

End = Literal["idle", "stopped", "forced", "handed over", "asked", "lost"]
"""Why the daemon ends: nobody came, `stop`, `stop` by force, a newer version, the caller's own stop event, the home is gone."""


class RunCounts(Protocol):
    def sleeping_runs(self) -> int: ...

    def live_runs(self) -> int: ...


class Lifetime:
    def __init__(self, runs: RunCounts, idle_exit_s: float | None) -> None:
        self.end: End | None = None
        self.successor: str | None = None
        """The newest version that has connected, where that is newer than ours."""
        self.visitors = 0
        """Connections, from their first byte until they are closed."""
        self.open_verbs = 0
        self._runs = runs
        self._idle_exit_s = idle_exit_s
        self._drains_since = 0.0
        self._busy_at = time.monotonic()
        self._changed = asyncio.Event()

    async def until_end(self) -> None:
        while self.end is None:
            self._changed.clear()
            self._decide()
            if self.end is None:
                with anyio.move_on_after(self._next_look_s()):
                    await self._changed.wait()

    def finish(self, end: End) -> None:
        self.end = self.end or end
        self._changed.set()

    def hand_over_to(self, version: str) -> None:
        if self.successor is None:
            self._drains_since = time.monotonic()
        self.successor = max(self.successor or version, version, key=as_numbers)
        self._changed.set()

    def leave(self) -> None:
        """One visitor has gone."""
        self.visitors -= 1
        self._busy_at = time.monotonic()
        self._changed.set()

    def look(self) -> None:
        """Decide again now: something may have changed."""
        self._changed.set()

    @property
    def is_closing(self) -> bool:
        """New connections are turned away: they find the next daemon."""
        return self.end is not None or (self.successor is not None and self._is_quiet)

    @property
    def _is_quiet(self) -> bool:
        return self._runs.live_runs() == 0 and self.open_verbs == 0

    def _decide(self) -> None:
        if self.successor is not None and (self._is_quiet or time.monotonic() - self._drains_since > _DRAIN_S):
            self.finish("handed over")
        if self.visitors or self._runs.live_runs() > 0 or self._runs.sleeping_runs() > 0:
            self._busy_at = time.monotonic()
        elif self._idle_exit_s is not None and self._idle_for() >= self._idle_exit_s:
            self.finish("idle")

    def _next_look_s(self) -> float | None:
        if self.successor is not None:
            return _LOOK_DRAINING_S
        if self._idle_exit_s is None or self.visitors:
            return None
        return min(_LOOK_S, max(0.01, self._idle_exit_s - self._idle_for()))

    def _idle_for(self) -> float:
        return time.monotonic() - self._busy_at
