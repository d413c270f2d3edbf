"""JournalReader: fetches a run's records from the host in pages and gives each record once; used by Replay and Timeline.

`front` is the next record in the order in which calls ended. `take` gives the record of a path, wherever it is (replay, rule 4).
ClockReadings is the opposite direction: values read from clocks that the next frame to the host carries.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ...wire import Recorded

_AHEAD = 2
"""Records that are read ahead: clock values read after one record may be stored with the next."""


class JournalReader:
    """Reads `count` records, one page at a time, with `fetch(after)`. Calls `last` just before the last record is used.

    Calls `reload` with a state that was loaded anew while the run was parked (replay, rule 9).
    """

    def __init__(
        self,
        count: int,
        fetch: Callable[[int], list[Recorded]],
        last: Callable[[], None],
        reload: Callable[[str], None],
    ) -> None:
        self._before_last = last
        self._reload = reload
        self._left = count
        self._unread = count
        self._fetch = fetch
        self._last = 0
        self._ahead: deque[Recorded] = deque()
        self._clock: dict[str, deque[list[float]]] = {}

    @property
    def is_replaying(self) -> bool:
        """True if records are left: the body is still in the part that it has executed before."""
        return self._left > 0

    def front(self) -> Recorded | None:
        """The first record that is not used yet."""
        while len(self._ahead) < _AHEAD and self._read_page():
            pass
        return self._ahead[0] if self._ahead else None

    def front_call(self) -> Recorded | None:
        """The next record that belongs to a call. None: no record is left."""
        if not self.is_replaying:
            return None
        self.pass_marks()
        return self.front()

    def pass_marks(self) -> None:
        """Use up the records that answer no call: sleeps that are over, and states that were loaded anew."""
        while (front := self.front()) is not None and front.op in ("tick", "clock", "wake"):
            self.pop()
            if front.op == "wake" and front.result is not None:
                self._reload(front.result)

    def pop(self) -> Recorded:
        self.front()
        self._use_one()
        return self._ahead.popleft()

    def take(self, path: str) -> Recorded | None:
        """Use the record of this path, wherever it is. None: the call had not ended. Most often it is the front."""
        at = 0
        while True:
            while at < len(self._ahead):
                if self._ahead[at].path == path:
                    record = self._ahead[at]
                    del self._ahead[at]
                    self._use_one()
                    self.front()
                    return record
                at += 1
            if not self._read_page():
                return None
            at = 0  # another thread may have taken records while the page was fetched

    def peek(self, path: str) -> Recorded | None:
        """The record of this path, which stays where it is. None: the call had not ended. It reads the journal up to that record."""
        at = 0
        while True:
            ahead = list(self._ahead)
            if (known := next((one for one in ahead[at:] if one.path == path), None)) is not None:
                return known
            at = len(ahead)
            if not self._read_page():
                return None

    def clock(self, prefix: str) -> float | None:
        """The next recorded clock value of this prefix. None: no more are recorded."""
        while not (known := self._clock.get(prefix)):
            if not self._read_page():
                return None
        run = known[0]
        run[1] -= 1
        if run[1] <= 0:
            known.popleft()
            if not known:
                del self._clock[prefix]
        return run[0]

    def _use_one(self) -> None:
        if self._left == 1:
            self._before_last()
        self._left -= 1

    @property
    def has_readings(self) -> bool:
        """True if something is recorded that was read before the last call, and not yet read again."""
        return bool(self._clock)

    def has_readings_of(self, kind: str) -> bool:
        """True if clock values whose prefix ends with `kind` are left, as far as the journal is read. After the replay all of it is."""
        return any(prefix.endswith(kind) for prefix in self._clock)

    def _read_page(self) -> bool:
        if self._unread <= 0:
            return False
        after = self._last
        page = self._fetch(after)
        if self._last != after:  # another thread has fetched the same page in the meantime
            return True
        if not page:  # there are fewer records than counted, because some were withdrawn
            self._left -= self._unread
            self._unread = 0
            return False
        self._unread -= len(page)
        self._last = page[-1].n
        self._ahead.extend(page)
        for record in page:
            for prefix, *runs in record.clock:
                values = self._clock.setdefault(prefix, deque())
                values.extend([runs[i], runs[i + 1]] for i in range(0, len(runs), 2))
        return True


class ClockReadings:
    """Clock values read since the last frame. The next frame carries them: nothing outside the worker depends on them before.

    After many readings in a row the clock moves in milliseconds, and equal values are counted, because a body may read it in a loop.
    """

    EXACT = 256
    STEP_S = 0.001

    def __init__(self) -> None:
        self._runs: dict[str, list[float]] = {}
        self._count = 0
        self._lock = threading.RLock()  # a signal handler of the body may read a clock, too

    def note(self, prefix: str, value: float) -> float:
        with self._lock:
            return self._append(prefix, value)

    def note_all(self, prefix: str, values: Iterable[float]) -> None:
        """Note several values; either all or none of them travel with a frame."""
        with self._lock:
            for value in values:
                self._append(prefix, value)

    def _append(self, prefix: str, value: float) -> float:
        runs = self._runs.setdefault(prefix, [])
        self._count += 1
        if len(runs) >= 2 * self.EXACT and 0 <= value - runs[-2] < self.STEP_S:
            runs[-1] += 1
            return runs[-2]
        if runs and runs[-2] == value:
            runs[-1] += 1
        else:
            runs += [value, 1]
        return value

    def take(self) -> list[list[float | str]]:
        """All noted values by prefix, for a frame: [prefix, value, how often, value, ...]."""
        if not self._count:
            return []
        with self._lock:
            taken: list[list[float | str]] = [[prefix, *runs] for prefix, runs in self._runs.items()]
            self._runs.clear()
            self._count = 0
            return taken

    def give_back(self, taken: list[list[Any]]) -> None:
        """Put back values whose frame could not be sent."""
        with self._lock:
            for prefix, *runs in taken:
                self._runs[prefix] = runs + self._runs.get(prefix, [])
                self._count += 1
