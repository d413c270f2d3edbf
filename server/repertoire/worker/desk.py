"""The doors of one run: events on their way out, calls that wait for their answers, and on replay the answers of the first time.

A call has its path from the place in the body where it is made (paths.py). While there are records left (journal.py) it is answered
from them, with no word to the host; after them it is sent, and the answer comes when it is recorded. Threads that wait share the
socket: one of them reads it for all, and where a loop runs, that does.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ..authoring import ambient, recorded
from ..authoring.doors import EventType
from ..authoring.recorded import CallError
from ..authoring.refusals import NonDeterminism, ResultTooLarge
from ..wire import Answer, Call, Drop, Fault, HostFrame, Idle, Late, More, Page, RawEvent, Record, Recorded, Task, Tick
from . import paths
from .channel import Channel
from .journal import Journal, Reads
from .loop import source
from .outbox import Outbox
from .slots import Slot
from .threads import foreign
from .words import clean, plain

MAX_EVENTS: Final = 10_000
"""Events recorded of one run: beyond it nobody reads them, and they would fill the host's disk."""
_TICK_S: Final = 1.0
"""A sleep at least this long is recorded when it is over, so that it is not slept again."""
_LOOK_AGAIN_S: Final = 0.005
_BLOCKED_S: Final = 0.25
"""A loop that has not looked for so long is blocked; on replay it looks all the time."""
_LOST_S: Final = 60.0
"""How long a replay waits for threads, programs or sockets of the body to make the call that is recorded next."""
_MAX_FAULT_CHARS: Final = 4_000
_TIMERS: Final = "@"
"""Behind a node's prefix: its readings of the loop's clock, which are no readings of its own."""


