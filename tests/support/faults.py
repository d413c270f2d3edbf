"""Faults: the real command line, a real store to lose, and ways to take a disk away; used by test_faults_*.py."""

from __future__ import annotations

import atexit
import ctypes
import functools
import hashlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from repertoire import home as homes
from support import commands
from support.daemons import Spoken
from support.transports import UNREADY

COUNT = '''"""Count the calls of a session."""

def run(by: int = 1) -> int:
    session_state["count"] = session_state.get("count", 0) + by
    print("counted")
    return session_state["count"]
'''

COMMAND = [sys.executable, "-P", "-m", "repertoire"]


def repertoire(
    home: Path, *words: str, prepare: Callable[[], None] | None = None, ready: bool = False
) -> subprocess.CompletedProcess[str]:
    """One command, ended; `prepare` runs in the child before it. `ready`: the home has the ready workflows."""
    environ = {**os.environ, "NO_COLOR": "1", **({} if ready else UNREADY)}
    if prepare is None:
        return commands.run(*words, "--home", str(home), env=environ)
    command = [*COMMAND, *words, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ, preexec_fn=prepare)


def stored_home(path: Path) -> Path:
    """A home whose store holds two runs of `count` and their state. No fault may take them away."""
    path.mkdir(mode=0o700)
    shutil.copytree(_stored(), path, dirs_exist_ok=True)
    return path


@functools.cache
def _stored() -> Path:
    """The stored home, made once by real runs."""
    home = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, home)
    (home / "workflows").mkdir()
    (home / "workflows" / "count.py").write_text(COUNT)
    for number in ("1\n", "2\n"):
        assert repertoire(home, "run", "count").stdout == number
    assert repertoire(home, "stop").returncode == 0
    (home / "daemon.sock").unlink(missing_ok=True)
    return home


def kept(home: Path) -> None:
    """Check that the runs and the state of `stored_home` are there, and that the next run continues from them."""
    assert repertoire(home, "run", "count").stdout == "3\n"
    assert repertoire(home, "stop").returncode == 0
    runs = query(home, "SELECT id, status, result, last_event FROM run WHERE workflow = 'count' ORDER BY created_at")
    assert [run[1:] for run in runs] == [("completed", number, 3) for number in ("1", "2", "3")], runs
    for run_id, *_ in runs:
        events = query(home, "SELECT n, type FROM event WHERE run_id = ? ORDER BY n", run_id)
        assert events == [(1, "run_start"), (2, "log"), (3, "run_end")]


def query(home: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows of the store, read from outside. The owner may be writing, or may be gone."""
    connection = sqlite3.connect(f"file:{database(home)}?mode=ro", uri=True)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


class Host(Spoken):
    """An MCP host with the real `repertoire serve` as its child: lines in, lines out. It shares the session of the stored runs."""

    def __init__(self, home: Path, *words: str, ready: bool = False) -> None:
        command = [*COMMAND, "serve", "--home", str(home), "--session", "cli", *words]
        super().__init__(command, {**os.environ, **({} if ready else UNREADY)})

    def begin(self) -> Host:
        self.initialize()
        return self

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.answer("tools/call", name=tool, arguments=arguments)["result"][
            "structuredContent"
        ]
        return answer


def database(home: Path) -> Path:
    return Path(homes.database_path(str(home)))


@contextmanager
def locked(home: Path) -> Iterator[sqlite3.Connection]:
    """Nobody else may write while the block runs; leaving it, or `rollback`, gives the lock back."""
    connection = sqlite3.connect(database(home), isolation_level=None, timeout=30)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield connection
    finally:
        connection.close()


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def owner_of(home: Path) -> int:
    """The process that owns the home."""
    pid: int = json.loads((home / "daemon.json").read_text())["pid"]
    return pid


class FileLimit:
    """A limit on file size, so that no file of the owner may grow. It acts like a quota and needs no privileges."""

    reason = "cannot be used"

    def __init__(self, home: Path) -> None:
        self.home = home

    def fill(self) -> None:
        self._limit(1)

    def free(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        _, hard = resource.prlimit(owner_of(self.home), resource.RLIMIT_FSIZE)
        resource.prlimit(owner_of(self.home), resource.RLIMIT_FSIZE, (size, hard))


class FullDisk:
    """A file system of a few megabytes, with nothing left of them."""

    reason = "is full"

    def __init__(self, home: Path) -> None:
        self.home = home
        self._filler = home / "filler"

    def fill(self) -> None:
        with open(self._filler, "wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass

    def free(self) -> None:
        self._filler.unlink()


def without_privileges() -> None:
    """For a child: let the modes of files hold for root too, as they do for everybody else."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2, 3):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
            read, drop = 23, 24  # PR_CAPBSET_READ, PR_CAPBSET_DROP
            if libc.prctl(read, capability, 0, 0, 0) == 1 and libc.prctl(drop, capability, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "prctl")
