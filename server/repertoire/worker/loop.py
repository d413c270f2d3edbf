"""The event loop of bodies: its tasks have paths, and on replay it gives recorded answers in their order and lets time pass at once.

When an asyncio loop has nothing to do it asks its selector to wait. That is the moment in which everything that the last answer led
to has happened, so it is when the next recorded answer is given: the body then sees answers and timers in the order of the first time.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Literal, Protocol, TypeVarTuple

from ..authoring import awaiting
from .paths import make_task

_Args = TypeVarTuple("_Args")


class Conductor(Protocol):
    """Who plays the recorded answers: the turns of the run."""

    def now(self) -> float:
        """Seconds of the run's clock."""

    def read(self) -> float:
        """The same, for timers that the body sets."""

    def idle(self, timer: float | None, *, elsewhere: bool) -> float | None:
        """The loop would wait, until its next timer at `timer`; `elsewhere`: something outside the run's calls may wake it.

        Gives the seconds to wait for real, None for as long as it takes, 0 when there is something to do now.
        """

    def interrupted(self) -> None:
        """Something else than the run's calls has happened: the clock moves to the real time."""

    def arrived(self) -> None:
        """There is something to read on the run's socket."""

    def fileno(self) -> int: ...


class _Source:
    """Where loops find the conductor of the run that goes on; one for the process."""

    conductor: Conductor | None = None
    running = False
    """Whether the main thread is in a loop: threads then take their recorded answers in its order."""


source = _Source()


class _Selector(selectors.DefaultSelector):
    """Lets the conductor decide what happens next when nothing is left to do."""

    loop: Loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        try:
            return self._selected(timeout)
        finally:
            self.loop.looking = "after"

    def _selected(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        conductor = self.loop.conductor
        if conductor is None:
            return super().select(timeout)
        if timeout == 0:
            return self._others(conductor, super().select(0))
        timer = None if timeout is None else conductor.now() + timeout
        while True:
            wait = conductor.idle(timer, elsewhere=len(self.get_map()) > self.loop.own_files)
            if wait == 0:
                return self._others(conductor, super().select(0))
            if others := self._others(conductor, super().select(wait)):
                conductor.interrupted()
                return others

    def _others(
        self, conductor: Conductor, ready: list[tuple[selectors.SelectorKey, int]]
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """All but the conductor's socket, whose answers are given when it is their turn."""
        here = conductor.fileno()
        if all(key.fd != here for key, _ in ready):
            return ready
        conductor.arrived()
        return [(key, events) for key, events in ready if key.fd != here]


class Loop(asyncio.SelectorEventLoop):
    """Does not wait at its end for calls still running in threads: the body has given its result, so the caller gets it."""

    _threads: Executor | None = None
    looking: Literal["before", "after"] | None = None
    """Whether it is asyncio itself that looks at the clock, before or after it waits."""
    own_files = 2
    """Those that the loop and the conductor have registered themselves."""

    def __init__(self) -> None:
        main = threading.current_thread() is threading.main_thread()
        self.conductor = source.conductor if main else None
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self.set_task_factory(make_task)  # type: ignore[arg-type]  # typeshed wants a generic one
        if self.conductor is not None:
            self.add_reader(self.conductor.fileno(), _never)

    def run_forever(self) -> None:
        before, source.running = source.running, source.running or self.conductor is not None
        try:
            super().run_forever()
        finally:
            source.running = before

    def _run_once(self) -> None:
        self.looking = "before"
        super()._run_once()  # type: ignore[misc]  # asyncio's own, and as old as asyncio

    def time(self) -> float:
        if self.conductor is None:
            return super().time()
        if self.looking is None:
            return self.conductor.read()
        if self.looking == "after":  # asyncio looks once after it has waited; from then on it is the body that asks
            self.looking = None
        return self.conductor.now()

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Args], Any], *args: *_Args
    ) -> asyncio.Future[Any]:
        if executor is None:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(thread_name_prefix="asyncio")
            executor = self._threads
        return super().run_in_executor(executor, func, *args)

    def set_default_executor(self, executor: Any) -> None:
        self._threads = executor

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def _never() -> None:
    """The selector takes care of the conductor's socket itself."""


_as_completed = asyncio.as_completed
_wait_for = asyncio.wait_for


def _as_completed_in_order(fs: Any, **options: Any) -> Any:
    """asyncio's own puts coroutines into a set: their tasks would be made in the order of their addresses in memory."""
    return _as_completed([asyncio.ensure_future(one) for one in dict.fromkeys(fs)], **options)


def _taking_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """This function of asyncio, which then takes what a door gave for something to await (authoring/awaiting.py)."""

    @functools.wraps(function)
    def call(coro_or_future: Any, **options: Any) -> Any:
        return function(awaiting.coroutine_of(coro_or_future), **options)

    return call


async def _wait_for_value(fut: Any, timeout: float | None) -> Any:
    return await _wait_for(awaiting.coroutine_of(fut), timeout)


def use_for_asyncio_run() -> None:
    """A body that calls `asyncio.run` itself gets this loop too; `as_completed` keeps the order of what it is given."""
    asyncio.as_completed = _as_completed_in_order
    asyncio.wait_for = _wait_for_value
    for name in ("ensure_future", "_ensure_future"):  # the latter is what gather has in Python 3.11
        if (function := getattr(asyncio.tasks, name, None)) is not None:
            setattr(asyncio.tasks, name, _taking_values(function))
    asyncio.ensure_future = asyncio.tasks.ensure_future
    policy: Any = asyncio.get_event_loop_policy()
    policy._loop_factory = Loop
