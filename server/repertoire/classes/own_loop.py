"""Own loop: `OwnLoop` is an event loop for one piece of async work that sync code waits for. Used by `body` and by agents.

It runs in the caller's thread. If a loop is running there already, it gets a thread of its own. Between two calls of `run` or `turn` the
loop stands still, and so do all its tasks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from threading import get_ident
from typing import Any

from .session_locks import acting_for, blocked_thread, owner


class OwnLoop:
    """A context manager: the loop is closed at its end, and tasks that are left are cancelled."""

    def __enter__(self) -> OwnLoop:
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        self._runner = asyncio.Runner()
        self._thread = ThreadPoolExecutor(1) if loop_is_running() else None
        self._context = copy_context()
        self._context.run(acting_for.set, owner())
        if self._thread is not None:
            self._context.run(blocked_thread.set, get_ident())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._runner.close)
        if self._thread is not None:
            self._thread.shutdown()

    def run(self, make: Callable[[], Awaitable[Any]]) -> Any:
        """The value of the awaitable that `make()` gives."""

        async def main() -> Any:
            return await make()

        return self._do(lambda: self._runner.run(main(), context=self._context))

    def start(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """A task of the loop. It goes on only while `turn` or `run` is called."""
        return self._do(lambda: self._runner.get_loop().create_task(make(), context=self._context.copy()))

    def turn(self, until: Callable[[Any], Any | None]) -> None:
        """Let the loop run until a future is done. `until` gets the loop and gives the future; None: there is nothing to wait for."""

        def turn() -> None:
            loop = self._runner.get_loop()
            if (future := until(loop)) is not None:
                loop.run_until_complete(future)

        self._do(turn)

    def _do(self, call: Callable[[], Any]) -> Any:
        return call() if self._thread is None else self._thread.submit(call).result()


def loop_is_running() -> bool:
    """True if an event loop runs in this thread."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