class Desk:
    """Implements `authoring.doors.Doors` and `loop.Conductor`. Closed when the run ends: what threads say later is dropped."""

    def __init__(self, outbox: Outbox, channel: Channel, task: Task) -> None:
        self._outbox = outbox
        self._channel = channel
        self._task = task
        self._count = 0
        self._open = True
        self._strangers = weakref.WeakSet(foreign())  # what earlier runs left behind: this run is not theirs
        self._changed = threading.Condition()
        self._reading = False
        self._slots: dict[int, Slot] = {}
        self._ids = 0
        self._page: list[Recorded] | None = None
        self._journal = Journal(task.recorded, self._fetch)
        self._reads = Reads()
        self._pending: dict[str, Slot] = {}
        self._answers: deque[tuple[Slot, Answer]] = deque()
        self._clock_at = 0.0
        self._fired_at = -1.0
        self._looked = 0
        self._waited = 0.0
        self._unsettled: paths.Node | None = None
        self._idle_with: list[int] = []
        self.lost: NonDeterminism | None = None
        """Why what the body does now cannot be trusted any more."""
        self.has_waiters = False
        """Set at the end: whether threads of the body still waited for calls."""
        self.committed: str | None = None
        self.reloaded = False
        """Whether the state was loaded anew while the run was parked."""

    # What the body says

    def emit(self, type: EventType, data: dict[str, Any], /) -> None:
        if not self._open or (self._strangers and threading.current_thread() in self._strangers):
            return
        self._count += 1
        if self._count > MAX_EVENTS:
            if self._count == MAX_EVENTS + 1:
                text = f"this run has sent {MAX_EVENTS} events; further ones are not recorded"
                self._put("log", {"level": "warning", "message": text})
            return
        self._put(type, data)

    def warn(self, message: str) -> None:
        self._put("log", {"level": "warning", "message": message})

    def _put(self, type: EventType, data: dict[str, Any]) -> None:
        node = paths.current()
        node.events += 1
        if self._task.told and node.events <= self._task.told.get(node.prefix, 0):
            return
        fit = {key: plain(value, self._task.max_message_bytes) for key, value in data.items()}
        size = sum(len(value) if isinstance(value, str) else 100 for value in fit.values())
        self._outbox.put(RawEvent(type, time.time(), fit, node.prefix, node.events), size)

    # Calls

    def call(self, op: str, args: dict[str, Any], /, label: str = "") -> Any:
        return _json(_value(self._blocked(self._slot(op, args, label))))

    def acall(self, op: str, args: dict[str, Any], /, label: str = "") -> Awaitable[Any]:
        return self._acall(self._slot(op, args, label))

    async def _acall(self, slot: Slot) -> Any:
        return _json(_value(await self._answered(slot)))

    def step(self, label: str, args: Any, perform: Callable[[], Any], /) -> Any:
        slot = self._step_slot(label, args)
        if (known := self._recorded(slot)) is not None:
            return _step_value(known)
        began = time.time()
        try:
            with paths.within(paths.Node(slot.frame.path + ":")):
                value = perform()
            done = _success(slot.frame, began, value, self._task.max_record_bytes)
        except Exception as error:
            self._finish_blocking(slot, _failure(slot.frame, began, error))
            raise
        self._finish_blocking(slot, done)
        return value

    def astep(self, label: str, args: Any, perform: Callable[[], Awaitable[Any]], /) -> Awaitable[Any]:
        return self._astep(self._step_slot(label, args), perform)

    async def _astep(self, slot: Slot, perform: Callable[[], Awaitable[Any]]) -> Any:
        slot = slot.for_this_task()
        if self._journal.replaying:
            self._pending[slot.frame.path] = slot
            if (known := await self._outcome(slot)) is not None:
                return _step_value(known)
            slot = slot.for_this_task()
        began = time.time()
        try:
            with paths.within(paths.Node(slot.frame.path + ":")):
                value = await perform()
            done = _success(slot.frame, began, value, self._task.max_record_bytes)
        except asyncio.CancelledError:
            self._drop(slot)
            raise
        except Exception as error:
            await self._finish(slot, _failure(slot.frame, began, error))
            raise
        await self._finish(slot, done)
        return value

    def step_key(self) -> str:
        path, colon, _ = paths.current().prefix.rpartition(":")
        return f"{self._task.run_id}:{path}" if colon else ""

    async def _finish(self, slot: Slot, frame: Record) -> None:
        slot.frame = frame
        self._send(slot)
        await self._outcome(slot)

    def _finish_blocking(self, slot: Slot, frame: Record) -> None:
        slot.frame = frame
        self._send(slot)
        self._wait(lambda: slot.done)
        _outcome_of(slot)

    def _slot(self, op: str, args: dict[str, Any], label: str) -> Slot:
        self._check()
        try:
            text = json.dumps(args, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"{label or op}: its arguments must be JSON values: {error}") from None
        node = paths.current()
        hashed = recorded.hash_of(op, json.dumps(args, sort_keys=True))
        return Slot(node, Call(self._next_id(), node.next_call(), op, text, hashed, clean(label, 200)))

    def _step_slot(self, label: str, args: Any) -> Slot:
        self._check()
        node = paths.current()
        hashed = recorded.hash_of("step", f"{label}\0{recorded.shape_of(args)}")
        return Slot(node, Record(self._next_id(), node.next_call(), "step", hashed, clean(label, 200)))

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids

    def _check(self) -> None:
        if self.lost is not None:
            raise self.lost
        if not self._open:
            raise RuntimeError("the run has ended")
        if paths.current() is self._unsettled:
            self._unsettled = None

    # Waiting for answers

    def _blocked(self, slot: Slot) -> Answer | Recorded:
        """The call's outcome; this thread waits."""
        if (known := self._recorded(slot)) is not None:
            return known
        self._send(slot)
        if slot.parkable and all(one.parkable for one in self._slots.values()) and not foreign():
            self._say_idle()
        self._wait(lambda: slot.done)
        return _outcome_of(slot)

    def _recorded(self, slot: Slot) -> Answer | Recorded | None:
        """What is recorded of a call that blocks; None: it is to be made."""
        if not self._journal.replaying:
            return None
        if threading.current_thread() is not threading.main_thread() and source.running and self._took_its_turn(slot):
            if slot.outcome is not _LIVE:
                return _outcome_of(slot)
            slot.outcome = None
            return None
        with self._changed:
            self._pass_marks()
            known = self._journal.take(slot.frame.path)
            front = self._journal.front()
            alone = not self._pending and not foreign()
            if known is None and front is not None and alone and not _is_below(front.path, slot.frame.path):
                self._diverge(slot.frame, front)
        if known is not None:
            self._compare(slot.frame, known)
            self._clock_at = max(self._clock_at, known.at)
        return known

    def _took_its_turn(self, slot: Slot) -> bool:
        """A thread beside a loop waits until the loop gives it what is recorded, in its order. False: the loop itself is blocked, perhaps
        by code that waits for this thread."""
        with self._changed:
            if not self._journal.replaying:
                return False
            self._pending[slot.frame.path] = slot
            while not slot.done:
                seen = self._looked
                if not self._open:
                    raise RuntimeError("the run has ended")
                if not self._changed.wait(_BLOCKED_S) and self._looked == seen and not slot.done:
                    self._pending.pop(slot.frame.path, None)
                    return False
            return True

    async def _answered(self, slot: Slot) -> Answer | Recorded:
        slot = slot.for_this_task()
        if self._journal.replaying:
            self._pending[slot.frame.path] = slot
            if (known := await self._outcome(slot)) is not None:
                return known
            slot = slot.for_this_task()
        self._send(slot)
        outcome = await self._outcome(slot)
        assert outcome is not None
        return outcome

    async def _outcome(self, slot: Slot) -> Answer | Recorded | None:
        assert slot.future is not None
        try:
            await slot.future
        except asyncio.CancelledError:
            self._drop(slot)
            raise
        return None if slot.outcome is _LIVE else _outcome_of(slot)

    def _send(self, slot: Slot) -> None:
        frame = slot.frame
        clock: Any = self._reads.take()
        if clock:
            if isinstance(frame, Call):
                frame = Call(frame.id, frame.path, frame.op, frame.args, frame.hash, frame.label, clock)
            else:
                frame = Record(
                    frame.id,
                    frame.path,
                    frame.op,
                    frame.hash,
                    frame.label,
                    frame.result,
                    frame.error,
                    frame.began,
                    clock,
                )
        self._slots[frame.id] = slot
        slot.sent = True
        try:
            self._outbox.send(frame)
        except BaseException:
            del self._slots[frame.id]
            raise

    def _drop(self, slot: Slot) -> None:
        """The body has cancelled this call."""
        frame = slot.frame
        self._pending.pop(frame.path, None)
        self._slots.pop(frame.id, None)
        if self._journal.replaying and not slot.sent:
            known = self._journal.take(frame.path)
            if known is not None:
                if not known.cancelled and self.lost is None:
                    self.lost = NonDeterminism(f"{_named(frame)} had an answer the first time; now the body cancels it")
                return
        if self._open:
            self._outbox.send(Drop(frame.id, frame.path, frame.op, frame.hash, frame.label, self._reads.take()))

    def _wait(self, until: Callable[[], bool]) -> None:
        """Blocks until it is true. One of the waiting threads reads the socket for all."""
        with self._changed:
            while not until():
                if not self._open and threading.current_thread() is not threading.main_thread():
                    raise RuntimeError("the run has ended")
                if self._reading:
                    self._changed.wait()
                    continue
                self._reading = True
                self._changed.release()
                try:
                    frame = self._channel.receive()
                finally:
                    self._changed.acquire()
                    self._reading = False
                self._take(frame)
                self._changed.notify_all()

    def arrived(self) -> None:
        """The loop says that there is something to read."""
        with self._changed:
            if self._reading:  # a thread is at it
                return
            for frame in self._channel.arrived():
                self._take(frame)
            self._changed.notify_all()

    def fileno(self) -> int:
        return self._channel.fileno()

    def _take(self, frame: HostFrame) -> None:
        if isinstance(frame, Page):
            self._page = frame.records
        elif isinstance(frame, Answer):
            slot = self._slots.pop(frame.id, None)
            if slot is None:  # the body has cancelled it meanwhile
                return
            if slot.future is None:
                slot.resolve(frame)
            else:
                self._answers.append((slot, frame))

    def _fetch(self, after: int) -> list[Recorded]:
        self._page = None
        self._outbox.send(More(after))
        self._wait(lambda: self._page is not None)
        return self._page or []

    # Replay, and time

    @property
    def replaying(self) -> bool:
        return self._journal.replaying

    def now(self) -> float:
        """Seconds of the run's clock, as the loop's timers count them. It moves from one thing that happens to the next."""
        return self._clock_at

    def read(self) -> float:
        """The same for timers that the body sets: they count from now, and not from the last thing that happened."""
        prefix = paths.current().prefix + _TIMERS
        known = None
        if self._journal.replaying:
            with self._changed:
                known = self._journal.clock(prefix)
        if known is None:
            known = self._reads.note(prefix, max(self._clock_at, self._real()))
        self._clock_at = max(self._clock_at, known)
        return known

    def interrupted(self) -> None:
        self._clock_at = max(self._clock_at, self._real())

    def _real(self) -> float:
        """On replay the clock stands: what is recorded says how late it is."""
        return self._clock_at if self._journal.replaying else time.monotonic() - self._task.began

    def take(self, live: Callable[[], float], /) -> float:
        """A clock value that the body reads: the recorded one, or `live()`."""
        prefix = paths.current().prefix
        if self._journal.replaying:
            with self._changed:
                known = self._journal.clock(prefix)
            if known is not None:
                return known
        return self._reads.note(prefix, live())

    read_clock = take

    def slept(self, seconds: float) -> None:
        """`time.sleep` of the body: over at once where there are records of what came after it."""
        if self._journal.replaying:
            with self._changed:
                front = self._journal.front()
                if seconds >= _TICK_S and front is not None and front.op == "tick":
                    self._clock_at = max(self._clock_at, front.at)
                    self._journal.pop()  # its own: one that comes after it and was not over is slept
            return
        time.sleep(seconds)
        if seconds >= _TICK_S:
            self._outbox.send(Tick())

    def idle(self, timer: float | None, *, elsewhere: bool) -> float | None:
        """Answers and timers in the order of their times, one after the other: so it was the first time, and so it is on replay."""
        self._looked += 1
        if self._journal.replaying:
            return self._replay(timer, elsewhere)
        if self._go_live():
            return 0
        if self._answers and (timer is None or self._answers[0][1].at <= timer):
            slot, answer = self._answers.popleft()
            if (
                answer.at <= self._fired_at
            ):  # it was on its way while a timer fired: on replay it is to come after that too
                self._outbox.send(Late(answer.n, math.nextafter(self._fired_at, math.inf)))
            self._clock_at = max(self._clock_at, answer.at)
            slot.resolve(answer)
            return 0
        if timer is None:
            if not elsewhere:
                self._tell_idle()
            return None
        left = timer - self._real()
        if left > 0:
            return left
        self._pass_time(timer)
        return 0

    def _replay(self, timer: float | None, elsewhere: bool) -> float | None:
        with self._changed:
            record = self._journal.front()
            if record is not None and record.op == "tick" and timer is not None and timer <= record.at:
                self._clock_at = max(self._clock_at, timer)
                return 0
            self._pass_marks()
            record = self._journal.front()
        if record is None:
            return 0
        if self._unsettled is not None:
            return self._look_again(record)
        if timer is not None and timer < record.at:
            self._clock_at = max(self._clock_at, timer)
            return 0
        slot = None if record.cancelled else self._pending.pop(record.path, None)
        if slot is None:
            if (step := self._begun_around(record.path)) is not None:
                self._give(step, _LIVE)
                return 0
            return self._look_again(record) if elsewhere or foreign() else self._stuck(record)
        self._clock_at = max(self._clock_at, record.at)
        self._waited = 0.0
        self._journal.pop()
        if slot.future is None:
            self._unsettled = slot.node
        self._give(slot, record)
        return 0

    def _begun_around(self, path: str) -> Slot | None:
        """The step that this path is in and that had not ended: it is done again, and meets what is recorded below it."""
        outer, colon, _ = path.rpartition(":")
        while colon:
            if (slot := self._pending.pop(outer, None)) is not None:
                return slot
            outer, colon, _ = outer.rpartition(":")
        return None

    def _pass_time(self, until: float) -> None:
        """A timer's time has come. Of a long sleep it is recorded, so that it is not slept again."""
        if until - self._clock_at >= _TICK_S:
            self._outbox.send(Tick())
        self._clock_at = max(self._clock_at, until)
        self._fired_at = max(self._fired_at, until)

    def settled(self, node: paths.Node) -> None:
        """The work of this node, in a thread, has ended."""
        if self._unsettled is node:
            self._unsettled = None

    def _go_live(self) -> bool:
        """Everything recorded has been given: what was called and has no record is called now, in the order of the body."""
        with self._changed:
            pending, self._pending = self._pending, {}
        for slot in pending.values():
            self._give(slot, _LIVE)
        return bool(pending)

    def _give(self, slot: Slot, record: Recorded | BaseException) -> None:
        if isinstance(record, Recorded):
            try:
                self._compare(slot.frame, record)
            except NonDeterminism as error:
                record = error
        with self._changed:
            slot.resolve(record)
            self._changed.notify_all()

    def _look_again(self, record: Recorded) -> float:
        """Something outside the run's calls may still lead to the next recorded one."""
        self._waited += _LOOK_AGAIN_S
        if self._waited > _LOST_S:
            return self._stuck(record)
        return _LOOK_AGAIN_S

    def _stuck(self, record: Recorded) -> float:
        self._unsettled = None
        self.lost = NonDeterminism(
            f"the body waits, but what is recorded next is {_named(record)}, which it has not called", hint=_DETERMINISM
        )
        pending, self._pending = self._pending, {}
        for slot in pending.values():
            self._give(slot, self.lost)
        if not pending:
            raise self.lost
        return 0

    def _pass_marks(self) -> None:
        """Records that answer no call: sleeps that were over, and states that were loaded anew."""
        while (front := self._journal.front()) is not None and front.op in ("tick", "clock", "wake"):
            self._journal.pop()
            if front.op == "wake" and front.result is not None:
                ambient.reload(front.result)
                self.reloaded = True
                self.committed = front.result

    def _compare(self, frame: Call | Record, record: Recorded) -> None:
        if frame.op == record.op and frame.hash == record.hash:
            return
        self._diverge(frame, record)

    def _diverge(self, frame: Call | Record, record: Recorded | None) -> None:
        was = "nothing" if record is None else _named(record)
        self.lost = NonDeterminism(
            f"call {frame.path} was recorded as {was}, and came as {_named(frame)}", hint=_DETERMINISM
        )
        raise self.lost

    def _tell_idle(self) -> None:
        if self._slots and all(slot.parkable for slot in self._slots.values()) and not foreign():
            self._say_idle()

    def _say_idle(self) -> None:
        ids = sorted(self._slots)
        if ids == self._idle_with:
            return
        self._idle_with = ids
        try:
            state = None if self._task.state is None else ambient.stored_form()
        except Exception:  # a state that cannot be stored now: the run keeps its worker, and says so when it ends
            return
        self._outbox.send(Idle(ids, state))

    # The end

    def commit(self, state: str, /) -> None:
        if self._task.state is None:
            raise RuntimeError("commit_state(): this run was started without session state")
        try:
            self.call("commit_state", {"state": state})
        except (CallError, ValueError) as error:
            raise RuntimeError(f"commit_state(): {error}") from None
        self.committed = state

    def check_end(self) -> None:
        """Raises NonDeterminism when something is recorded that the body did not do this time."""
        if self.lost is not None:
            raise self.lost
        with self._changed:
            self._pass_marks()
            front = self._journal.front() if self._journal.replaying else None
        if front is not None:
            raise NonDeterminism(f"the body has ended without {_named(front)}, which is recorded", hint=_DETERMINISM)

    def close(self) -> None:
        with self._changed:
            self._open = False
            self.has_waiters = self._reading or any(slot.future is None for slot in self._slots.values())
            self._changed.notify_all()


