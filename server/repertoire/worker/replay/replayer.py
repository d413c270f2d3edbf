"""A body that is begun again: what it calls is compared with what is recorded, and answered by it, with no word to the host.

A call that blocks the only thread takes its record at once. Where there are several threads they wait for their turns (line_up.py).
A call that is awaited, or made by a thread beside a loop, waits here until the loop has nothing else to do and its record is the next
(`step_on`). What has no record is made when all records are used up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, NoReturn

from ...values.refusals import NonDeterminism
from ...wire import Call, Record, Recorded
from ..link.threads import foreign
from .call_paths import Node
from .event_loop import source
from .exchange import Exchange
from .journal_reader import Journal
from .pending_call import LIVE, Outcome, Slot
from .thread_queue import LineUp
from .timeline import Timeline

_LOOK_AGAIN_S: Final = 0.005
_BLOCKED_S: Final = 0.25
"""A loop that has not looked for so long is blocked; on replay it looks all the time."""
LOST_S: Final = 60.0
"""How long a replay waits for threads, programs or sockets of the body to make the call that is recorded next."""
_DETERMINISM: Final = (
    "What decides which calls are made must be the same each time. Arguments, results of calls, session_state, step(), now() are, and so "
    "are the modules time, random and uuid as this file imports them, and numpy's and torch's global generators. Put anything else into a "
    "step(): files, networks, the environment, generators without a seed, secrets, os.urandom, the order of a set of objects."
)


class Replay:
    """`reload` hears of a state that was loaded anew while the run was parked."""

    def __init__(self, journal: Journal, exchange: Exchange, timeline: Timeline, reload: Callable[[str], None]) -> None:
        self._journal = journal
        self._exchange = exchange
        self._timeline = timeline
        self._reload = reload
        self._expected: dict[str, Slot] = {}
        self._looked = 0
        self._since = 0.0
        self._unsettled: Node | None = None
        self.formerly: dict[int, Callable[[], str]] = {}
        """Of steps that are compared: the hash that the first versions gave them."""
        self._line = LineUp(exchange.changed, self._front)
        self.lost: NonDeterminism | None = None
        """Why what the body does now cannot be trusted any more."""

    @property
    def going_on(self) -> bool:
        return self._journal.replaying

    def check(self) -> None:
        if self.lost is not None:
            raise self.lost

    def lose(self, why: str) -> NoReturn:
        """Raises NonDeterminism, here and from now on."""
        self.lost = NonDeterminism(why, hint=_DETERMINISM)
        raise self.lost

    def settled(self, node: Node) -> None:
        """What a thread was given has led to its next call, or its work has ended."""
        if self._unsettled is node:
            self._unsettled = None
        self._line.settled(node)

    def check_end(self) -> None:
        """Raises NonDeterminism when something is recorded that the body did not do this time."""
        self.check()
        with self._exchange.changed:
            front = self._front()
        if front is not None:
            raise NonDeterminism(f"the body has ended without {_named(front)}, which is recorded", hint=_DETERMINISM)

    # Calls

    def known(self, slot: Slot) -> Outcome | None:
        """What is recorded of a call that blocks; None: it is to be made."""
        if not self.going_on:
            return None
        in_a_thread = threading.current_thread() is not threading.main_thread()
        beside_a_loop = in_a_thread and source.running and slot.future is None
        if beside_a_loop and self._took_its_turn(slot):
            if slot.outcome is not LIVE:
                return slot.ended()
            slot.outcome = None
            return None
        return self._taken(slot)

    async def known_elsewhere(self, slot: Slot) -> Outcome | None:
        """The same of a call that is awaited in another thread's loop."""
        await self._line.wait_async(slot.frame.path)
        return self._taken(slot)

    def _taken(self, slot: Slot) -> Recorded | None:
        frame = slot.frame
        with self._exchange.changed:
            if not source.running and slot.future is None and foreign():
                self._line.wait(frame.path)
            self._pass_marks()
            known = self._journal.take(frame.path)
            if known is not None and foreign():
                self._line.gave(slot.node)
            front = self._journal.front()
            alone = not self._expected and not foreign()
            if known is None and front is not None and alone and not _is_below(front.path, frame.path):
                self._diverge(frame, front)
        if known is not None:
            self._compare(frame, known)
            self._timeline.move(known.at)
        return known

    def _took_its_turn(self, slot: Slot) -> bool:
        """A thread beside a loop waits until the loop gives it what is recorded, in its order. False: the loop itself is blocked, perhaps
        by code that waits for this thread."""
        changed = self._exchange.changed
        with changed:
            if not self.going_on:
                return False
            self.expect(slot)
            while not slot.done:
                seen = self._looked
                self._exchange.check_open()
                if not changed.wait(_BLOCKED_S) and self._looked == seen and not slot.done:
                    self.forget(slot)
                    return False
            return True

    def expect(self, slot: Slot) -> None:
        """It waits to be given its record when it is the next, or LIVE."""
        self._expected[slot.frame.path] = slot

    def forget(self, slot: Slot) -> None:
        self._expected.pop(slot.frame.path, None)

    def dropped(self, slot: Slot) -> bool:
        """Whether it is recorded of this call, which the body cancels, how it ended."""
        if slot.sent or not self.going_on:
            return False
        known = self._journal.take(slot.frame.path)
        if known is not None and not known.cancelled and self.lost is None:
            self.lost = NonDeterminism(f"{_named(slot.frame)} had an answer the first time; now the body cancels it")
        return known is not None

    # Turns: a loop has nothing else to do

    def looked(self) -> None:
        self._looked += 1

    def step_on(self, timer: float | None, *, elsewhere: bool) -> float:
        """Give what is recorded next, or let the time come that the next timer waits for. As `loop.Conductor.idle`."""
        with self._exchange.changed:
            record = self._journal.front()
            if record is not None and record.op == "tick" and timer is not None and timer <= record.at:
                self._timeline.move(timer)
                return 0
            self._pass_marks()
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
        slot = None if record.cancelled else self._expected.pop(record.path, None)
        if slot is None:
            if (step := self._begun_around(record.path)) is not None:
                self._give(step, LIVE)
                return 0
            return self._look_again(record) if elsewhere or foreign() else self._stuck(record)
        self._timeline.move(record.at)
        self._since = 0.0
        self._journal.pop()
        if slot.future is None:
            self._unsettled = slot.node
        self._give(slot, record)
        return 0

    def go_live(self) -> bool:
        """Everything recorded has been given: what was called and has no record is called now, in the order of the body."""
        with self._exchange.changed:
            expected, self._expected = self._expected, {}
        for slot in expected.values():
            self._give(slot, LIVE)
        return bool(expected)

    def _begun_around(self, path: str) -> Slot | None:
        """The step that this path is in and that had not ended: it is done again, and meets what is recorded below it."""
        outer, colon, _ = path.rpartition(":")
        while colon:
            if (slot := self._expected.pop(outer, None)) is not None:
                return slot
            outer, colon, _ = outer.rpartition(":")
        return None

    def _give(self, slot: Slot, outcome: Recorded | BaseException) -> None:
        if isinstance(outcome, Recorded):
            try:
                self._compare(slot.frame, outcome)
            except NonDeterminism as error:
                outcome = error
        with self._exchange.changed:
            slot.resolve(outcome)
            self._exchange.changed.notify_all()

    def _look_again(self, record: Recorded) -> float:
        """Something outside the run's calls may still lead to the next recorded one."""
        self._since = self._since or time.monotonic()
        return _LOOK_AGAIN_S if time.monotonic() - self._since <= LOST_S else self._stuck(record)

    def _stuck(self, record: Recorded) -> float:
        self._unsettled = None
        self.lost = NonDeterminism(
            f"the body waits, but what is recorded next is {_named(record)}, which it has not called", hint=_DETERMINISM
        )
        expected, self._expected = self._expected, {}
        for slot in expected.values():
            self._give(slot, self.lost)
        if not expected:
            raise self.lost
        return 0

    def _front(self) -> Recorded | None:
        """The call that is recorded next."""
        if not self.going_on:
            return None
        self._pass_marks()
        return self._journal.front()

    def _pass_marks(self) -> None:
        """Records that answer no call: sleeps that were over, and states that were loaded anew."""
        while (front := self._journal.front()) is not None and front.op in ("tick", "clock", "wake"):
            self._journal.pop()
            if front.op == "wake" and front.result is not None:
                self._reload(front.result)

    def _compare(self, frame: Call | Record, record: Recorded) -> None:
        formerly = self.formerly.pop(frame.id, None)
        if frame.op == record.op and (frame.hash == record.hash or (formerly and formerly() == record.hash)):
            return
        self._diverge(frame, record)

    def _diverge(self, frame: Call | Record, record: Recorded) -> None:
        self.lost = NonDeterminism(
            f"call {frame.path} was recorded as {_named(record)}, and came as {_named(frame)}", hint=_DETERMINISM
        )
        raise self.lost


def _is_below(path: str, step: str) -> bool:
    """Whether it was called within this step: that had begun then, but not ended."""
    return path.startswith(f"{step}:")


def _named(call: Call | Record | Recorded) -> str:
    return f"{call.op} {call.label or ''}".strip() + f" (call {call.path}, arguments {call.hash})"
