"""SandboxTrials: runs each trial of `sandbox/trials.py` in a worker of its own, as code that nobody has approved; used by the service.

The workers come from the same pool as those of such runs. So a trial meets the same walls. No trial is a run: nothing is stored of it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Final

import anyio

from .. import home as homes
from ..limits import Limits
from ..names import new_run_id
from ..sandbox.trials import TRIALS, Targets, Trial, Tried, outcome_of
from ..values.json_check import check_json
from ..wire import Code, Done, Failed, Task
from .frame_check import Rules
from .pool import Worker, WorkerPool
from .run_faults import worker_death

logger = logging.getLogger(__name__)

_TRIAL_S: Final = 10.0
"""A trial takes milliseconds. One that hangs is stopped."""


class SandboxTrials:
    def __init__(self, pool: WorkerPool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits

    async def try_all(self, home: str) -> list[Tried]:
        """Try to leave the sandbox in each way of the table, one after the other. Never raises for what a trial does."""
        async with _targets(home, self._limits) as targets:
            return [await self._try_one(trial, targets) for trial in TRIALS]

    async def _try_one(self, trial: Trial, targets: Targets) -> Tried:
        try:
            async with self._pool.lease(trusted=False, once=True, caller="doctor") as worker:
                with anyio.move_on_after(_TRIAL_S):
                    worker.channel.begin(Rules.of(self._limits, trusted=False, is_reused=False))
                    worker.channel.send(_task(trial, targets, worker))
                    return Tried(trial, *await _outcome(worker))
        except OSError as error:
            return Tried(trial, "unclear", f"no process could be started for it: {error}")
        return Tried(trial, "unclear", f"it had not ended after {_TRIAL_S:g} s, and was killed")


async def _outcome(worker: Worker) -> tuple[str, str]:
    frame = await worker.channel.receive()
    while frame is not None and not isinstance(frame, Done | Failed):
        frame = await worker.channel.receive()
    if isinstance(frame, Done):
        try:
            check_json(frame.result)
            return outcome_of(json.loads(frame.result))
        except ValueError as error:
            return "unclear", f"its answer cannot be read: {error}"
    if isinstance(frame, Failed):
        return "unclear", f"{frame.fault.type}: {frame.fault.message}"
    return "refused", worker_death(await worker.exit_code())[0].message


def _task(trial: Trial, targets: Targets, worker: Worker) -> Task:
    key = sha256(trial.source.encode()).hexdigest()
    return Task(
        new_run_id("trial"),
        key,
        json.dumps(targets._asdict()),
        code=Code(key, "trial", trial.source, "trial.py"),
        cwd=worker.scratch,
        home=worker.scratch,
        began=time.monotonic(),
    )


@asynccontextmanager
async def _targets(home: str, limits: Limits) -> AsyncIterator[Targets]:
    """What the trials try to reach. The port is opened for them."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield Targets(
            home=home,
            secret=homes.database_path(home),
            unix_socket=homes.socket_path(home),
            port=server.sockets[0].getsockname()[1],
            pid=os.getpid(),
            memory_mb=limits.worker_memory_mb,
            scratch_mb=getattr(limits, "scratch_mb", 0),
        )
