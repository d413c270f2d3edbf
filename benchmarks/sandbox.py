"""What the sandbox costs: an empty run of untrusted code beside one of a file, and the memory of runs that go on at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import anyio

from repertoire.engine.pool import WorkerPool
from repertoire.engine.scratch_folders import Scratch
from repertoire.settings import load
from repertoire.wire import Begin, Code, Done, Task

from .figures import Figure, Plan, Target, percentile

_SOURCE = "def run() -> int:\n    return 1\n"
_AT_ONCE = 4
_REST_S = 0.02
"""Between two runs: a call that follows at once also pays for the fork that is being prepared."""


def measure(plan: Plan) -> list[Figure]:
    return anyio.run(_measure, plan)


async def _measure(plan: Plan) -> list[Figure]:
    runs = 40 if plan.quick else 200
    with TemporaryDirectory() as home:
        async with anyio.create_task_group() as tasks:
            settings = load(home=home, environ={"REPERTOIRE_WORKERS": str(_AT_ONCE)})
            pool = WorkerPool(settings, tasks, Scratch(os.path.join(home, "scratch")))
            label = (await pool.isolation()).label
            pairs: list[Mapping[str, float]] = []
            for _ in range(plan.pairs):
                pairs.append(
                    {name: await _p50(pool, trusted, runs) for name, trusted in (("file", True), ("made", False))}
                )
            held = await _memory(pool)
            await pool.close()
            tasks.cancel_scope.cancel()
    file, made = (median(pair[name] for pair in pairs) for name in ("file", "made"))
    ratio = median(pair["made"] / pair["file"] for pair in pairs)
    return [
        Figure(
            "an untrusted run in a fork, over a pooled run",
            "ms",
            made,
            file,
            ratio,
            len(pairs),
            Target(4, "difference"),
            label,
        ),
        Figure(
            "private memory of an untrusted run", "MiB", held, target=Target(3, "value"), note=f"{_AT_ONCE} at once"
        ),
    ]


async def _p50(pool: WorkerPool, trusted: bool, runs: int) -> float:
    times = []
    for number in count():
        began = time.perf_counter()
        async with pool.lease(trusted=trusted) as worker:
            worker.channel.send(_task(worker.scratch))
            while not isinstance(frame := await worker.channel.receive(), Done):
                assert frame is not None
            worker.reusable = True
        if number >= runs // 4:
            times.append((time.perf_counter() - began) * 1e3)
        if len(times) == runs:
            return percentile(times, 0.5)
        await anyio.sleep(_REST_S)
    raise AssertionError


async def _memory(pool: WorkerPool) -> float:
    """The median of what each of some runs has for itself. They have loaded their code, and wait for the frame Begin."""
    held: list[float] = []
    ready, measured = anyio.Semaphore(0), anyio.Event()

    async def one() -> None:
        async with pool.lease(trusted=False) as worker:
            worker.channel.send(_task(worker.scratch, waits=True))
            await anyio.sleep(0.5)
            ready.release()
            await measured.wait()
            worker.channel.send(Begin())

    async with anyio.create_task_group() as tasks:
        for _ in range(_AT_ONCE):
            tasks.start_soon(one)
        for _ in range(_AT_ONCE):
            await ready.acquire()
        forks = [pid for pid in _below(os.getpid()) if _is_fork(pid)]
        held = [_private_mb(pid) for pid in forks]
        measured.set()
    return median(held)


def _task(scratch: str | None, *, waits: bool = False) -> Task:
    code = Code("empty", "empty", _SOURCE, "empty.py")
    return Task("r", "empty", "{}", code=code, cwd=scratch, home=scratch, began=time.monotonic(), waits=waits)


def _below(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from _below(child)


def _is_fork(pid: int) -> bool:
    """A fork has the command line of its zygote."""
    said: Callable[[int], bytes] = lambda one: Path(f"/proc/{one}/cmdline").read_bytes()  # noqa: E731
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return b"--sandbox" in said(pid) and said(pid) == said(parent)


def _private_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024
