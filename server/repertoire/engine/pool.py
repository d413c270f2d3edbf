"""WorkerPool: leases worker processes to runs and inspections; used by Attempts and Inspector.

Runs of the operator's files get pooled workers, which are reused. A run of code that was created through a tool gets a fresh fork, and
so does each inspection. A lease is the only way to a worker. After its lease a worker is killed with its whole process group, unless it
was marked `reusable`. A reusable worker is used again if it says that its run has changed nothing in it (`IdleWorkers`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import Final

import anyio
import anyio.abc
import anyio.to_thread

from ..errors import Busy
from ..home import artifacts_path
from ..sandbox.layers import Isolation
from ..settings import Settings
from .idle_workers import IdleWorkers
from .leases import Lease, Places
from .machine_memory import trusted_memory_mb
from .sandboxed_zygote import Kind, SandboxedZygotes
from .scratch_folders import Scratch
from .worker_channel import WorkerChannel
from .worker_command import start_python, worker_environment
from .zygote_client import ZygoteClient

logger = logging.getLogger(__name__)

_FEWEST: Final = 4
"""Workers on a small machine, if the settings give no number."""
_TRIES: Final = 5
"""How often a zygote is started again for one run, if it dies while the run waits for its worker."""
_TRY_AGAIN_S: Final = 0.1
"""Pause before the second try. Each further pause is twice as long, up to `_LOOK_AGAIN_S`."""
_LOOK_AGAIN_S: Final = 2.0
_TELL_AGAIN_S: Final = 30.0
"""How often the log says that the machine has no room for a worker."""
_SHORT_OF: Final = {
    errno.EMFILE: "file descriptors (this server has as many files open as it may: raise `ulimit -n`)",
    errno.ENFILE: "file descriptors (the machine has as many files open as it may)",
    errno.EAGAIN: "processes (raise `ulimit -u`, or the limit of the container)",
    errno.ENOMEM: "memory for another process",
}
"""Shortages that pass: the run waits."""

OnWait = Callable[[str | None], None]
"""Called with the reason why a run waits for a worker, for people. None: it does not wait any more."""


def _do_nothing(reason: str | None) -> None:
    pass


class Worker:
    """A process that runs one body at a time. `known`: keys of the versions that it has loaded."""

    is_pooled: bool

    def __init__(self, channel: WorkerChannel, pid: int, *, scratch: str | None = None) -> None:
        self.channel = channel
        self.pid = pid
        self.scratch = scratch
        self.known: set[str] = set()
        self.artifacts = ""
        """HOME/artifacts."""
        self.sees_files = True
        """It sees the host's files. A worker for untrusted code does not."""
        self.reusable = False
        """It has given its final answer and nothing runs on in it. Only pooled workers are used again."""
        self.lease: Lease
        """The lease of the run that has this worker now."""

    @property
    def lost_zygote(self) -> bool:
        """The zygote that had forked it is gone, and that has killed it."""
        return False

    async def exit_code(self) -> int | None:
        """As in subprocess (negative: a signal). None: it is not known within a second."""
        raise NotImplementedError

    async def end(self) -> None:
        """Kill and reap."""
        raise NotImplementedError


class StartedWorker(Worker):
    """A separate Python process, started while no zygote was ready."""

    is_pooled = True

    def __init__(self, channel: WorkerChannel, process: asyncio.subprocess.Process) -> None:
        super().__init__(channel, process.pid)
        self._process = process

    async def exit_code(self) -> int | None:
        with anyio.move_on_after(1):
            return await self._process.wait()
        return None

    async def end(self) -> None:
        self.channel.close()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it is its own group's leader and not yet reaped
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


class ForkedWorker(Worker):
    def __init__(
        self,
        channel: WorkerChannel,
        number: int,
        pid: int,
        zygote: ZygoteClient,
        scratch: str | None,
        *,
        is_pooled: bool,
    ) -> None:
        super().__init__(channel, pid, scratch=scratch)
        self.is_pooled = is_pooled
        self.sees_files = scratch is None
        self._number = number
        self._zygote = zygote

    @property
    def lost_zygote(self) -> bool:
        return self._zygote.dead

    async def exit_code(self) -> int | None:
        with anyio.move_on_after(1):
            return await self._zygote.exit_code(self._number)
        return None

    def stop(self) -> None:
        """Kill it, at once."""
        self.channel.close()
        self._zygote.kill(self._number)

    async def end(self) -> None:
        self.stop()


