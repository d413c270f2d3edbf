"""Places: how many bodies may go on at once; and the lease of one run on a place. Used by engine/pool and engine/call_executor.

Theory of operation. A body computes, or it waits for the host (a child, a person, a time, a model). Only the first needs a place.

    state     who has the place      the body                               left when
    HELD      this run               may go on                              it is still and waits      -> GIVEN
    GIVEN     others                 waits; nothing is to be told to it     an answer is ready for it  -> HELD or QUEUED
    QUEUED    others                 waits; an answer is ready for it       a place is granted         -> HELD
    ENDED     others                 is gone, or has answered for good

1. A run gives its place back while it waits, whatever it waits for, and tells its body nothing until it has one again (`go_on`).
2. A body is still when it has just made a call that waits, when it says so, or `SETTLE_S` after the last thing that it was told. The
   last is for bodies whose main thread waits for a thread of its own, of which the host hears nothing.
3. So a run that holds a place ends or gives it back without any other run, and a run that waits for a place holds none: any tree of
   runs ends with one place.
4. Runs that go on come before runs that begin: they have a process and memory already, and others wait for them.
5. Runs that begin take turns by their callers (`queue`): nobody waits for all that another has asked for.

Everything here happens at once, in one turn of the loop: there is nothing to cancel and no state between two states.
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
"""How long a body that was told something is taken to compute. Shorter, and a body that computes shares its core with another one."""


class Places:
    """A count of places, and two queues for them: in order, of runs that go on; and fair between callers, of runs that begin.

    Whoever is granted one has it before it hears of it.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._back: deque[Granted] = deque()
        self._new = Queue()

    @property
    def has_room(self) -> bool:
        return self._free > 0

    @property
    def waiting(self) -> int:
        """How many runs wait to begin."""
        return len(self._new)

    async def take(self, caller: str, name: str) -> None:
        """A place for what begins: `name` is its own, `caller` is whose turn it is. Whoever is cancelled has none."""
        if self.take_now():
            self._new.note(caller)
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._new.put(caller, name, partial(_grant, granted))
        try:
            await granted
        except BaseException:
            if name in self._new:
                self._new.remove(name)
            else:
                self.give_back()
            raise

    def before(self, name: str) -> int | None:
        """How many are to begin before this; None: it does not wait to begin."""
        return self._new.before(name)

    def take_now(self) -> bool:
        """False: there is none."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    def queue(self, granted: Granted) -> None:
        """A place for a run that goes on; `granted` is called when it has one."""
        if self.take_now():
            granted()
        else:
            self._back.append(granted)

    def leave(self, granted: Granted) -> None:
        """It waits no longer."""
        if granted in self._back:
            self._back.remove(granted)

    def give_back(self) -> None:
        """To the first that waits, or to nobody."""
        if self._back:
            self._back.popleft()()
        elif self._new:
            self._new.take()()
        else:
            self._free += 1


class State(Enum):
    HELD = auto()
    GIVEN = auto()
    QUEUED = auto()
    ENDED = auto()


class Lease:
    """One run's hold on a place, from the moment in which it has one. `on_change(held)` hears of each change but the end."""

    def __init__(self, places: Places) -> None:
        self.state = State.HELD
        self.on_change: Callable[[bool], None] = _nothing
        self._places = places
        self._waits = 0
        self._then: deque[Callable[[], None]] = deque()
        self._settling: asyncio.TimerHandle | None = None

    def begin_wait(self) -> None:
        """The body has made a call that waits."""
        if self.state is not State.ENDED:
            self._waits += 1
            self.settle()

    def end_wait(self) -> None:
        """A call that waits was answered, or was withdrawn."""
        if self.state is not State.ENDED:
            self._waits -= 1

    def settle(self) -> None:
        """The body does nothing now but wait for its calls: its place is for others, if one of the calls waits."""
        self._stop_settling()
        if self.state is State.HELD and self._waits > 0:
            self.state = State.GIVEN
            self.on_change(False)
            self._places.give_back()

    def go_on(self, then: Callable[[], None]) -> None:
        """Tell the body something (`then`) when the run has a place; in the order in which this is called."""
        if self.state is State.ENDED:
            return
        self._then.append(then)
        if self.state is State.HELD:
            self._tell()
        elif self.state is State.GIVEN:
            self.state = State.QUEUED
            self._places.queue(self._granted)

    def end(self) -> None:
        """The body is gone, or has answered for good. Nothing more is told to it."""
        self._stop_settling()
        state, self.state = self.state, State.ENDED
        self._then.clear()
        if state is State.QUEUED:
            self._places.leave(self._granted)
        elif state is State.HELD:
            self._places.give_back()

    def _granted(self) -> None:
        self.state = State.HELD
        self.on_change(True)
        self._tell()

    def _tell(self) -> None:
        while self._then and self.state is State.HELD:
            self._then.popleft()()
        if self.state is State.HELD and self._waits > 0:
            self._stop_settling()
            self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self.settle)

    def _stop_settling(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None


def _grant(future: asyncio.Future[None]) -> None:
    if not future.done():  # who waited was cancelled in this very turn, and will give it back
        future.set_result(None)


def _nothing(held: bool) -> None:
    pass
