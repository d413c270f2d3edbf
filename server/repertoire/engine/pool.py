"""Worker processes: pooled and reused for the operator's files, a fresh fork for each run of code created through a tool, and for
each look at a file.

A lease is the only way to one. What leaves a lease without having been marked `reusable` is killed with its whole process group. What
was marked is used again when it says that its run has changed nothing in it (`idle`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
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
from ..settings import Settings
from .idle_workers import Idle
from .leases import Lease, Places
from .scratch_folders import Scratch
from .worker_channel import WorkerChannel
from .worker_command import start_python, worker_environment
from .zygote_client import Zygote

logger = logging.getLogger(__name__)

_FEWEST: Final = 4
"""Workers on a small machine, where the settings do not say."""
_TRIES: Final = 5
"""How often a process that forks workers is started again for one run, when it dies while the run waits for its worker."""
_TRY_AGAIN_S: Final = 0.1
"""Before the first new try; doubled up to the next number."""
_LOOK_AGAIN_S: Final = 2.0
_TELL_AGAIN_S: Final = 30.0
"""How often the log hears that the machine has no room for a worker."""
_SHORT_OF: Final = {
    errno.EMFILE: "file descriptors (this server has as many files open as it may: raise `ulimit -n`)",
    errno.ENFILE: "file descriptors (the machine has as many files open as it may)",
    errno.EAGAIN: "processes (raise `ulimit -u`, or the limit of the container)",
    errno.ENOMEM: "memory for another process",
}
"""What passes: the run waits for it."""

Told = Callable[[str | None], None]
"""Hears what a run waits for before it has a worker, in words; None: for nothing any more."""


def _nobody(what: str | None) -> None:
    pass


class Worker:
    """A process that runs one body at a time. `known` holds the versions it has loaded."""

    is_pooled: bool

    def __init__(self, channel: WorkerChannel, pid: int, *, scratch: str | None = None) -> None:
        self.channel = channel
        self.pid = pid
        self.scratch = scratch
        self.known: set[str] = set()
        self.reusable = False
        """Whether it has answered for good and is as it was before; only pooled ones are used again then."""
        self.lease: Lease
        """The place of the run that has this worker now."""

    @property
    def lost_zygote(self) -> bool:
        """Whether what had forked it is gone: it died of that."""
        return False

    async def exit_code(self) -> int | None:
        """As subprocess has it (negative: a signal); None when it is not known within a second."""
        raise NotImplementedError

    async def end(self) -> None:
        """Kill and reap."""
        raise NotImplementedError


class StartedWorker(Worker):
    """A Python of its own, started while no zygote was ready."""

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
        self, channel: WorkerChannel, number: int, pid: int, zygote: Zygote, scratch: str | None, *, is_pooled: bool
    ) -> None:
        super().__init__(channel, pid, scratch=scratch)
        self.is_pooled = is_pooled
        self._number = number
        self._zygote = zygote

    @property
    def lost_zygote(self) -> bool:
        return self._zygote.dead

    async def exit_code(self) -> int | None:
        with anyio.move_on_after(1):
            return await self._zygote.ended(self._number)
        return None

    def stop(self) -> None:
        """Kill it, at once."""
        self.channel.close()
        self._zygote.kill(self._number)

    async def end(self) -> None:
        self.stop()
        if self.scratch is not None:
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(self.scratch or "", ignore_errors=True))


class WorkerPool:
    """At most `workers` leases at once; further ones wait in turn, at most `max_queued` of them.

    One forked child waits ahead of its run, and the next is forked as soon as it is taken: forking and burying cost milliseconds
    that no answer needs to wait for. They are tasks of the group given here.
    """

    def __init__(self, settings: Settings, tasks: anyio.abc.TaskGroup, scratch: Scratch) -> None:
        limits = settings.limits
        self._scratch = scratch
        self._limits = limits
        self._tasks = tasks
        self._spare: ForkedWorker | None = None
        self.size = limits.workers or max(_FEWEST, os.cpu_count() or 1)
        self._places = Places(self.size)
        self._looks = count()
        self._told_at = float("-inf")
        self._idle = Idle(tasks, self._replace)
        self._environment = worker_environment()
        self._flags = ("--prefer-installed",) if settings.prefer_installed else ()
        self._zygote: Zygote | None = None
        self._zygote_lock = anyio.Lock()
        self._warming: Zygote | None = None
        self._warm_lock = anyio.Lock()
        self._trusted: Zygote | None = None
        """As `_warming`, once that has forked its first child."""
        self._has_started = False

    @property
    def has_room(self) -> bool:
        return self._places.has_room

    def check_room(self) -> None:
        if (waiting := self._places.waiting) >= self._limits.max_queued:
            raise Busy(f"{waiting} runs wait for a worker already.", retry_after_s=5)

    @asynccontextmanager
    async def lease(
        self, *, trusted: bool, once: bool = False, told: Told = _nobody, caller: str = "", name: str | None = None
    ) -> AsyncIterator[Worker]:
        """A worker for one run or one inspection. Set its `reusable` once it has answered for good; `once`: it is not used again.

        Where all are taken, callers take turns; `before(name)` tells how long it will be.

        What starts workers may die, and the machine may be out of descriptors or processes for a while: neither is the run's doing,
        so it waits, and `told` hears for what. Raises OSError when no worker could be started in several tries.
        """
        take_place = partial(self._places.take, caller, name or f"look {next(self._looks)}")
        worker, lease = await self._leased(trusted, once, told, take_place)
        try:
            worker.reusable = False
            worker.lease = lease
            yield worker
        finally:
            try:
                if worker.is_pooled and worker.reusable and not worker.channel.closed:
                    self._idle.give_back(worker)
                elif isinstance(worker, ForkedWorker):
                    worker.stop()
                    self._tasks.start_soon(self._bury, worker)
                else:
                    with anyio.CancelScope(shield=True):
                        await worker.end()
            finally:
                lease.end()

    def before(self, name: str) -> int | None:
        """How many runs get a worker before this one; None: it does not wait for one."""
        return self._places.before(name)

    async def _leased(
        self, trusted: bool, once: bool, told: Told, take_place: Callable[[], Awaitable[None]]
    ) -> tuple[Worker, Lease]:
        tries, pause = 0, _TRY_AGAIN_S
        while True:
            await take_place()
            try:
                worker = await (self._forked() if not trusted else self._single() if once else self._pooled())
            except OSError as error:
                self._places.give_back()
                if (lacks := _SHORT_OF.get(error.errno or 0)) is not None:
                    await self._free_descriptors()
                    self._tell_operator(lacks)
                    told(lacks)
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
                told(None)
                return worker, Lease(self._places)

    async def _free_descriptors(self) -> None:
        """Workers that nobody uses now have some, and processes too."""
        await self._idle.end_free()

    def _tell_operator(self, lacks: str) -> None:
        if time.monotonic() - self._told_at >= _TELL_AGAIN_S:
            self._told_at = time.monotonic()
            logger.warning("runs wait for %s", lacks)

    async def close(self) -> None:
        await self._idle.end_all()
        if self._spare is not None:
            await self._spare.end()
        self._spare = None
        for zygote in (self._zygote, self._warming):
            if zygote is not None:
                await zygote.close()

    async def _bury(self, dead: ForkedWorker) -> None:
        with anyio.CancelScope(shield=True):
            await dead.end()

    async def _fork_ahead(self) -> None:
        try:
            ahead = await self._fork()
        except OSError:
            logger.exception("forking ahead")  # the run that needs one tries again and answers for it
            return
        if self._spare is not None:  # another run was quicker
            await ahead.end()
        else:
            self._spare = ahead

    async def _pooled(self) -> Worker:
        if (worker := await self._idle.take()) is not None:
            return worker
        if self._trusted is not None and not self._trusted.dead:
            return await self._child(self._trusted, is_trusted=True)
        if self._has_started:  # a second one: more will be wanted, and a fork takes a hundredth of the time
            self._tasks.start_soon(self._replace)
        self._has_started = True
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await start_python(theirs, self._environment, *self._flags)
            return StartedWorker(await WorkerChannel.over(ours), process)
        except BaseException:
            ours.close()
            raise

    async def _single(self) -> Worker:
        """A worker that is given one frame."""
        return await self._child(await self._warm(), is_trusted=True, once=True)

    async def _replace(self) -> None:
        """Have one that waits for the next run."""
        try:
            zygote = await self._warm()
            if not len(self._idle):
                self._idle.put(await self._child(zygote, is_trusted=True))
        except OSError:
            logger.exception("starting what forks workers")  # then each is started by itself

    async def _warm(self) -> Zygote:
        """What forks workers for the operator's files, started when it is not there. Raises OSError."""
        async with self._warm_lock:
            if self._trusted is None or self._trusted.dead:
                with anyio.CancelScope(shield=True):  # whoever closes the pool finds it and ends it
                    zygote = await Zygote.start(self._environment, *self._flags)
                    before, self._warming = self._warming, zygote
                if before is not None:
                    await before.close()
                self._idle.put(await self._child(zygote, is_trusted=True))  # it is warm when it has forked one
                self._trusted = zygote
            return self._trusted

    async def _forked(self) -> Worker:
        spare, self._spare = self._spare, None
        self._tasks.start_soon(self._fork_ahead)
        if spare is None:
            return await self._fork()
        if spare.channel.closed:
            await spare.end()
            return await self._fork()
        return spare

    async def _fork(self) -> ForkedWorker:
        async with self._zygote_lock:
            if self._zygote is None or self._zygote.dead:
                self._zygote = await Zygote.start(self._environment, *self._flags)
        return await self._child(self._zygote, is_trusted=False)

    async def _child(self, zygote: Zygote, *, is_trusted: bool, once: bool = False) -> ForkedWorker:
        scratch = None if is_trusted else self._scratch.new()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                number, pid = await zygote.fork(theirs, None if is_trusted else self._limits, once=once)
            channel = await WorkerChannel.over(ours)
        except BaseException:
            ours.close()
            if scratch is not None:
                shutil.rmtree(scratch, True)
            raise
        return ForkedWorker(channel, number, pid, zygote, scratch, is_pooled=is_trusted and not once)
