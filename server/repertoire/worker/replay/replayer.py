"""Replay: compares the calls of a body that is executed again with their records, and gives the recorded outcomes; used by BodyCalls.

The rules are in the package's theory of operation (`replay/__init__.py`). Here are rule 4 (`find_outcome`, `step_on`) and
rule 6 (`go_live`, `_pop_step_around`); rule 3 is in `comparison`. The host is not asked for anything but pages of the journal.
"""

from __future__ import annotations

import threading
from typing import Final

from ...values.refusals import NonDeterminism
from ...wire import Recorded
from ..link.threads import foreign
from .call_paths import Node
from .comparison import DETERMINISM, Comparison, describe
from .event_loop import active
from .exchange import Exchange
from .journal_reader import JournalReader
from .patience import Patience
from .pending_call import LIVE, Outcome, PendingCall
from .thread_queue import ThreadQueue
from .timeline import Timeline

_LOOK_AGAIN_S: Final = 0.005
_BLOCKED_S: Final = 0.25
"""A loop that has not asked for its next event for so long is blocked. On replay a running loop asks all the time."""


class Replay:
    """One run's replay."""

    def __init__(self, journal: JournalReader, exchange: Exchange, timeline: Timeline) -> None:
        self._journal = journal
        self._exchange = exchange
        self._timeline = timeline
        self.comparison = Comparison()
        self._expected: dict[str, PendingCall] = {}
        self._looks = 0
        self._patience: Patience | None = None
        self._unsettled: Node | None = None
        self._queue = ThreadQueue(exchange.changed, journal.front_call)

    @property
    def is_replaying(self) -> bool:
        return self._journal.is_replaying

    def on_settled(self, node: Node) -> None:
        """Called when the outcome given to a thread has led to the thread's next call, or its work has ended (rule 7)."""
        if self._unsettled is node:
            self._unsettled = None
        self._queue.on_settled(node)

    def check_end(self) -> None:
        """Raises NonDeterminism when there is a record left whose call the body has not made."""
        self.comparison.check()
        with self._exchange.changed:
            front = self._journal.front_call()
        if front is not None:
            raise NonDeterminism(f"the body has ended without {describe(front)}, which is recorded", hint=DETERMINISM)

    # Calls

    def find_outcome(self, pending: PendingCall) -> Outcome | None:
        """The recorded outcome of a call that blocks. None: there is no record, so the call must be made."""
        if not self.is_replaying:
            return None
        in_a_thread = threading.current_thread() is not threading.main_thread()
        beside_a_loop = in_a_thread and active.is_loop_running and pending.future is None
        if beside_a_loop and self._wait_for_loop(pending):
            if pending.outcome is not LIVE:
                return pending.get_outcome()
            pending.outcome = None
            return None
        return self._take_record(pending)

    async def find_outcome_elsewhere(self, pending: PendingCall) -> Outcome | None:
        """The same for a call that is awaited in another thread's loop (rule 4d)."""
        await self._queue.wait_async(pending.frame.path)
        return self._take_record(pending)

    def _take_record(self, pending: PendingCall) -> Recorded | None:
        frame = pending.frame
        with self._exchange.changed:
            if not active.is_loop_running and pending.future is None and foreign():
                self._queue.wait(frame.path)
            self._journal.pass_marks()
            known = self._journal.take(frame.path)
            if known is not None and foreign():
                self._queue.on_given(pending.node)
            front = self._journal.front()
            alone = not self._expected and not foreign()
            if known is None and front is not None and alone and not _is_within(front.path, frame.path):
                self.comparison.diverge(frame, front)
        if known is not None:
            self.comparison.compare(frame, known)
            self._timeline.move(known.at)
        return known

    def _wait_for_loop(self, pending: PendingCall) -> bool:
        """Block a thread beside a loop until the loop gives it an outcome (rule 4c).

        False: the loop itself is blocked, perhaps by code that waits for this thread.
        """
        changed = self._exchange.changed
        with changed:
            if not self.is_replaying:
                return False
            self.expect(pending)
            while not pending.done:
                seen = self._looks
                self._exchange.check_open()
                if not changed.wait(_BLOCKED_S) and self._looks == seen and not pending.done:
                    self.forget(pending)
                    return False
            return True

    def peek(self, path: str) -> Recorded | None:
        """The record of a call that is made now, before its turn has come."""
        with self._exchange.changed:
            return self._journal.peek(path) if self.is_replaying else None

    def expect(self, pending: PendingCall) -> None:
        """From now on the call waits for its record, or for LIVE."""
        self._expected[pending.frame.path] = pending

    def forget(self, pending: PendingCall) -> None:
        self._expected.pop(pending.frame.path, None)

    def take_cancelled(self, pending: PendingCall) -> bool:
        """Take the record of a call that the body cancels. False: it has none.

        If the record holds an answer, this is a disagreement: the body had not cancelled the call the first time.
        """
        if pending.is_sent or not self.is_replaying:
            return False
        known = self._journal.take(pending.frame.path)
        if known is not None and not known.cancelled and self.comparison.lost is None:
            self.comparison.lost = NonDeterminism(
                f"{describe(pending.frame)} had an answer the first time; now the body cancels it"
            )
        return known is not None

    # Called when a loop has nothing else to do

    def count_look(self) -> None:
        """The loop has asked for its next event, so it is not blocked."""
        self._looks += 1

    def step_on(self, timer: float | None, *, elsewhere: bool) -> float:
        """Give the next recorded outcome, or move the clock to the next timer (rule 5). Parameters and result as `Conductor.on_idle`."""
        with self._exchange.changed:
            record = self._journal.front()
            if record is not None and record.op == "tick" and timer is not None and timer <= record.at:
                self._timeline.move(timer)
                return 0
            self._journal.pass_marks()
            record = self._journal.front()
        if record is None:
            return 0
        if self._unsettled is not None:
            return self._look_again(record)
        if timer is not None and timer < record.at:
            self._timeline.move(timer)
            return 0
        return self._give_next(record, elsewhere=elsewhere)

    def _give_next(self, record: Recorded, *, elsewhere: bool) -> float:
        pending = None if record.cancelled else self._expected.pop(record.path, None)
        if pending is None:
            if (step := self._pop_step_around(record.path)) is not None:
                self._give(step, LIVE)
                return 0
            if self._exchange.has_streams:  # rule 11
                return _LOOK_AGAIN_S
            return self._look_again(record) if elsewhere or foreign() else self._stuck(record)
        self._timeline.move(record.at)
        self._patience = None
        self._journal.pop()
        if pending.future is None:
            self._unsettled = pending.node
        self._give(pending, record)
        return 0

    def go_live(self) -> bool:
        """All records are used: let the waiting calls be made, in the order in which the body made them. False: no call waits."""
        with self._exchange.changed:
            expected, self._expected = self._expected, {}
        for pending in expected.values():
            self._give(pending, LIVE)
        return bool(expected)

    def _pop_step_around(self, path: str) -> PendingCall | None:
        """The waiting step that this path is inside of, if there is one. It had not ended, so it is performed again (rule 6)."""
        outer, colon, _ = path.rpartition(":")
        while colon:
            if (pending := self._expected.pop(outer, None)) is not None:
                return pending
            outer, colon, _ = outer.rpartition(":")
        return None

    def _give(self, pending: PendingCall, outcome: Recorded | BaseException) -> None:
        if isinstance(outcome, Recorded):
            try:
                self.comparison.compare(pending.frame, outcome)
            except NonDeterminism as error:
                outcome = error
        with self._exchange.changed:
            pending.resolve(outcome)
            self._exchange.changed.notify_all()

    def _look_again(self, record: Recorded) -> float:
        """Wait a little: a thread, program or socket may still lead to the next recorded call."""
        if self._patience is None:
            self._patience = Patience()
        return self._stuck(record) if self._patience.is_over() else _LOOK_AGAIN_S

    def _stuck(self, record: Recorded) -> float:
        self._unsettled = None
        self.comparison.lost = NonDeterminism(
            f"the body waits, but what is recorded next is {describe(record)}, which it has not called",
            hint=DETERMINISM,
        )
        expected, self._expected = self._expected, {}
        for pending in expected.values():
            self._give(pending, self.comparison.lost)
        if not expected:
            raise self.comparison.lost
        return 0


def _is_within(path: str, step: str) -> bool:
    """True if the path is inside this step, which had begun but not ended."""
    return path.startswith(f"{step}:")
