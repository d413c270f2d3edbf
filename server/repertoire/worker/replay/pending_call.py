"""PendingCall: one call that waits for its outcome, in a coroutine or in a blocked thread; used by BodyCalls, Exchange and Replay."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

from ...call_operations import operation
from ...values.refusals import NotAvailable
from ...wire import Answer, Call, Record, Recorded
from .call_paths import Node
from .event_loop import Loop

MAX_LABEL_CHARS: Final = 200
"""Longest label of a call."""

Outcome = Answer | Recorded

LIVE: Final = RuntimeError("not recorded")
"""Outcome of a call that has no record: it must be made (replay, rule 6)."""


class PendingCall:
    """`future` is None when a thread blocks for the call; otherwise a coroutine awaits it."""

    def __init__(self, node: Node, frame: Call | Record) -> None:
        self.node = node
        self.frame = frame
        self.is_sent = False
        self.hear: Callable[[str], None] | None = None
        """Called with the data of each piece of the answer, in the loop that awaits the call."""
        self.heard: list[str] = []
        """The data of the pieces so far. If the body cancels the call, they are recorded, so that a replay comes to that point again."""
        self.outcome: Outcome | BaseException | None = None
        self.future: asyncio.Future[None] | None = None
        self.is_conducted = False
        """True when the main thread's loop gives the outcome, in the order of the run's clock (replay, rule 5)."""
        self._thread = 0

    def for_this_task(self) -> PendingCall:
        """The same call, to be awaited by the coroutine that runs in this thread."""
        pending = PendingCall(self.node, self.frame)
        pending.hear, pending.heard = self.hear, self.heard
        loop = _running_loop(self.frame)
        pending.future = loop.create_future()
        pending.is_conducted = loop.conductor is not None
        pending._thread = threading.get_ident()
        return pending

    def wake_loop(self) -> None:
        """Let the call's loop look for its next event: an answer has arrived. From any thread."""
        if self.future is not None and threading.get_ident() != self._thread:
            loop = self.future.get_loop()
            assert isinstance(loop, Loop)
            loop.wake()

    @property
    def done(self) -> bool:
        return self.outcome is not None

    def get_outcome(self) -> Outcome:
        """The outcome. Raises it if it is an exception."""
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        assert self.outcome is not None
        return self.outcome

    @property
    def is_parkable(self) -> bool:
        return operation(self.frame.op).takes_long

    def resolve(self, outcome: Outcome | BaseException) -> None:
        """Set the outcome and wake the waiting coroutine. From any thread. Only the first outcome counts."""
        if self.outcome is not None:
            return
        self.outcome = outcome
        if self.future is None:
            return
        if self.is_conducted and threading.get_ident() == self._thread:
            self._wake()
        else:
            loop = self.future.get_loop()
            assert isinstance(loop, Loop)
            with contextlib.suppress(RuntimeError):  # its loop is closed, so no coroutine waits
                loop.call_from_reader(self._wake)

    def hear_piece(self, data: str) -> None:
        """A piece has arrived for a call that no conductor orders. From any thread."""
        if self.hear is None or self.future is None:
            return
        loop = self.future.get_loop()
        assert isinstance(loop, Loop)
        with contextlib.suppress(RuntimeError):  # its loop is closed
            loop.call_from_reader(partial(self.hear, data))

    def _wake(self) -> None:
        if self.future is not None and not self.future.done():
            self.future.set_result(None)


def _running_loop(frame: Call | Record) -> Loop:
    """The loop of this thread. Raises NotAvailable for another kind of loop: a replay could not give its answers in the same order."""
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
