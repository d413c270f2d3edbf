"""A call that waits for its answer: in a coroutine, or in a thread that is blocked until then."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Final

from ..wire import Answer, Call, Record, Recorded
from .paths import Node

PARKABLE: Final = frozenset({"ask", "sleep", "workflow"})
"""What may take days. A run that waits for nothing else needs no worker."""

Outcome = Answer | Recorded

LIVE: Final = RuntimeError("not recorded")
"""The outcome that says: make the call."""


class Slot:
    def __init__(self, node: Node, frame: Call | Record) -> None:
        self.node = node
        self.frame = frame
        self.sent = False
        self.outcome: Outcome | BaseException | None = None
        self.future: asyncio.Future[None] | None = None
        self._thread = 0

    def for_this_task(self) -> Slot:
        """The same call, to be waited for (once more) by the coroutine that runs here."""
        slot = Slot(self.node, self.frame)
        slot.future = asyncio.get_running_loop().create_future()
        slot._thread = threading.get_ident()
        return slot

    @property
    def done(self) -> bool:
        return self.outcome is not None

    def ended(self) -> Outcome:
        """What it came to. Raises what it was given instead."""
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        assert self.outcome is not None
        return self.outcome

    @property
    def parkable(self) -> bool:
        return self.frame.op in PARKABLE

    def resolve(self, outcome: Outcome | BaseException) -> None:
        """From any thread. The first outcome counts."""
        if self.outcome is not None:
            return
        self.outcome = outcome
        if self.future is None:
            return
        if threading.get_ident() == self._thread:
            self._wake()
        else:
            with contextlib.suppress(RuntimeError):  # its loop is closed: nobody waits any more
                self.future.get_loop().call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self.future is not None and not self.future.done():
            self.future.set_result(None)
