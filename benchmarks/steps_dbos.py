"""Steps that do nothing, on DBOS with SQLite. Run by a Python that has it: `steps_dbos.py FOLDER`.

Reads a line `RUNS STEPS`, answers with two numbers: microseconds of a step (the median), and steps per second of all runs together.
One run is an ordinary function, several at once are coroutines: each is the faster way to do it.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from statistics import median
from typing import Any

dbos: Any = importlib.import_module("dbos").DBOS


def same(n: int) -> int:
    return n


async def asame(n: int) -> int:
    return n


step, astep = dbos.step()(same), dbos.step()(asame)


def flow(steps: int) -> list[float]:
    times = []
    for n in range(steps):
        began = time.perf_counter()
        step(n)
        times.append(time.perf_counter() - began)
    return times


async def aflow(steps: int) -> list[float]:
    times = []
    for n in range(steps):
        began = time.perf_counter()
        await astep(n)
        times.append(time.perf_counter() - began)
    return times


one, many = dbos.workflow()(flow), dbos.workflow()(aflow)


async def at_once(runs: int, steps: int) -> list[list[float]]:
    return list(await asyncio.gather(*(many(steps) for _ in range(runs))))


def main() -> None:
    url = f"sqlite:///{sys.argv[1]}/dbos.sqlite"
    dbos(config={"name": "steps", "system_database_url": url, "log_level": "CRITICAL", "run_admin_server": False})
    dbos.launch()
    one(3)
    for line in sys.stdin:
        runs, steps = map(int, line.split())
        began = time.perf_counter()
        times = [one(steps)] if runs == 1 else asyncio.run(at_once(runs, steps))
        taken = time.perf_counter() - began
        sys.stdout.write(f"{median(t for run in times for t in run) * 1e6} {runs * steps / taken}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
