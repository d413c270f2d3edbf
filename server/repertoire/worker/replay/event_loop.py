"""Loop: the asyncio event loop of bodies; its tasks have paths, and a Conductor decides the order of answers and timers.

An asyncio loop with nothing to do asks its selector to wait. At this moment everything that the last answer led to has happened. So this
is where the selector asks the Conductor for the next event (replay, rule 5). The body then sees answers and timers in the same order in
the first execution and on replay; on replay timers take no time.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import selectors
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Final, Literal, Protocol, TypeVarTuple

from ...authoring import awaited_values
from .call_paths import make_task

_Args = TypeVarTuple("_Args")


class Conductor(Protocol):
    """Decides what happens next in an idle loop; EventOrder implements it."""

    def now(self) -> float:
        """The run's clock, in seconds."""

    def read(self) -> float:
        """The time for timers that the body sets."""

    def on_idle(self, timer: float | None, *, elsewhere: bool) -> float | None:
        """The loop has nothing to do before its next timer, at `timer`. `elsewhere`: a file outside the run's calls may wake it.

        Gives the seconds to wait in real time; None: without limit; 0: there is something to do now.
        """

    def on_interruption(self, timer: float | None) -> None:
        """A file outside the run's calls has woken the loop, before its next timer was due."""

    def on_readable(self) -> None:
        """The run's socket has something to read."""

    def fileno(self) -> int: ...


class _ActiveRun:
    """The run that is executed in this process; loops find its conductor here."""

    conductor: Conductor | None = None
    is_loop_running = False
    """True if a loop runs in the main thread. Threads then get their recorded answers in its order (replay, rule 4c)."""


active = _ActiveRun()


_OFTEN: Final = 100
"""A loop that always has something to do asks its conductor after this many iterations."""


class _Selector(selectors.DefaultSelector):
    """Asks the conductor for the next event when the loop has nothing to do."""

    loop: Loop
    _busy = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        try:
            return self._select(timeout)
        finally:
            self.loop.looking = "after"

    def _select(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        conductor = self.loop.conductor
        if conductor is None:
            return super().select(timeout)
        if timeout == 0:
            self._busy += 1
            if self._busy % _OFTEN == 0:  # the body may only yield: `while not done: await asyncio.sleep(0)`
                conductor.on_idle(self.loop.next_timer(), elsewhere=True)
            return self._others(conductor, super().select(0))
        self._busy = 0
        timer = None if timeout is None else conductor.now() + timeout
        while True:
            wait = conductor.on_idle(timer, elsewhere=len(self.get_map()) > self.loop.own_files)
            if wait == 0:
                return self._others(conductor, super().select(0))
            if others := self._others(conductor, super().select(wait)):
                conductor.on_interruption(timer)
                return others

    def _others(
        self, conductor: Conductor, ready: list[tuple[selectors.SelectorKey, int]]
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """The ready files without the run's socket: the conductor gives its answers when their turn comes."""
        here = conductor.fileno()
        if all(key.fd != here for key, _ in ready):
            return ready
        conductor.on_readable()
        return [(key, events) for key, events in ready if key.fd != here]


class Jobs:
    """The jobs of a loop's default executor that the loop waits for at its end.

    A body abandons a job by cancelling it while the loop runs, as `wait_for` does. The loop does not wait for its thread then. At the end
    of asyncio.run all jobs are cancelled from outside of the loop; these are not abandoned.
    """

    def __init__(self) -> None:
        self._open: dict[Future[Any], asyncio.Future[Any]] = {}

    def add(self, job: Future[Any], loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
        self._open[job] = future = asyncio.wrap_future(job, loop=loop)
        job.add_done_callback(lambda job: self._open.pop(job, None))
        return future

    def cancelled(self) -> set[Future[Any]]:
        return {job for job, future in list(self._open.items()) if future.cancelled()}

    def abandon(self, but: set[Future[Any]]) -> None:
        """Abandon the jobs that are cancelled by now, except those in `but`."""
        for job in self.cancelled() - but:
            self._open.pop(job, None)

    async def wait(self, timeout: float | None) -> None:
        if jobs := [asyncio.wrap_future(job) for job in list(self._open)]:
            await asyncio.wait(jobs, timeout=timeout)


class Loop(asyncio.SelectorEventLoop):
    """In the main thread it has a conductor, so everything in it happens in the order of the run's own clock.

    In another thread it is asyncio's loop with two additions: it also watches the run's socket, and its tasks have paths.
    """

    _default_executor: Executor | None
    looking: Literal["before", "after"] | None = None
    """Set while asyncio itself reads the clock, before or after it waits; None: the body reads it."""
    own_files = 2
    """Number of files that the loop and the conductor have registered themselves."""

    def __init__(self) -> None:
        self.conductor: Conductor | None = None
        self._run: Conductor | None = None
        self._jobs = Jobs()
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self.set_task_factory(make_task)  # type: ignore[arg-type]  # typeshed wants a generic one
        self._join()

    def _join(self) -> None:
        """Join the active run as a loop of this thread. A loop may be made in one thread and run in another."""
        run = active.conductor
        conductor = run if threading.current_thread() is threading.main_thread() else None
        if run is self._run and conductor is self.conductor:
            return
        if self._run is not None:
            self.remove_reader(self._run.fileno())
        before = self.time()
        self._run, self.conductor = run, conductor
        moved = self.time() - before
        for timer in self._scheduled:  # type: ignore[attr-defined]  # asyncio's own, and as old as asyncio
            timer._when += moved
        if run is not None:
            self.add_reader(run.fileno(), _never if conductor else self._on_readable)

    def _on_readable(self) -> None:
        assert self._run is not None
        if active.conductor is self._run:
            self._run.on_readable()
        else:  # the loop of a run that has ended
            self.remove_reader(self._run.fileno())

    def next_timer(self) -> float | None:
        timers = [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]  # asyncio's own, untyped
        return min(timers, default=None)

    def wake(self) -> None:
        """Make the loop look for its next event. From any thread."""
        with contextlib.suppress(OSError):  # the loop is closed
            self._write_to_self()  # type: ignore[attr-defined]  # asyncio's own, and as old as asyncio

    def call_from_reader(self, callback: Callable[[], Any]) -> None:
        """As call_soon_threadsafe, for the thread that reads the answers."""
        super().call_soon_threadsafe(callback)

    def run_forever(self) -> None:
        self._join()
        before, active.is_loop_running = active.is_loop_running, active.is_loop_running or self.conductor is not None
        cancelled = self._jobs.cancelled()
        try:
            super().run_forever()
        finally:
            self._jobs.abandon(cancelled)
            active.is_loop_running = before

    def _run_once(self) -> None:
        self.looking = "before"
        super()._run_once()  # type: ignore[misc]  # asyncio's own, and as old as asyncio

    def time(self) -> float:
        if self.conductor is None:
            return super().time()
        if self.looking is None:
            return self.conductor.read()
        if (
            self.looking == "after"
        ):  # asyncio reads the clock once after it has waited; all later readings are the body's
            self.looking = None
        return self.conductor.now()

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Args], Any], *args: *_Args
    ) -> asyncio.Future[Any]:
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        self._check_closed()  # type: ignore[attr-defined]  # as asyncio's own does
        self._check_default_executor()  # type: ignore[attr-defined]  # asyncio's own, untyped
        if self._default_executor is None:
            self._default_executor = ThreadPoolExecutor(thread_name_prefix="asyncio")
        return self._jobs.add(self._default_executor.submit(func, *args), self)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """As asyncio's, but it does not wait for jobs that the body has abandoned."""
        self._executor_shutdown_called = True
        if self._default_executor is None:
            return
        self._default_executor.shutdown(wait=False)
        await self._jobs.wait(timeout)


