"""Shutdown: `Shutdown` gives every open tools/call an answer before the server ends; made by the app, used by the MCP surface.

1. A call whose run goes on is answered as at its inline deadline: `working`, with the run's id. A call that only reads gets its answer.
2. A call that changes something has `FINISH_S` to finish. Then it is answered with `server_ends`.
3. `close` returns when all answers are written, or after `_ANSWERS_S`.

It does not import the SDK, so that a short command does not load it.
"""

from __future__ import annotations

import asyncio
from typing import Final

import anyio

from ..errors import RepertoireError, StorageError

_ANSWERS_S: Final = 1.5
"""Writing the last answers may take this long: the SDKs kill a server after two seconds."""
FINISH_S: Final = 0.5
"""A call that changes something has this long to finish. Then its caller is told that it may or may not have had its effect."""


class ServerEnds(RepertoireError):
    """The server ended before the call was finished; the call may or may not have had its effect."""

    code = "server_ends"


class Unanswered:
    """The calls of one connection whose answers have not been written yet, by their ids."""

    def __init__(self, ending: Shutdown) -> None:
        self._ending = ending
        self._open: set[str | int] = set()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, number: str | int) -> None:
        self._open.add(number)

    def discard(self, number: object) -> None:
        if isinstance(number, str | int):
            self._open.discard(number)
            if self._ending.has_begun and not self._open:
                self._ending.look()

    def __enter__(self) -> Unanswered:
        self._ending.connections.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.clear()
        self._ending.connections.discard(self)
        self._ending.look()


class Shutdown:
    """One for each app. `scope` is what a call waits in; `close` ends all of them."""

    def __init__(self) -> None:
        self.has_begun = False
        self.why = ""
        self.fault: StorageError | None = None
        """Set when the home is lost: no answer would be true any more."""
        self.connections: set[Unanswered] = set()
        self._scopes: dict[anyio.CancelScope, float] = {}
        self._changed = asyncio.Event()

    def scope(self, finish_s: float = 0.0) -> CallScope:
        """A scope that is cancelled `finish_s` after the end has begun; then its `cancelled_caught` is true."""
        return CallScope(self, finish_s)

    def unanswered(self) -> Unanswered:
        """The open calls of a connection whose answers must be written before it is closed."""
        return Unanswered(self)

    async def close(self, why: str, fault: StorageError | None = None) -> None:
        """End all open calls. Returns when every answer is written, or after a moment."""
        self.has_begun, self.why, self.fault = True, why, fault
        now = anyio.current_time()
        for scope, finish_s in self._scopes.items():
            scope.deadline = now + finish_s
        with anyio.move_on_after(_ANSWERS_S):
            while any(self.connections) or self._scopes:
                self._changed.clear()
                await self._changed.wait()

    def check(self) -> None:
        """Raises StorageError when the home is lost."""
        if self.fault is not None:
            raise self.fault

    def look(self) -> None:
        self._changed.set()

    def enter(self, scope: anyio.CancelScope, finish_s: float) -> None:
        self._scopes[scope] = finish_s
        if self.has_begun:
            scope.deadline = anyio.current_time() + finish_s

    def leave(self, scope: anyio.CancelScope) -> None:
        del self._scopes[scope]
        if self.has_begun:
            self._changed.set()


class CallScope:
    """A cancel scope that `Shutdown` can cancel."""

    __slots__ = ("_ending", "_finish_s", "_scope")

    def __init__(self, ending: Shutdown, finish_s: float) -> None:
        self._ending, self._finish_s, self._scope = ending, finish_s, anyio.CancelScope()

    @property
    def cancelled_caught(self) -> bool:
        return self._scope.cancelled_caught

    def __enter__(self) -> CallScope:
        self._scope.__enter__()
        self._ending.enter(self._scope, self._finish_s)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> bool | None:
        self._ending.leave(self._scope)
        return self._scope.__exit__(kind, error, at)  # type: ignore[arg-type]  # a traceback, which is only passed on
