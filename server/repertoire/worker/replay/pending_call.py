"""A call that waits for its answer: in a coroutine, or in a thread that is blocked until then."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Final

from ...values.refusals import NotAvailable
from ...wire import Answer, Call, Record, Recorded
from .call_paths import Node
from .event_loop import Loop

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
        self.conducted = False
        """Whether it waits for its turn among all that happens in the main thread's loop."""
        self._thread = 0

    def for_this_task(self) -> Slot:
        """The same call, to be waited for (once more) by the coroutine that runs here."""
        slot = Slot(self.node, self.frame)
        loop = _running_loop(self.frame)
        slot.future = loop.create_future()
        slot.conducted = loop.conductor is not None
        slot._thread = threading.get_ident()
        return slot

    def wake_loop(self) -> None:
        """There is an answer for it, though it is not its turn yet. From any thread."""
        if self.future is not None and threading.get_ident() != self._thread:
            loop = self.future.get_loop()
            assert isinstance(loop, Loop)
            loop.wake()

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
        if self.conducted and threading.get_ident() == self._thread:
            self._wake()
        else:
            loop = self.future.get_loop()
            assert isinstance(loop, Loop)
            with contextlib.suppress(RuntimeError):  # its loop is closed: nobody waits any more
                loop.call_from_reader(self._wake)

    def _wake(self) -> None:
        if self.future is not None and not self.future.done():
            self.future.set_result(None)


def _running_loop(frame: Call | Record) -> Loop:
    """Raises NotAvailable where calls of coroutines could not be answered in the same order again."""
    try:
        loop: object = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    if isinstance(loop, Loop):
        return loop
    kind = "no asyncio loop" if loop is None else f"the loop {type(loop).__module__}.{type(loop).__qualname__}"
    what = f"{frame.op} {frame.label or ''}".strip()
    raise NotAvailable(
        f"await {what}: it is awaited in {kind}, where a run cannot be repeated",
        hint="Use asyncio's own loop: asyncio.run(main()), anyio.run(main), or an async def run().",
    )
