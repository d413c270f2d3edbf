"""Infrastructure dies, runs do not: what forks workers is killed, and the machine has no descriptors left. Real processes."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.engine.pool import WorkerPool
from repertoire.engine.zygote_client import ZygoteClient
from support import replays
from support.replays import ME, ended, publish
from support.survivals import eventually, run

pytestmark = pytest.mark.anyio

home, app, traces = replays.home, replays.app, replays.traces

FLOW = """
def run(n: int) -> int:
    step(effect, f"first {n}")
    time.sleep(0.2)
    step(effect, f"second {n}")
    return n
"""


def pool_of(app: App) -> WorkerPool:
    return app._runner._pool


def kill(zygote: ZygoteClient | None) -> None:
    if zygote is not None and not zygote.dead:
        os.kill(zygote._process.pid, signal.SIGKILL)


CREATED = """
import time

def run(n: int) -> int:
    step(str, f"first {n}")
    time.sleep(0.2)
    step(str, f"second {n}")
    return n
"""


def recorded(home: Path) -> int:
    with contextlib.closing(sqlite3.connect(home / "repertoire.db")) as db:
        return int(db.execute("SELECT count(*) FROM call").fetchone()[0])


async def test_r3_runs_outlive_the_process_that_forks_their_workers(home: Path, app: App) -> None:
    """Killed twice, while runs have workers, wait for a fork, and wait for a place."""
    # promise: infrastructure
    await app.service.publishing.create(ME, "flow", CREATED)
    lives = [await app.service.runs.start(ME, "flow", {"n": n}, "new") for n in range(12)]
    for done in (1, 6):
        await eventually(partial(lambda least: recorded(home) >= least, done))
        kill(pool_of(app)._sandboxed._running["plain"])
    answers = [await ended(app, live.run.id) for live in lives]
    assert [(one["status"], one["result"]) for one in answers] == [("completed", n) for n in range(12)], answers
    assert pool_of(app)._places.has_room


async def test_r3_a_file_outlives_the_process_that_forks_its_workers(home: Path, app: App, traces: Path) -> None:
    (home / "workflows").mkdir(exist_ok=True)
    (home / "workflows" / "who.py").write_text(
        '"""Say who runs."""\nimport os\n\ndef run() -> int:\n    return os.getpid()\n'
    )
    await app.service.library._catalog.rescan(ME.roots)
    for _ in range(3):
        assert (await run(app, "who"))["status"] == "completed"
        kill(pool_of(app)._trusted)
        assert (await run(app, "who"))["status"] == "completed"


async def test_r4_runs_wait_for_descriptors_and_say_so(
    app: App, traces: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await publish(app, traces, flow=FLOW)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
    try:
        lives = [await app.service.runs.start(ME, "flow", {"n": n}, "new") for n in range(10)]
        waits: list[Any] = []

        def waited() -> bool:
            waits[:] = [live.run.waiting_for for live in lives if "file descriptors" in str(live.run.waiting_for)]
            return bool(waits)

        await eventually(waited)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    answers = [await ended(app, live.run.id) for live in lives]
    assert [(one["status"], one["result"]) for one in answers] == [("completed", n) for n in range(10)], answers
    assert "ulimit -n" in caplog.text and "ulimit -n" in waits[0]