def _never() -> None:
    """Placeholder callback: the selector handles the run's socket itself."""


_as_completed = asyncio.as_completed
_wait_for = asyncio.wait_for


def _as_completed_in_order(fs: Any, **options: Any) -> Any:
    """asyncio.as_completed that makes tasks in the given order. asyncio's own uses a set, so their order would depend on addresses."""
    return _as_completed([asyncio.ensure_future(one) for one in dict.fromkeys(fs)], **options)


def _taking_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """The asyncio function, which then also accepts a value that a door returned (authoring/awaited_values.py)."""

    @functools.wraps(function)
    def call(coro_or_future: Any, **options: Any) -> Any:
        return function(awaited_values.coroutine_of(coro_or_future), **options)

    return call


def _stop_when_done(future: asyncio.Future[Any]) -> None:
    """As asyncio's own, which asks the exception for its `__class__`. If that raises, asyncio's loop would never stop."""
    if future.cancelled() or not issubclass(type(future.exception()), SystemExit | KeyboardInterrupt):
        future.get_loop().stop()


async def _wait_for_value(fut: Any, timeout: float | None) -> Any:
    return await _wait_for(awaited_values.coroutine_of(fut), timeout)


class Policy(asyncio.DefaultEventLoopPolicy):
    """Gives bodies our Loop. If the current loop is closed, it gives a new one: a script would have ended there, a worker goes on."""

    _loop_factory = Loop

    def get_event_loop(self) -> asyncio.AbstractEventLoop:
        local: Any = self._local  # type: ignore[attr-defined]  # asyncio's own, untyped
        if local._loop is not None and local._loop.is_closed():
            self.set_event_loop(self.new_event_loop())
        return super().get_event_loop()


def use_for_asyncio_run() -> None:
    """Patch asyncio, once for the process: bodies that call `asyncio.run` get our Loop, and `as_completed` keeps the given order."""
    asyncio.as_completed = _as_completed_in_order
    asyncio.wait_for = _wait_for_value
    for name in ("ensure_future", "_ensure_future"):  # gather uses the latter in Python 3.11
        if (function := getattr(asyncio.tasks, name, None)) is not None:
            setattr(asyncio.tasks, name, _taking_values(function))
    asyncio.ensure_future = asyncio.tasks.ensure_future
    asyncio.base_events._run_until_complete_cb = _stop_when_done  # type: ignore[attr-defined]  # private, the same in 3.11 to 3.14
    asyncio.set_event_loop_policy(Policy())
