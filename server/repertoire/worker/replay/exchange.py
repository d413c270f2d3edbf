"""Calls that are with the host, and what comes back for them.

One socket, and any number of threads and loops that wait for answers on it:

1. Only one thread reads at a time (`_reading`). A thread that waits reads when nobody else does; a loop that has nothing to do watches
   the socket and reads what is there.
2. Whoever reads takes everything that has arrived, and gives each answer to its call, whoever waits for it.
3. A thread that waits is woken whenever something was read, or the reader has left: then another one reads. Threads go on in the order
   in which their answers were recorded.
4. An answer for a coroutine of the main thread is kept until it is its turn (turns.py), and that loop is woken. One for a coroutine of
   a loop in another thread is given to that loop at once.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from ...authoring import ambient
from ...wire import Answer, Drop, HostFrame, Idle, More, Page, Recorded, WorkerFrame
from ..link.channel import Channel
from ..link.outbox import Outbox
from ..link.threads import foreign
from .journal_reader import ClockReadings
from .pending_call import Outcome, PendingCall

_ENDED: Final = "the run has ended"


class Exchange:
    """Of one run. Closed when it ends: threads that still wait are told so."""

    def __init__(self, outbox: Outbox, channel: Channel, *, has_state: bool) -> None:
        self.changed = threading.Condition()
        """Guards what is known of the run's calls, here and in the journal; told of everything that threads wait for."""
        self.readings = ClockReadings()
        self.answers: deque[tuple[PendingCall, Answer]] = deque()
        """For coroutines, in the order in which they came."""
        self.open = True
        self.has_waiters = False
        """Set at the end: whether threads of the body still waited for calls."""
        self._outbox = outbox
        self._channel = channel
        self._has_state = has_state
        self._ids = itertools.count(1)
        self._pending: dict[int, PendingCall] = {}
        self._sends = threading.RLock()
        """Held from where the clock's readings are taken until their frame is sent: no later frame may be there without them."""
        self._ready: deque[PendingCall] = deque()
        """Threads whose answers are here, in the order of those."""
        self._reading = False
        self._page: list[Recorded] | None = None
        self._idle_with: list[int] = []

    def next_id(self) -> int:
        return next(self._ids)

    def check_open(self) -> None:
        if not self.open:
            raise RuntimeError(_ENDED)

    # To the host

    def tell(self, frame: WorkerFrame) -> None:
        """What has no answer."""
        self._outbox.send(frame)

    def send(self, pending: PendingCall) -> None:
        number = pending.frame.id
        with self._sends:
            if clock := self.readings.take():
                pending.frame = msgspec.structs.replace(pending.frame, clock=clock)
            self._pending[number] = pending
            pending.is_sent = True
            try:
                self._outbox.send(pending.frame)
            except BaseException:  # whatever it was, nothing was sent that could be answered
                del self._pending[number]
                self.readings.give_back(clock)
                raise

    def forget(self, pending: PendingCall) -> None:
        """Its answer, if one comes, is nobody's."""
        self._pending.pop(pending.frame.id, None)

    def drop(self, pending: PendingCall) -> None:
        """The body has cancelled this call."""
        if self.open:
            frame = pending.frame
            with self._sends:
                self.tell(Drop(frame.id, frame.path, frame.op, frame.hash, frame.label, self.readings.take()))

    def fetch(self, after: int) -> list[Recorded]:
        """The journal's page after this number. Threads may ask for the same one; what comes twice is of an earlier number then."""

        def is_here() -> bool:
            return self._page is not None and (not self._page or self._page[0].n > after)

        self._page = None
        self.tell(More(after))
        self._wait(is_here)
        return self._page or []

    def tell_idle(self) -> None:
        """If all calls may take days and nothing else goes on, the host may park the run."""
        all_pending = list(self._pending.values())  # at once: other threads make calls
        if all_pending and all(pending.is_parkable for pending in all_pending) and not foreign():
            self._tell_idle()

    def _tell_idle(self) -> None:
        ids = sorted(self._pending)
        if ids == self._idle_with:
            return
        self._idle_with = ids
        try:
            state = ambient.stored_form() if self._has_state else None
        except Exception:  # a state that cannot be stored now: the run keeps its worker, and says so when it ends
            return
        self.tell(Idle(ids, state))

    # From the host

    def wait_for(self, pending: PendingCall) -> Outcome:
        """What a call that was sent came to; blocks this thread."""
        self._wait(lambda: pending.done)
        with self.changed:
            while self.open and self._ready and self._ready[0] is not pending:
                self.changed.wait()
        return pending.get_outcome()

    def leave(self, pending: PendingCall) -> None:
        """Its thread goes on: with its answer, or without one because something was raised in it."""
        with self.changed:
            self._pending.pop(pending.frame.id, None)
            if pending in self._ready:
                self._ready.remove(pending)
            if self._ready:
                self.changed.notify_all()

    def _wait(self, until: Callable[[], bool]) -> None:
        """Blocks until it is true. One of the waiting threads reads the socket for all."""
        with self.changed:
            while not until():
                if not self.open and threading.current_thread() is not threading.main_thread():
                    raise RuntimeError(_ENDED)
                if self._reading:
                    self.changed.wait()
                    continue
                self._read()

    def _read(self) -> None:
        """Wait for what comes next; the lock is free meanwhile."""
        self._reading = True
        try:
            self.changed.release()
            try:
                frames = self._channel.receive_all()
            finally:
                self.changed.acquire()
        finally:
            self._reading = False
            self.changed.notify_all()
        for frame in frames:
            self._take(frame)

    def on_readable(self) -> None:
        """The loop says that there is something to read."""
        with self.changed:
            if self._reading or not self.open:  # a thread is at it, or what comes is not this run's
                return
            for frame in self._channel.receive_arrived():
                self._take(frame)
            self.changed.notify_all()

    def fileno(self) -> int:
        return self._channel.fileno()

    def _take(self, frame: HostFrame) -> None:
        if isinstance(frame, Page):
            self._page = frame.records
        elif isinstance(frame, Answer):
            pending = self._pending.pop(frame.id, None)
            if pending is None:  # the body has cancelled it meanwhile
                return
            if pending.is_conducted:
                self.answers.append((pending, frame))
                pending.wake_loop()
            else:
                if pending.future is None:
                    self._ready.append(pending)
                pending.resolve(frame)

    def become_child(self) -> None:
        """This is a forked child's copy: whoever held the lock is not here, and the answers are the parent's."""
        self.changed = threading.Condition()
        self._reading = False

    def close(self) -> None:
        with self.changed:
            self.open = False
            self.has_waiters = self._reading or any(pending.future is None for pending in list(self._pending.values()))
            self.changed.notify_all()
