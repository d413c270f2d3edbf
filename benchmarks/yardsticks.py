"""What `journal` compares with: a commit of aiosqlite alone, a call's round trip without a journal, and DBOS's steps."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import subprocess
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import aiosqlite

from repertoire.engine.worker_channel import WorkerChannel
from repertoire.engine.worker_command import start_python, worker_environment
from repertoire.model.workflow_options import Options
from repertoire.model.workflow_version import WorkflowVersion, version_hash
from repertoire.wire import Answer, Done, Record, Settled, Task, WorkerFrame

from .wire import Failed

_HERE = Path(__file__).parent

STEPS = '''"""Steps that do nothing."""

from repertoire import step


def same(n: int) -> int:
    return n


def run(n: int) -> int:
    """Do `n` steps that do nothing, one after the other."""
    for number in range(n):
        step(same, number)
    return n
'''
_TABLE = (
    "CREATE TABLE call (run_id TEXT, n INTEGER, path TEXT, op TEXT, hash TEXT, label TEXT, at REAL, began_at REAL, ended_at REAL, "
    "result TEXT, PRIMARY KEY (run_id, n)) WITHOUT ROWID"
)
_PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA wal_autocheckpoint = 10000")
"""As store/migrate.py sets them."""


def commits(count: int) -> float:
    """Microseconds of one row inserted and committed, in a file of its own; the median."""

    async def insert(path: str) -> list[float]:
        times = []
        async with aiosqlite.connect(path) as db:
            for statement in (*_PRAGMAS, _TABLE):
                await db.execute(statement)
            for n in range(count):
                began = time.perf_counter()
                row = (
                    "steps-01ABCDEFGHJKMNPQRSTVWXYZ01",
                    n,
                    str(n),
                    "step",
                    "0123456789abcdef",
                    "same",
                    0.5,
                    began,
                    began,
                    "1",
                )
                await db.execute("INSERT INTO call VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
                await db.commit()
                times.append(time.perf_counter() - began)
        return times

    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        return median(asyncio.run(insert(f"{folder}/bare.db"))) * 1e6


class _Unrecorded:
    """One worker of the product, which is given one run; its calls are answered at once."""

    def __init__(self, channel: WorkerChannel, process: asyncio.subprocess.Process) -> None:
        self._channel = channel
        self._process = process
        self.began: list[float] = []
        """When each step began, by the worker's clock."""
        channel.shortcut = self._answer

    @classmethod
    async def start(cls) -> _Unrecorded:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await start_python(theirs, worker_environment())
        return cls(await WorkerChannel.over(ours), process)

    def _answer(self, frame: WorkerFrame) -> bool:
        if not isinstance(frame, Record):
            return False
        self.began.append(frame.began)
        self._channel.send(Answer(frame.id, len(self.began), 0.0, frame.result, frame.error))
        return True

    async def run(self, version: WorkflowVersion, steps: int) -> None:
        self.began.clear()
        self._channel.send(
            Task("steps-01", version.hash, f'{{"n": {steps}}}', code=version.code(), began=time.monotonic())
        )
        frame = await self._channel.receive()
        while isinstance(frame, Settled) or (frame is not None and self._answer(frame)):
            frame = await self._channel.receive()  # of the run before, or a step that came together with that
        if not isinstance(frame, Done):
            raise Failed(repr(frame))

    async def end(self) -> None:
        self._channel.close()
        self._process.kill()
        await self._process.wait()


def round_trips(runs: int, steps: int) -> dict[str, float]:
    """`p50`: microseconds from one step to the next when nothing is stored; `rate`: steps per second of all runs together."""
    return asyncio.run(_round_trips(runs, steps))


async def _round_trips(runs: int, steps: int) -> dict[str, float]:
    version = WorkflowVersion(
        hash=version_hash("steps", STEPS, "", Options(), ()), name="steps", origin="operator", source=STEPS, description="",
        options=Options(), input_schema={}, output_schema={},
    )  # fmt: skip
    workers = [await _Unrecorded.start() for _ in range(runs)]
    try:
        await asyncio.gather(*(worker.run(version, 20) for worker in workers))
        await asyncio.gather(*(worker.run(version, steps) for worker in workers))
    finally:
        for worker in workers:
            await worker.end()
    return paces([worker.began for worker in workers])


def paces(began: list[list[float]]) -> dict[str, float]:
    """Of several runs' steps, by when each began."""
    gaps = [later - earlier for run in began for earlier, later in pairwise(run)]
    span = max(run[-1] for run in began) - min(run[0] for run in began)
    return {"p50": median(gaps) * 1e6, "rate": len(gaps) / span}


def recorded_paces(database: str, run_ids: list[str]) -> dict[str, float]:
    """The same of runs that Repertoire has recorded."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        statement = "SELECT began_at FROM call WHERE run_id = ? ORDER BY n"
        return paces([[at for (at,) in connection.execute(statement, (run_id,))] for run_id in run_ids])
    finally:
        connection.close()


class DbosSteps:
    """A process with DBOS in it."""

    def __init__(self, python: str) -> None:
        self._python = python
        self._folder = tempfile.TemporaryDirectory(prefix="rb-")

    def __enter__(self) -> DbosSteps:
        self._process = subprocess.Popen(
            [self._python, "-P", str(_HERE / "steps_dbos.py"), self._folder.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def ask(self, runs: int, steps: int) -> dict[str, float]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{runs} {steps}\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline().split()
        if len(said) != 2:
            raise Failed("DBOS ended")
        return {"p50": float(said[0]), "rate": float(said[1])}
