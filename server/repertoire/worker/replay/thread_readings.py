"""ThreadReadings: records what a thread of a body learns of other threads, and gives it again on replay; used by `thread_patches`.

Some results depend on the speed of threads: which future is completed next, which are done, whether a queue is empty, who puts and gets
first. Each node has its own sequence of such readings, recorded like readings of a clock (replay, rule 7).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from ...authoring.door import AIO
from . import call_paths
from .exchange import Exchange
from .journal_reader import JournalReader
from .patience import Patience
from .replayer import Replay

_SEEN: Final = "#"
_TURNS: Final = "%"
"""One of them is added to a node's prefix, so that these readings are apart from the node's readings of clocks."""
_LOOK_S: Final = 0.002


class ThreadReadings:
    """The readings of one run. A method acts for the node of the calling thread."""

    def __init__(self, journal: JournalReader, exchange: Exchange, replay: Replay) -> None:
        self._journal = journal
        self._exchange = exchange
        self._replay = replay

    def take_recorded(self) -> float | None:
        """The node's next recorded reading. None: no more are recorded."""
        return self._take(_SEEN)

    def note(self, *values: float) -> None:
        self._note(_SEEN, *values)

    def take_turn(self) -> float | None:
        """The node's next recorded turn at a queue. None: no more are recorded."""
        return self._take(_TURNS)

    def note_turn(self, value: float) -> None:
        self._note(_TURNS, value)

    def has_turns(self) -> bool:
        """True while recorded turns are left, of whatever node: this run has not come as far as the first time."""
        with self._exchange.changed:
            return self._journal.is_replaying or self._journal.has_readings_of(_TURNS)

    def _take(self, kind: str) -> float | None:
        self._replay.comparison.check()
        if not (self._journal.is_replaying or self._journal.has_readings):
            return None
        with self._exchange.changed:
            return self._journal.clock(call_paths.current().prefix + kind)

    def _note(self, kind: str, *values: float) -> None:
        self._exchange.readings.note_all(call_paths.current().prefix + kind, values)

    def prefix(self) -> str:
        return call_paths.current().prefix

    def in_step(self) -> bool:
        return ":" in call_paths.current().prefix

    def begin_wait(self) -> None:
        """This thread now waits for others, so the next thread in the queue may go on (replay, rule 7)."""
        if self._journal.is_replaying:
            self._replay.on_settled(call_paths.current())

    def wait_until(self, true: Callable[[], Any], what: str) -> None:
        """Wait until other threads have come as far as the first time. Raises NonDeterminism when Patience is over."""
        self.begin_wait()
        patience = Patience()
        while not true():
            self._exchange.check_open()
            self._replay.comparison.check()
            if patience.is_over():
                self._replay.comparison.lose(f"this time a thread waits for {what} in vain")
            time.sleep(_LOOK_S)


class _Now:
    readings: ThreadReadings | None = None


_now = _Now()


def begin(readings: ThreadReadings | None) -> None:
    _now.readings = readings


def readings_of_body(depth: int = 2) -> ThreadReadings | None:
    """The run's readings, if the function that asks was called by the text of a workflow. `depth` is the number of frames up to it."""
    if _now.readings is None:
        return None
    frame = sys._getframe(depth)
    if AIO not in frame.f_builtins:
        return None
    return _now.readings if call_paths.has_place(threading.current_thread()) else None


def begin_wait() -> None:
    """This thread now waits for others, in a call of the workflow's text or of a library."""
    if _now.readings is not None and call_paths.has_place(threading.current_thread()):
        _now.readings.begin_wait()
