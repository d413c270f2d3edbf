"""Exchange: sends a run's calls to the host and gives each answer to its call; used by BodyCalls, Replay and Timeline.

There is one socket, and any number of threads and loops wait for answers on it. Rules:

1. Only one thread reads at a time (`_reading`). A waiting thread reads if no other thread does. An idle loop watches the socket and reads
   the frames that have arrived. Otherwise two threads could each get half of a frame.
2. The reader takes all frames that have arrived and gives each answer to its call, for whatever thread that call waits.
3. After each read, and when a reader leaves, all waiting threads are woken, and one of them becomes the reader. Threads go on in the
   order in which their answers were recorded, because a replay repeats this order.
4. An answer for a coroutine of the main thread's loop is kept until its turn (`next_event`), and that loop is woken. An answer for a
   coroutine of a loop in another thread is given to that loop at once.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from ...authoring import ambient
from ...wire import Answer, ContentPart, Drop, HostFrame, Idle, More, Page, Piece, ReadContent, Recorded, WorkerFrame
from ..link.channel import Channel
from ..link.outbox import Outbox
from ..link.threads import foreign
from .journal_reader import ClockReadings
from .pending_call import Outcome, PendingCall

_ENDED: Final = "the run has ended"


class Exchange:
    """The exchange of one run. It is closed when the run ends; threads that still wait then get a RuntimeError."""

    def __init__(self, outbox: Outbox, channel: Channel, *, has_state: bool) -> None:
        self.changed = threading.Condition()
        """Guards the run's calls here, in the journal and in Replay. Notified of everything that threads wait for."""
        self.readings = ClockReadings()
        self.answers: deque[tuple[PendingCall, Answer]] = deque()
        """Answers for coroutines of the main thread's loop, in the order in which they arrived."""
        self.pieces: deque[tuple[PendingCall, Piece]] = deque()
        """Pieces for coroutines of the main thread's loop."""
        self.open = True
        self.has_waiters = False
        """Set at the end: True if threads of the body still waited for calls."""
        self._outbox = outbox
        self._channel = channel
        self._has_state = has_state
        self._ids = itertools.count(1)
        self._pending: dict[int, PendingCall] = {}
        self._sends = threading.RLock()
        """Held while clock readings are taken and their frame is sent, so that no later frame arrives before them."""
        self._ready: deque[PendingCall] = deque()
        """Calls of blocked threads whose answers have arrived, in that order."""
        self._reading = False
        self._page: list[Recorded] | None = None
        self._parts: dict[int, bytes | None] = {}
        self._idle_with: list[int] = []

    def next_id(self) -> int:
        return next(self._ids)

    def check_open(self) -> None:
        if not self.open:
            raise RuntimeError(_ENDED)

    # To the host

    def tell(self, frame: WorkerFrame) -> None:
        """Send a frame that gets no answer."""
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
            except BaseException:  # for every error alike: nothing was sent, so no answer will come
                del self._pending[number]
                self.readings.give_back(clock)
                raise

    @property
    def has_streams(self) -> bool:
        """True if a call is open whose answer arrives in pieces."""
        return any(pending.hear is not None for pending in list(self._pending.values()))

    def take_pieces(self) -> bool:
        """Let the pieces that have arrived be heard. False: there are none."""
        had_some = bool(self.pieces)
        while self.pieces:
            pending, piece = self.pieces.popleft()
            if pending.hear is not None and not pending.done:
                pending.hear(piece.data)
        return had_some

    def forget(self, pending: PendingCall) -> None:
        """Ignore the call's answer, if one arrives."""
        self._pending.pop(pending.frame.id, None)

    def drop(self, pending: PendingCall) -> None:
        """Tell the host that the body has cancelled this call."""
        if self.open:
            frame = pending.frame
            heard = f"[{','.join(pending.heard)}]" if pending.heard else None
            with self._sends:
                self.tell(Drop(frame.id, frame.path, frame.op, frame.hash, frame.label, self.readings.take(), heard))

    def fetch(self, after: int) -> list[Recorded]:
        """The journal's page after this number. Several threads may ask for the same page; an old page is recognized by its numbers."""

        def is_here() -> bool:
            return self._page is not None and (not self._page or self._page[0].n > after)

        self._page = None
        self.tell(More(after))
        self._wait(is_here)
        return self._page or []

    def fetch_content(self, hash: str, start: int) -> bytes | None:
        """The part of a content from this byte on; empty at its end. None: the run may not read it, or it is gone."""
        number = self.next_id()
        self.tell(ReadContent(number, hash, start))
        self._wait(lambda: number in self._parts)
        return self._parts.pop(number)

    def tell_idle(self) -> None:
        """Let the host park the run, if all its calls may take days and no other thread is alive (replay, rule 9)."""
        all_pending = list(self._pending.values())  # a copy, because other threads make calls
        if all_pending and all(pending.is_parkable for pending in all_pending) and not foreign():
            self._tell_idle()

    def _tell_idle(self) -> None:
        ids = sorted(self._pending)
        if ids == self._idle_with:
            return
        self._idle_with = ids
        try:
            state = ambient.stored_form() if self._has_state else None
        except (
            Exception
        ):  # the state cannot be stored: the run keeps its worker, and fails with this error when it ends
            return
        self.tell(Idle(ids, state))

    # From the host

    def wait_for(self, pending: PendingCall) -> Outcome:
        """Block this thread until the outcome of a call that was sent."""
        self._wait(lambda: pending.done)
        with self.changed:
            while self.open and self._ready and self._ready[0] is not pending:
                self.changed.wait()
        return pending.get_outcome()

    def leave(self, pending: PendingCall) -> None:
        """The call's thread goes on, with its answer or with an exception. Let the next thread go on."""
        with self.changed:
            self._pending.pop(pending.frame.id, None)
            if pending in self._ready:
                self._ready.remove(pending)
            if self._ready:
                self.changed.notify_all()

    def _wait(self, until: Callable[[], bool]) -> None:
        """Block until `until()` is true. One of the waiting threads reads the socket for all."""
        with self.changed:
            while not until():
                if not self.open and threading.current_thread() is not threading.main_thread():
                    raise RuntimeError(_ENDED)
                if self._reading:
                    self.changed.wait()
                    continue
                self._read()

    def _read(self) -> None:
        """Wait for the next frames and distribute them. The lock is released while waiting."""
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
        """Called by a loop when the socket has something to read."""
        with self.changed:
            if self._reading or not self.open:  # another thread reads, or the frames belong to a later run
                return
            for frame in self._channel.receive_arrived():
                self._take(frame)
            self.changed.notify_all()

    def fileno(self) -> int:
        return self._channel.fileno()

    def _take(self, frame: HostFrame) -> None:
        if isinstance(frame, Page):
            self._page = frame.records
        elif isinstance(frame, ContentPart):
            self._parts[frame.id] = frame.data
        elif isinstance(frame, Piece):
            if (known := self._pending.get(frame.id)) is None:
                return
            if known.is_conducted:
                self.pieces.append((known, frame))
                known.wake_loop()
            else:
                known.hear_piece(frame.data)
        elif isinstance(frame, Answer):
            pending = self._pending.pop(frame.id, None)
            if pending is None:  # the body has cancelled the call
                return
            if pending.is_conducted:
                self.answers.append((pending, frame))
                pending.wake_loop()
            else:
                if pending.future is None:
                    self._ready.append(pending)
                pending.resolve(frame)

    def become_child(self) -> None:
        """Reset the copy in a forked child: the thread that held the lock does not exist here, and answers belong to the parent."""
        self.changed = threading.Condition()
        self._reading = False

    def close(self) -> None:
        with self.changed:
            self.open = False
            self.has_waiters = self._reading or any(pending.future is None for pending in list(self._pending.values()))
            self.changed.notify_all()
