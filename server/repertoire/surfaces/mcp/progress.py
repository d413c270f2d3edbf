"""Progress: sends a run's events as progress notifications of the call that waits for it; used by call_tool.py.

1. Values increase strictly and are never above their total. At most ten notifications a second are sent.
2. A message has at most 200 characters: Claude Code cuts there.
3. A heartbeat every ten seconds resets clients' idle timers.
4. A run that tells no numbers of its own counts the seconds since the call. Between two numbers of a body, a log line adds a thousandth.
5. Beyond the total (the body says 4 of 4 and goes on) whole numbers without a total follow.
6. After the last notification the result waits 20 ms: TypeScript clients lose progress that arrives in the same read as the result.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import anyio

from ...model.brief_events import plain_number
from ...model.run import RunEvent

_PER_SECOND: Final = 10
_HEARTBEAT_S: Final = 10.0
_SETTLE_S: Final = 0.02
_MESSAGE_CHARS: Final = 200

Send = Callable[[float, float | None, str | None], Awaitable[None]]


class Progress:
    """Run `watch` in a task. When the run has ended, wait for `seen`, cancel the task and await `settle`."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = time.monotonic()
        self._value = -math.inf
        self._total: float | None = None
        self._done: float | None = None
        self._message: str | None = None
        self._text = ""
        self._news = anyio.Event()
        self._taken = self._sent = 0
        self.seen = anyio.Event()
        self._times: deque[float] = deque(maxlen=_PER_SECOND)

    async def watch(self, events: AsyncIterator[RunEvent]) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._pump)
            async for event in events:
                self._take(event)
            self.seen.set()
            tasks.cancel_scope.cancel()

    async def settle(self) -> None:
        """Send the unsent rest, then give the client time to read it before the result."""
        if self._sent < self._taken:
            await self._flush()
        if self._times:
            await anyio.sleep(max(0.0, self._times[-1] + _SETTLE_S - time.monotonic()))

    def _take(self, event: RunEvent) -> None:
        if "run_id" in event.data:  # of a run below this one: its message counts, its numbers do not
            if (message := event.data.get("message")) is None:
                return
            self._message = str(message)
        elif event.type == "progress":
            self._done, self._total = event.data.get("done"), event.data.get("total")
            self._message = event.data.get("message") or self._message
        elif event.type == "text":  # pieces of one text: show the end of it
            self._message = self._text = (self._text + str(event.data.get("text", "")))[-_MESSAGE_CHARS:]
        elif event.type == "stream_reset":
            self._text = ""
            return
        elif event.type in ("log", "item"):
            self._message = _text(event)
        else:
            return
        self._taken += 1
        self._news.set()

    async def _pump(self) -> None:
        while True:
            with anyio.move_on_after(_HEARTBEAT_S):
                await self._news.wait()
            if len(self._times) == _PER_SECOND:
                await anyio.sleep(max(0.0, self._times[0] + 1 - time.monotonic()))
            await self._flush()

    async def _flush(self) -> None:
        self._news = anyio.Event()
        sent = self._taken
        self._value, total = self._next()
        message = self._message
        self._times.append(time.monotonic())
        await self._send(self._value, total, None if message is None else message[:_MESSAGE_CHARS])
        self._times[-1] = time.monotonic()
        self._sent = sent  # only now: a cancelled send has sent nothing

    def _next(self) -> tuple[float, float | None]:
        """The next value and its total: the body's own, or a little more than the last value."""
        done, total = self._done, self._total
        if done is None:
            return plain_number(max(round(time.monotonic() - self._begun, 1), round(self._value + 0.1, 1))), None
        if total is not None and done > total:
            total = None
        if plain_number(done) > self._value:
            return plain_number(done), plain_number(total)
        value = plain_number(self._value + _small_part(total or max(done, 1)))
        if value <= self._value or (total is not None and value >= total):
            return math.floor(self._value) + 1, None
        return value, plain_number(total)


def _small_part(of: float) -> float:
    """A thousandth of the power of ten below a number: 0.01 of 40."""
    return float(10.0 ** (math.floor(math.log10(abs(of))) - 3))


def _text(event: RunEvent) -> str:
    data: dict[str, Any] = event.data
    if event.type == "item":
        return f"item: {data.get('value')!r:.180}"
    return str(data.get("message", ""))
