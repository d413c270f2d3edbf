"""Places: limits how many bodies compute at once. Lease: one run's hold on a place. Used by WorkerPool and CallExecutor.

Theory of operation. A body computes, or it waits for the host (a child run, a person, a time, a model). Only the first needs a place.

    state     the place belongs to   the body                               left when
    HELD      this run               may go on                              it is still and waits      -> GIVEN
    GIVEN     others                 waits; no answer is ready for it       an answer is ready  -> HELD or QUEUED
    QUEUED    others                 waits; an answer is ready for it       a place is granted         -> HELD
    ENDED     others                 is gone, or has given its final answer

1. A run gives its place back while it waits for anything. Its body gets no answer until the run has a place again (`go_on`).
2. A body is *still* when it has just made a call that waits, when it says so (`Idle`), or `SETTLE_S` after the last answer. The last rule
   is for bodies whose main thread waits for a thread of its own: the host gets no frame about that.
3. So a run that holds a place ends or gives it back without help from another run, and a run that waits for a place holds none. Hence
   any tree of runs ends with one place.
4. Runs that go on come before runs that begin: they have a process and memory already, and other runs wait for them.
5. Runs that begin take turns by caller (`fair_queue`). No caller waits for all the runs of another one.

Each transition is one synchronous call. So nothing can be cancelled halfway, and there is no state between two states.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Final

from .fair_queue import Granted, Queue

SETTLE_S: Final = 0.05
"""So long after an answer a body is assumed to compute. With less, a body that computes would share its core with another one."""


class Places:
    """A number of places, and two queues: one in order, for runs that go on; one fair between callers, for runs that begin.

    A granted place is taken before the callback is called.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._going_on: deque[Granted] = deque()
        self._beginning = Queue()

    @property
    def has_room(self) -> bool:
        return self._free > 0

    @property
    def waiting(self) -> int:
        """How many runs wait to begin."""
        return len(self._beginning)

    async def take(self, caller: str, name: str) -> None:
        """Wait for a place for the run `name`, which begins. If this call is cancelled, no place is taken."""
        if self.take_now():
            self._beginning.note(caller)
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._beginning.put(caller, name, partial(_grant, granted))
        try:
            await granted
        except BaseException:
            if name in self._beginning:
                self._beginning.remove(name)
            else:
                self.give_back()
            raise

    def before(self, name: str) -> int | None:
        """How many runs begin before this one. None: it does not wait to begin."""
        return self._beginning.before(name)

    def take_now(self) -> bool:
        """Take a free place. False: there is none."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    def queue(self, granted: Granted) -> None:
        """Queue a run that goes on. `granted` is called when it has a place."""
        if self.take_now():
            granted()
        else:
            self._going_on.append(granted)

    def leave(self, granted: Granted) -> None:
        """Leave the queue of runs that go on."""
        if granted in self._going_on:
            self._going_on.remove(granted)

    def give_back(self) -> None:
        """Give the place to the first waiting run. Without one, it is free."""
        if self._going_on:
            self._going_on.popleft()()
        elif self._beginning:
            self._beginning.take()()
        else:
            self._free += 1


class State(Enum):
    HELD = auto()
    GIVEN = auto()
    QUEUED = auto()
    ENDED = auto()


class Lease:
    """Begins when the run has a place. `on_change(held)` is called with each change except the end."""

    def __init__(self, places: Places) -> None:
        self.state = State.HELD
        self.on_change: Callable[[bool], None] = _do_nothing
        self._places = places
        self._waits = 0
        self._answers: deque[Callable[[], None]] = deque()
        self._settling: asyncio.TimerHandle | None = None

    def begin_wait(self) -> None:
        """The body has made a call that waits."""
        if self.state is not State.ENDED:
            self._waits += 1
            self.settle()

    def end_wait(self) -> None:
        """A call that waits was answered or cancelled."""
        if self.state is not State.ENDED:
            self._waits -= 1

    def settle(self) -> None:
        """The body only waits for its calls now. If one of them is a call that waits, the place is given back."""
        self._stop_settling()
        if self.state is State.HELD and self._waits > 0:
            self.state = State.GIVEN
            self.on_change(False)
            self._places.give_back()

    def go_on(self, send: Callable[[], None]) -> None:
        """Call `send`, which answers the body, as soon as the run has a place. Answers keep their order."""
        if self.state is State.ENDED:
            return
        self._answers.append(send)
        if self.state is State.HELD:
            self._send_answers()
        elif self.state is State.GIVEN:
            self.state = State.QUEUED
            self._places.queue(self._on_granted)

    def end(self) -> None:
        """The body is gone, or has given its final answer. Answers that are not sent yet are dropped."""
        self._stop_settling()
        state, self.state = self.state, State.ENDED
        self._answers.clear()
        if state is State.QUEUED:
            self._places.leave(self._on_granted)
        elif state is State.HELD:
            self._places.give_back()

    def _on_granted(self) -> None:
        self.state = State.HELD
        self.on_change(True)
        self._send_answers()

    def _send_answers(self) -> None:
        while self._answers and self.state is State.HELD:
            self._answers.popleft()()
        if self.state is State.HELD and self._waits > 0:
            self._stop_settling()
            self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self.settle)

    def _stop_settling(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None


def _grant(future: asyncio.Future[None]) -> None:
    if not future.done():  # the waiting task was cancelled in this turn of the loop, and gives the place back
        future.set_result(None)


def _do_nothing(held: bool) -> None:
    pass
