"""Inbox: reads the messages of one MCP connection before the SDK does, and settles all notifications; used by mcp_connection.py.

The SDK starts two tasks for every notification, so a server that sends thousands in a second would slow down everybody. Here progress is
told at most ten times a second for each call, the latest always; a change of the tools is noted; other notifications are dropped. Requests,
answers and the acknowledgement of a subscription go on to the SDK.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Final, Protocol, Self

import anyio
import mcp_types as types
from mcp.shared.message import SessionMessage

_log = logging.getLogger("repertoire.tools")

_INTERVAL_S: Final = 0.1
_MAX_MESSAGE: Final = 10_000
"""Much more than is shown: the text is masked first, and cut then."""
_PASSED_ON: Final = ("notifications/cancelled", "notifications/subscriptions/acknowledged")

Tell = Callable[[float, float | None, str | None], None]
"""As `ToolContext.progress`: done, total, message."""


class Progress:
    """Tells the progress of one call, at most once in an interval, and the latest in the end."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told_at = -math.inf
        self._held: tuple[float, float | None, str | None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def note(self, params: dict[str, Any]) -> None:
        done, total, message = _number(params.get("progress")), _number(params.get("total")), params.get("message")
        if done is None:
            return
        self._held = (
            done,
            total,
            message[:_MAX_MESSAGE] if isinstance(message, str) else None,
        )
        if self._timer is None:
            wait = self._told_at + _INTERVAL_S - time.monotonic()
            if wait <= 0:
                self.flush()
            else:
                self._timer = asyncio.get_running_loop().call_later(wait, self.flush)

    def flush(self) -> None:
        """Tell the latest, if it was not told yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held is not None:
            held, self._held = self._held, None
            self._told_at = time.monotonic()
            self._tell(*held)


class Inbox:
    """The messages of one connection. `on_change`: the tools have changed. `on_end`: there will be no more messages."""

    def __init__(self, name: str, on_change: Callable[[], None], on_end: Callable[[], None]) -> None:
        self.received = 0
        self.rubbish = 0
        self._name = name
        self._on_change = on_change
        self._on_end = on_end
        self._progress: dict[str, Progress] = {}
        self._tokens = count(1)

    def watch(self, tell: Tell) -> str:
        """A token for the progress of one call. `unwatch` must follow."""
        token = f"call-{next(self._tokens)}"
        self._progress[token] = Progress(tell)
        return token

    def unwatch(self, token: str) -> None:
        self._progress.pop(token).flush()

    def ended(self) -> None:
        self._on_end()

    def passes(self, item: SessionMessage | Exception) -> bool:
        """Settle the message if it is ours; otherwise the SDK gets it."""
        if isinstance(item, Exception):
            self.rubbish += 1
            if self.rubbish <= 3:
                # Only the first line: the others may quote a part of what came, and no part of a secret can be masked.
                said = str(item).partition("\n")[0][:_MAX_MESSAGE]
                _log.warning("the MCP server %s sent a line that is no message: %s", self._name, said)
            return False
        self.received += 1
        message = item.message
        if not isinstance(message, types.JSONRPCNotification):
            return True
        if message.method == "notifications/progress":
            params = message.params or {}
            token = params.get("progressToken")
            if isinstance(token, str) and (progress := self._progress.get(token)) is not None:
                progress.note(params)
        elif message.method == "notifications/tools/list_changed":
            self._on_change()
        return message.method in _PASSED_ON


class Messages(Protocol):
    """The reading end of a transport."""

    async def receive(self) -> SessionMessage | Exception: ...

    async def aclose(self) -> None: ...


class InboxStream:
    """The reading end of a transport with an inbox before it: a `ReadStream` of the SDK."""

    def __init__(self, inner: Messages, inbox: Inbox) -> None:
        self._inner = inner
        self._inbox = inbox

    @property
    def last_context(self) -> contextvars.Context | None:
        """The context of the call whose response stream the last message came on. HTTP has it, a pipe has not."""
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        try:
            while not self._inbox.passes(item := await self._inner.receive()):
                pass
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self._inbox.ended()
            raise
        return item

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _number(value: Any) -> float | None:
    """The value as a finite number; None if it is not one."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return value
