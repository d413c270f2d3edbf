"""Queue: runs that wait for a place among the workers, in an order that is fair between callers; used by Places.

A caller is a host's connection or an HTTP client's session. It does not matter how much a caller asks for. Theory of operation:

1. Time is counted in places that were given. For each caller the queue knows when it was last given a place.
2. The next place goes to the caller that was served the longest time ago. Runs of one caller keep their order. So callers that ask all
   the time take turns. A caller that asks now and then waits only for callers that were served even longer ago.
3. An unknown caller counts as served `_MEMORY` places ago, and so does a caller that was served before that. So a waiting run comes
   after a bounded number of others: new callers cannot hold it up for ever.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, NamedTuple

_MEMORY: Final = 1000

Granted = Callable[[], None]


class _Rank(NamedTuple):
    served: int
    """When its caller was last given a place, counted in places."""
    came: int
    caller: str


class _Ticket(NamedTuple):
    name: str
    granted: Granted


class Queue:
    """A queue of names, each with its caller and a callback."""

    def __init__(self) -> None:
        self._given = 0
        self._served: OrderedDict[str, int] = OrderedDict()
        self._waiting: dict[str, deque[_Ticket]] = {}
        self._ranks: dict[str, _Rank] = {}
        self._order: list[_Rank] = []
        self._callers: dict[str, str] = {}
        self._came = 0

    def __len__(self) -> int:
        return len(self._callers)

    def __contains__(self, name: str) -> bool:
        return name in self._callers

    def put(self, caller: str, name: str, granted: Granted) -> None:
        """`take` returns `granted` when it is the turn of `name`."""
        self._callers[name] = caller
        self._waiting.setdefault(caller, deque()).append(_Ticket(name, granted))
        if caller not in self._ranks:
            self._rank(caller)

    def take(self) -> Granted:
        """Remove the next name and return its callback. The queue must not be empty."""
        caller = self._next_caller()
        ticket = self._waiting[caller].popleft()
        del self._callers[ticket.name]
        self.note(caller)
        self._rank_again(caller)
        return ticket.granted

    def remove(self, name: str) -> None:
        """It does not wait any more."""
        caller = self._callers.pop(name)
        waiting = self._waiting[caller]
        waiting.remove(next(ticket for ticket in waiting if ticket.name == name))
        if not waiting:
            self._rank_again(caller)

    def note(self, caller: str) -> None:
        """The caller was given a place."""
        self._given += 1
        self._served[caller] = self._given
        self._served.move_to_end(caller)
        while next(iter(self._served.values())) <= self._given - _MEMORY:
            self._served.popitem(last=False)

    def before(self, name: str) -> int | None:
        """How many names come before this one if no others come. None: it does not wait."""
        if (caller := self._callers.get(name)) is None:
            return None
        rounds = [ticket.name for ticket in self._waiting[caller]].index(name)
        own = self._ranks[caller]
        return rounds + sum(
            min(len(waiting), rounds + (self._ranks[other] < own))
            for other, waiting in self._waiting.items()
            if other != caller
        )

    def _next_caller(self) -> str:
        while True:
            rank = heapq.heappop(self._order)
            if self._ranks.get(rank.caller) is rank:  # else the caller waits no more, or was ranked again
                return rank.caller

    def _rank(self, caller: str) -> None:
        self._came += 1
        oldest = self._given - _MEMORY
        rank = _Rank(max(self._served.get(caller, oldest), oldest), self._came, caller)
        self._ranks[caller] = rank
        heapq.heappush(self._order, rank)

    def _rank_again(self, caller: str) -> None:
        del self._ranks[caller]
        if self._waiting[caller]:
            self._rank(caller)
        else:
            del self._waiting[caller]