class WorkerPool:
    """At most `workers` leases at once. Further ones wait in turn, at most `max_queued` of them.

    One forked child is kept ready for the next run of created code, and the next is forked as soon as it is taken. Forking and reaping
    take milliseconds, so they are tasks of the given group, and no answer waits for them.
    """

    def __init__(self, settings: Settings, tasks: anyio.abc.TaskGroup, scratch: Scratch) -> None:
        limits = settings.limits
        self._artifacts = artifacts_path(os.path.realpath(settings.home))
        self._limits = limits
        self._tasks = tasks
        self._spare: dict[Kind, ForkedWorker | None] = {"plain": None, "agents": None}
        self.size = limits.workers or max(_FEWEST, os.cpu_count() or 1)
        self._places = Places(self.size)
        self._inspections = count()
        self._logged_at = float("-inf")
        self._idle = IdleWorkers(tasks, self._refill)
        self._environment = worker_environment()
        self._flags = ("--prefer-installed",) if settings.prefer_installed else ()
        self._sandboxed = SandboxedZygotes(limits, self.size, scratch, self._flags, tasks)
        self._trusted_flags = (*self._flags, "--memory-mb", str(trusted_memory_mb(limits)))
        self._warming: ZygoteClient | None = None
        self._warm_lock = anyio.Lock()
        self._trusted: ZygoteClient | None = None
        """The zygote of `_warming`, once it has forked its first child."""
        self._has_started = False

    async def isolation(self) -> Isolation:
        """The walls around untrusted runs on this machine. Raises OSError when no process for them can be started."""
        return await self._sandboxed.isolation()

    @property
    def known_isolation(self) -> Isolation | None:
        """The same. None: no process for untrusted code has been started yet."""
        return self._sandboxed.known

    @property
    def has_room(self) -> bool:
        return self._places.has_room

    def check_room(self) -> None:
        if (waiting := self._places.waiting) >= self._limits.max_queued:
            raise Busy(f"{waiting} runs wait for a worker already.", retry_after_s=5)

    @asynccontextmanager
    async def lease(
        self,
        *,
        trusted: bool,
        kind: Kind = "plain",
        once: bool = False,
        on_wait: OnWait = _do_nothing,
        caller: str = "",
        name: str | None = None,
    ) -> AsyncIterator[Worker]:
        """A worker for one run or one inspection. Set its `reusable` after its final answer. `once`: it is not used again. `kind`: the
        zygote that forks workers for untrusted code.

        If all workers are taken, callers take turns. `before(name)` gives the position in the queue.

        The zygote may die, and the machine may be short of descriptors or processes for a while. Neither is the run's fault, so the run
        waits, and `on_wait` gets the reason. Raises OSError when no worker could be started in several tries.
        """
        take_place = partial(self._places.take, caller, name or f"look {next(self._inspections)}")
        worker, lease = await self._take_worker(partial(self._find_worker, trusted, kind, once), on_wait, take_place)
        try:
            worker.reusable = False
            worker.lease, worker.artifacts = lease, self._artifacts
            yield worker
        finally:
            try:
                if worker.is_pooled and worker.reusable and not worker.channel.closed:
                    self._idle.give_back(worker)
                elif isinstance(worker, ForkedWorker):
                    worker.stop()
                    self._tasks.start_soon(self._reap, worker)
                else:
                    with anyio.CancelScope(shield=True):
                        await worker.end()
            finally:
                lease.end()

    def before(self, name: str) -> int | None:
        """How many runs get a worker before this one. None: it does not wait for one."""
        return self._places.before(name)

    async def _take_worker(
        self, find: Callable[[], Awaitable[Worker]], on_wait: OnWait, take_place: Callable[[], Awaitable[None]]
    ) -> tuple[Worker, Lease]:
        tries, pause = 0, _TRY_AGAIN_S
        while True:
            await take_place()
            try:
                worker = await find()
            except OSError as error:
                self._places.give_back()
                if (shortage := _SHORT_OF.get(error.errno or 0)) is not None:
                    await self._idle.end_free()  # they have descriptors, and are processes too
                    self._log_shortage(shortage)
                    on_wait(shortage)
                elif (tries := tries + 1) >= _TRIES:
                    raise
                else:
                    logger.warning("no worker could be started (%s); another try", error)
                await anyio.sleep(pause)
                pause = min(2 * pause, _LOOK_AGAIN_S)
            except BaseException:
                self._places.give_back()
                raise
            else:
                on_wait(None)
                return worker, Lease(self._places)

    async def _find_worker(self, trusted: bool, kind: Kind, once: bool) -> Worker:
        if not trusted:
            return await self._take_spare(kind)
        return await self._fork_for_one_frame() if once else await self._take_pooled()

    def _log_shortage(self, shortage: str) -> None:
        if time.monotonic() - self._logged_at >= _TELL_AGAIN_S:
            self._logged_at = time.monotonic()
            logger.warning("runs wait for %s", shortage)

    async def close(self) -> None:
        await self._idle.end_all()
        for spare in self._spare.values():
            if spare is not None:
                await spare.end()
        self._spare = {"plain": None, "agents": None}
        await self._sandboxed.close()
        if self._warming is not None:
            await self._warming.close()

    async def _reap(self, dead: ForkedWorker) -> None:
        with anyio.CancelScope(shield=True):
            await dead.end()

    async def _fork_ahead(self, kind: Kind) -> None:
        try:
            ahead = await self._fork_untrusted(kind)
        except OSError:
            logger.exception("forking ahead")  # a run that needs a worker tries again and reports the error
            return
        if self._spare[kind] is not None:  # another task has filled the slot
            await ahead.end()
        else:
            self._spare[kind] = ahead

    async def _take_pooled(self) -> Worker:
        if (worker := await self._idle.take()) is not None:
            return worker
        if self._trusted is not None and not self._trusted.dead:
            return await self._fork_worker(self._trusted, is_trusted=True)
        if self._has_started:  # more workers will be wanted, and a fork takes a hundredth of the time
            self._tasks.start_soon(self._refill)
        self._has_started = True
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await start_python(theirs, self._environment, *self._trusted_flags)
            return StartedWorker(await WorkerChannel.over(ours), process)
        except BaseException:
            ours.close()
            raise

    async def _fork_for_one_frame(self) -> Worker:
        return await self._fork_worker(await self._warm_zygote(), is_trusted=True, once=True)

    async def _refill(self) -> None:
        """Have an idle worker ready for the next run."""
        try:
            zygote = await self._warm_zygote()
            if not len(self._idle):
                self._idle.put(await self._fork_worker(zygote, is_trusted=True))
        except OSError:
            # until a zygote can be started, each worker is started as a Python of its own
            logger.exception("starting the zygote of trusted workers")

    async def _warm_zygote(self) -> ZygoteClient:
        """The zygote that forks workers for the operator's files. It is started if there is none. Raises OSError."""
        async with self._warm_lock:
            if self._trusted is None or self._trusted.dead:
                with anyio.CancelScope(shield=True):  # `close` must find it in `_warming` and end it
                    zygote = await ZygoteClient.start(self._environment, *self._trusted_flags)
                    before, self._warming = self._warming, zygote
                if before is not None:
                    await before.close()
                self._idle.put(await self._fork_worker(zygote, is_trusted=True))
                self._trusted = zygote  # a zygote is warm once it has forked a worker
            return self._trusted

    async def _take_spare(self, kind: Kind) -> Worker:
        spare, self._spare[kind] = self._spare[kind], None
        self._tasks.start_soon(self._fork_ahead, kind)
        if spare is None:
            return await self._fork_untrusted(kind)
        if spare.channel.closed:
            await spare.end()
            return await self._fork_untrusted(kind)
        return spare

    async def _fork_untrusted(self, kind: Kind) -> ForkedWorker:
        return await self._fork_worker(await self._sandboxed.get(kind), is_trusted=False)

    async def _fork_worker(self, zygote: ZygoteClient, *, is_trusted: bool, once: bool = False) -> ForkedWorker:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                number, child = await zygote.fork(theirs, None if is_trusted else self._limits, once=once)
            channel = await WorkerChannel.over(ours)
        except BaseException:
            ours.close()
            raise
        scratch = child.scratch or None
        return ForkedWorker(channel, number, child.pid, zygote, scratch, is_pooled=is_trusted and not once)
