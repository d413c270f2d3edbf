"""Sandboxed zygotes: start the processes that fork workers for untrusted code, and say which walls they have; used by WorkerPool.

There are two: one with the common modules loaded, and one with pydantic-ai as well, which takes more than a second to load. Each is
started when it is first wanted, and again when it has died.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sys
from typing import Final, Literal

import anyio
import anyio.abc
import anyio.to_thread

from ..limits import Limits
from ..sandbox.cgroup import Cgroup
from ..sandbox.elsewhere import isolation_of
from ..sandbox.launch import Launch, launches
from ..sandbox.layers import LAYERS, Isolation, Layer, LayerName
from .scratch_folders import Scratch
from .zygote_client import ZygoteClient

logger = logging.getLogger(__name__)

Kind = Literal["plain", "agents"]
_PRELOADED: Final[dict[Kind, tuple[str, ...]]] = {"plain": (), "agents": ("repertoire.agents.door_model",)}
_WITHOUT: Final = "REPERTOIRE_SANDBOX_WITHOUT"
"""Walls that a test switches off, with commas between them."""
_REMEDIES: Final[dict[LayerName, str]] = {
    "namespaces": "Install bubblewrap: `apt-get install bubblewrap`. In a container, allow user namespaces.",
    "user": "Do not start Repertoire as root, or install it in a folder that every user can read.",
    "landlock": "Use a kernel of 5.13 or newer with `landlock` among its security modules.",
    "seccomp": "Install libseccomp: `apt-get install libseccomp2`.",
}
_PROCESSES: Final = 1024
"""Threads and processes of all untrusted runs together, where their user is not their own."""
_SPARE_SLOTS: Final = 4
"""Scratch folders beyond one for each worker: for the fork that is kept ready, and for those that are being emptied."""


class SandboxedZygotes:
    def __init__(
        self, limits: Limits, workers: int, scratch: Scratch, flags: tuple[str, ...], tasks: anyio.abc.TaskGroup
    ) -> None:
        """`scratch`: for machines on which nothing can be mounted."""
        self._tasks = tasks
        self._limits = limits
        self._slots = workers + _SPARE_SLOTS
        self._scratch = scratch
        self._flags = flags
        self._running: dict[Kind, ZygoteClient] = {}
        self._launch: Launch | None = None
        """The way that has worked."""
        self.known: Isolation | None = None if sys.platform == "linux" else isolation_of(sys.platform)
        """The walls around untrusted runs. None: no zygote has been started yet."""
        self._cgroups: list[Cgroup] = []
        self._starting: dict[Kind, asyncio.Future[ZygoteClient]] = {}

    async def isolation(self) -> Isolation:
        """The walls around untrusted runs. Raises OSError when no zygote can be started."""
        if self.known is None:
            await self.get("plain")
        assert self.known is not None  # it is known when a zygote has been started
        return self.known

    async def get(self, kind: Kind) -> ZygoteClient:
        """The running zygote of this kind. Raises OSError."""
        running = self._running.get(kind)
        if running is not None and not running.dead:
            return running
        if (starting := self._starting.get(kind)) is None:
            starting = self._starting[kind] = asyncio.get_running_loop().create_future()
            self._tasks.start_soon(self._start_for, kind, starting)
        return await asyncio.shield(starting)

    async def _start_for(self, kind: Kind, waiting: asyncio.Future[ZygoteClient]) -> None:
        """Start a zygote for all who wait for it. Each of them may be cancelled meanwhile."""
        try:
            with anyio.CancelScope(shield=True):  # `close` must find it
                zygote = self._running[kind] = await self._start(kind)
        except OSError as error:
            waiting.set_exception(error)
            waiting.exception()  # perhaps nobody waits any more
        else:
            waiting.set_result(zygote)
        finally:
            del self._starting[kind]
            if not waiting.done():
                waiting.cancel()

    async def close(self) -> None:
        for zygote in self._running.values():
            await zygote.close()
        for cgroup in self._cgroups:
            await anyio.to_thread.run_sync(cgroup.remove)

    async def _start(self, kind: Kind) -> ZygoteClient:
        """Start a zygote in the best way that works here. Raises OSError when none does."""
        without = tuple(name for name in os.environ.get(_WITHOUT, "").split(",") if name)
        limits = self._limits
        ways = launches(self._slots, limits.scratch_mb, limits.scratch_files, without)
        for launch in [self._launch] if self._launch else ways:
            zygote, cgroup = await self._start_by(launch, kind, without)
            try:
                walls = await zygote.walls()
            except OSError:
                logger.info("no process for untrusted code can be started by way of %s", launch.way)
                await zygote.close()
                continue
            self._launch = launch
            if sys.platform == "linux":
                walls["cgroup"] = cgroup.missing or ("" if cgroup.is_joined else "the groups cannot be joined")
                self.known = _isolation(launch, walls, without)
                logger.info("isolation of untrusted code: %s (%s)", self.known.label, launch.way)
            return zygote
        raise OSError(errno.ENOEXEC, "no process for untrusted code could be started")

    async def _start_by(self, launch: Launch, kind: Kind, without: tuple[str, ...]) -> tuple[ZygoteClient, Cgroup]:
        if launch.way == "plain":
            launch = launch.with_scratch(self._scratch.new())
        cgroup = Cgroup(self._memory_mb(), launch.setup.processes or _PROCESSES, is_off="cgroup" in without)
        self._cgroups.append(cgroup)
        preload = [word for name in _PRELOADED[kind] for word in ("--preload", name)]
        words = ("--sandbox", launch.setup.as_argument(), *preload, *self._flags)
        prefix = (*cgroup.words, *launch.prefix)
        return await ZygoteClient.start(launch.environment, *words, prefix=prefix), cgroup

    def _memory_mb(self) -> int:
        """For all untrusted runs together: all of their limits, but no more than three quarters of the machine's memory."""
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
        wanted = self._slots * (self._limits.worker_memory_mb + self._limits.scratch_mb)
        return min(wanted, machine * 3 // 4) if self._limits.worker_memory_mb else machine * 3 // 4


def _isolation(launch: Launch, walls: dict[str, str], without: tuple[str, ...]) -> Isolation:
    layers = []
    for name in LAYERS:
        reason = walls.get(name, "not tried")
        if name in without:
            layers.append(Layer(name, "off", "switched off for a test"))
        elif reason:
            layers.append(Layer(name, "missing", reason, _REMEDIES.get(name, "")))
        else:
            layers.append(Layer(name, "active", launch.way if name == "namespaces" else ""))
    return Isolation(tuple(layers))
