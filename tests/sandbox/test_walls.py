"""The sandbox in this process's own pool: what a body sees, what it is refused, and that its scratch folder is its own and limited."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.engine.pool import WorkerPool
from repertoire.engine.scratch_folders import Scratch
from repertoire.sandbox import inside
from repertoire.settings import load
from repertoire.wire import Code, Done, Failed, Task

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")]


@pytest.fixture(params=["", "bubblewrap", "namespaces"])
async def pool(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WorkerPool]:
    """A pool with bubblewrap, with `unshare`, and without namespaces."""
    monkeypatch.setenv("REPERTOIRE_SANDBOX_WITHOUT", request.param)
    environ = {"REPERTOIRE_SCRATCH_MB": "16", "REPERTOIRE_WORKERS": "2"}
    async with anyio.create_task_group() as tasks:
        pool = WorkerPool(load(home=str(tmp_path), environ=environ), tasks, Scratch(str(tmp_path / "scratch")))
        yield pool
        await pool.close()
        tasks.cancel_scope.cancel()


_TRIES = """
import os, socket, subprocess, threading
from concurrent.futures import ThreadPoolExecutor

def attempt(body):
    try:
        return repr(body())
    except OSError as error:
        return type(error).__name__

def run(secret: str, pid: int) -> dict[str, object]:
    with open("kept.txt", "w") as file:
        file.write("mine")
    with ThreadPoolExecutor(2) as threads:
        sums = list(threads.map(sum, [[1, 2], [3, 4]]))
    return {
        "folder": os.getcwd(),
        "home": os.environ["HOME"],
        "found": sorted(os.listdir(".")),
        "sums": sums,
        "library": attempt(lambda: os.path.exists(os.__file__)),
        "secret": attempt(lambda: open(secret).read()),
        "users": attempt(lambda: open("/etc/passwd").read()),
        "socket": attempt(lambda: socket.socket()),
        "fork": attempt(os.fork),
        "program": attempt(lambda: subprocess.run(["true"])),
        "signal": attempt(lambda: os.kill(pid, 0)),
        "parent": attempt(lambda: os.kill(os.getppid(), 0)),
        "above": attempt(lambda: os.listdir("..")),
        "processes": attempt(lambda: os.listdir("/proc")),
    }
"""


async def _result(pool: WorkerPool, source: str, **arguments: Any) -> Any:
    async with pool.lease(trusted=False) as worker:
        code = Code(str(hash(source)), "tried", source, "tried.py")
        where = worker.scratch
        task = Task("r", code.key, json.dumps(arguments), code=code, cwd=where, home=where, began=time.monotonic())
        worker.channel.send(task)
        while not isinstance(frame := await worker.channel.receive(), Done | Failed):
            assert frame is not None, await worker.exit_code()
        return json.loads(frame.result) if isinstance(frame, Done) else frame.fault


async def test_a_body_has_its_scratch_folder_and_python_and_nothing_else(pool: WorkerPool, tmp_path: Path) -> None:
    assert (await pool.isolation()).is_real
    secret = tmp_path / "secret"
    secret.write_text("the key")
    for _ in range(2):  # the second one finds nothing of the first
        found = await _result(pool, _TRIES, secret=str(secret), pid=os.getpid())
        assert (found["folder"], found["found"], found["sums"]) == (found["home"], ["kept.txt"], [3, 7])
        assert found["library"] == "True"
        refused = {name: found[name] for name in ("secret", "users", "above", "processes")}
        assert set(refused.values()) <= {"PermissionError", "FileNotFoundError"}, refused
        refused = {name: found[name] for name in ("socket", "fork", "program", "signal", "parent")}
        assert set(refused.values()) <= {"PermissionError"}, refused


async def test_a_scratch_folder_is_limited_and_emptied(pool: WorkerPool, request: pytest.FixtureRequest) -> None:
    source = """
import os
def run() -> int:
    written = 0
    try:
        with open("filler", "wb") as file:
            while written < 32:
                written += file.write(b"x" * (1 << 20)) >> 20
                file.flush()
    except OSError as error:
        assert error.errno == 28
    os.remove("filler")
    for _ in range(1500):
        os.mkdir("d")
        os.chdir("d")
    os.chmod(os.environ["HOME"], 0)
    return written
"""
    is_mounted = "scratch" in (await pool.isolation()).active
    written = await _result(pool, source)
    assert written <= 16 if is_mounted else written == 32, written
    for _ in range(8):  # more runs than there are folders
        assert await _result(pool, "import os\ndef run(): return os.listdir('.')") == []


def test_a_folder_of_any_depth_is_emptied(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("/etc")
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(3000):
            os.mkdir("d")
            os.chdir("d")
        Path("leaf").write_text("x")
        os.chmod(".", 0)
    finally:
        os.chdir(here)
    inside.empty(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert os.path.isdir("/etc")
