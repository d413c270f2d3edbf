"""The event loop of bodies: its tasks have paths, and on replay it gives recorded answers in their order and lets time pass at once.

When an asyncio loop has nothing to do it asks its selector to wait. That is the moment in which everything that the last answer led
to has happened, so it is when the next recorded answer is given: the body then sees answers and timers in the order of the first time.
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
    """Who plays the recorded answers: the turns of the run."""

    def now(self) -> float:
        """Seconds of the run's clock."""

    def read(self) -> float:
        """The same, for timers that the body sets."""

    def on_idle(self, timer: float | None, *, elsewhere: bool) -> float | None:
        """The loop would wait, until its next timer at `timer`; `elsewhere`: something outside the run's calls may wake it.

        Gives the seconds to wait for real, None for as long as it takes, 0 when there is something to do now.
        """

    def on_interruption(self, timer: float | None) -> None:
        """Something else than the run's calls has happened, before the next timer had its turn."""

    def on_readable(self) -> None:
        """There is something to read on the run's socket."""

    def fileno(self) -> int: ...


class _ActiveRun:
    """Where loops find the conductor of the run that goes on; one for the process."""

    conductor: Conductor | None = None
    is_loop_running = False
    """Whether the main thread is in a loop: threads then take their recorded answers in its order."""


active = _ActiveRun()


_OFTEN: Final = 100
"""So many times in a row a loop may have something to do before what waits outside of it has a turn."""


class _Selector(selectors.DefaultSelector):
    """Lets the conductor decide what happens next when nothing is left to do."""

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
        """All but the conductor's socket, whose answers are given when it is their turn."""
        here = conductor.fileno()
        if all(key.fd != here for key, _ in ready):
            return ready
        conductor.on_readable()
        return [(key, events) for key, events in ready if key.fd != here]


class Jobs:
    """What a loop's default executor has been given, and whom the loop waits for at its end.

    A body gives a job up by cancelling it while the loop runs, as `wait_for` does: nobody waits for its thread then. At the end of
    asyncio.run everything is cancelled from outside of the loop: that gives up nothing.
    """

    def __init__(self) -> None:
        self._open: dict[Future[Any], asyncio.Future[Any]] = {}

    def add(self, job: Future[Any], loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
        self._open[job] = future = asyncio.wrap_future(job, loop=loop)
        job.add_done_callback(lambda job: self._open.pop(job, None))
        return future

    def cancelled(self) -> set[Future[Any]]:
        return {job for job, future in list(self._open.items()) if future.cancelled()}

    def give_up(self, but: set[Future[Any]]) -> None:
        """Those that are cancelled by now, but for some."""
        for job in self.cancelled() - but:
            self._open.pop(job, None)

    async def wait(self, timeout: float | None) -> None:
        if jobs := [asyncio.wrap_future(job) for job in list(self._open)]:
            await asyncio.wait(jobs, timeout=timeout)


class Loop(asyncio.SelectorEventLoop):
    """In the main thread it is conducted: what happens in it is in the order of the run's own clock. In another thread it is asyncio's
    own in all but this: it watches the run's socket too, and its tasks have paths.
    """

    _default_executor: Executor | None
    looking: Literal["before", "after"] | None = None
    """Whether it is asyncio itself that looks at the clock, before or after it waits."""
    own_files = 2
    """Those that the loop and the conductor have registered themselves."""

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
        """Take part in the run that goes on, as a loop of this thread: one may be made in one thread and run in another."""
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
        else:  # what is left of a run that has ended
            self.remove_reader(self._run.fileno())

    def next_timer(self) -> float | None:
        timers = [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        return min(timers, default=None)

    def wake(self) -> None:
        """Look again at what there is to do. From any thread."""
        with contextlib.suppress(OSError):  # it is closed
            self._write_to_self()  # type: ignore[attr-defined]  # asyncio's own, and as old as asyncio

    def call_from_reader(self, callback: Callable[[], Any]) -> None:
        """As call_soon_threadsafe, from whichever thread reads the answers."""
        super().call_soon_threadsafe(callback)

    def run_forever(self) -> None:
        self._join()
        before, active.is_loop_running = active.is_loop_running, active.is_loop_running or self.conductor is not None
        cancelled = self._jobs.cancelled()
        try:
            super().run_forever()
        finally:
            self._jobs.give_up(cancelled)
            active.is_loop_running = before

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
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        self._check_closed()  # type: ignore[attr-defined]  # as asyncio's own does
        self._check_default_executor()  # type: ignore[attr-defined]
        if self._default_executor is None:
            self._default_executor = ThreadPoolExecutor(thread_name_prefix="asyncio")
        return self._jobs.add(self._default_executor.submit(func, *args), self)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """As asyncio's, it waits for what the executor has been given, but not for what the body has given up."""
        self._executor_shutdown_called = True
        if self._default_executor is None:
            return
        self._default_executor.shutdown(wait=False)
        await self._jobs.wait(timeout)


def _never() -> None:
    """The selector takes care of the conductor's socket itself."""


_as_completed = asyncio.as_completed
_wait_for = asyncio.wait_for


def _as_completed_in_order(fs: Any, **options: Any) -> Any:
    """asyncio's own puts coroutines into a set: their tasks would be made in the order of their addresses in memory."""
    return _as_completed([asyncio.ensure_future(one) for one in dict.fromkeys(fs)], **options)


def _taking_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """This function of asyncio, which then takes what a door gave for something to await (authoring/awaited_values.py)."""

    @functools.wraps(function)
    def call(coro_or_future: Any, **options: Any) -> Any:
        return function(awaited_values.coroutine_of(coro_or_future), **options)

    return call


def _stop_when_done(future: asyncio.Future[Any]) -> None:
    """As asyncio's own, which asks the exception for its class: where that raises, its loop would never stop."""
    if future.cancelled() or not issubclass(type(future.exception()), SystemExit | KeyboardInterrupt):
        future.get_loop().stop()


async def _wait_for_value(fut: Any, timeout: float | None) -> Any:
    return await _wait_for(awaited_values.coroutine_of(fut), timeout)


class Policy(asyncio.DefaultEventLoopPolicy):
    """Gives bodies our loop. In place of a current loop that is closed it gives a new one, where a script would have been at its end."""

    _loop_factory = Loop

    def get_event_loop(self) -> asyncio.AbstractEventLoop:
        local: Any = self._local  # type: ignore[attr-defined]
        if local._loop is not None and local._loop.is_closed():
            self.set_event_loop(self.new_event_loop())
        return super().get_event_loop()


def use_for_asyncio_run() -> None:
    """A body that calls `asyncio.run` itself gets this loop too; `as_completed` keeps the order of what it is given."""
    asyncio.as_completed = _as_completed_in_order
    asyncio.wait_for = _wait_for_value
    for name in ("ensure_future", "_ensure_future"):  # the latter is what gather has in Python 3.11
        if (function := getattr(asyncio.tasks, name, None)) is not None:
            setattr(asyncio.tasks, name, _taking_values(function))
    asyncio.ensure_future = asyncio.tasks.ensure_future
    asyncio.base_events._run_until_complete_cb = _stop_when_done  # type: ignore[attr-defined]  # private, the same in 3.11 to 3.14
    asyncio.set_event_loop_policy(Policy())