_LIVE: Final = RuntimeError("not recorded")
"""The outcome that says: make the call."""

_DETERMINISM: Final = (
    "What decides which calls are made must be the same each time: arguments, results of calls, session_state, step(), "
    "now(), time and random. Put anything else (files, networks, environment) into a step()."
)


def _is_below(path: str, step: str) -> bool:
    """Whether it was called within this step: that had begun then, but not ended."""
    return path.startswith(f"{step}:")


def _outcome_of(slot: Slot) -> Answer | Recorded:
    if isinstance(slot.outcome, BaseException):
        raise slot.outcome
    assert slot.outcome is not None
    return slot.outcome


def _named(call: Call | Record | Recorded) -> str:
    return f"{call.op} {call.label or ''}".strip() + f" (call {call.path}, arguments {call.hash})"


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _value(outcome: Any) -> str | None:
    """The result's text. Raises what the call raised."""
    if outcome.error is not None:
        raise _exception(outcome.error)
    text: str | None = outcome.result
    return text


def _step_value(outcome: Any) -> Any:
    if outcome.error is not None and outcome.result is not None:
        raise recorded.revive(outcome.result)
    text = _value(outcome)
    return None if text is None else recorded.decode(text)


def _exception(fault: Fault) -> BaseException:
    return CallError(fault.message, code=fault.code, type=fault.type, hint=fault.hint)


def _success(frame: Any, began: float, value: Any, most: int) -> Record:
    text = recorded.encode(value)
    if len(text) > most:
        raise ResultTooLarge(
            f"the result of the step {frame.label} is {len(text)} bytes of JSON; at most {most} are recorded",
            hint="Let the step write it to a file, and return the path.",
        )
    return Record(frame.id, frame.path, "step", frame.hash, frame.label, text, None, began)


def _failure(frame: Any, began: float, error: Exception) -> Record:
    fault = Fault("exception", type(error).__name__, clean(str(error), _MAX_FAULT_CHARS))
    return Record(frame.id, frame.path, "step", frame.hash, frame.label, recorded.describe(error), fault, began)
