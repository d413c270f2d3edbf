"""Homes with unfinished runs in them, and what it takes a new owner to end them all.

One run is really begun, and its server killed while it is in a step. The others are copies of its rows under other ids: a thousand
runs that are all in a step would need a thousand workers. Before each measurement the database is put back.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from repertoire.home import database_path

from .servers import Home
from .survivors import until
from .wire import Failed, call

_GATED = '''"""Steps that do nothing, and one that ends only when the server has been killed."""

import os
import signal

from repertoire import step


def same(n: int) -> int:
    return n


def gate() -> bool:
    if os.path.exists("@FOLDER@/go"):
        return True
    os.close(os.open("@FOLDER@/waits", os.O_CREAT))
    while True:
        signal.pause()


def run(n: int) -> int:
    """Do `n` steps that do nothing, and wait in one more."""
    for number in range(n):
        step(same, number)
    step(gate)
    return n
'''
_ENDED_S = 120.0


class Unfinished:
    """A home whose owner was killed. `runs` unfinished ones with `steps` recorded steps each."""

    def __init__(self, steps: int, *, by_tool: bool = False) -> None:
        self._steps = steps
        self._by_tool = by_tool
        self._folder = tempfile.TemporaryDirectory(prefix="rb-", ignore_cleanup_errors=True)
        self._path = Path(self._folder.name)
        self._home = Home(self._path / "home")
        self._database = Path(database_path(str(self._home.path)))

    def __enter__(self) -> Unfinished:
        self._begin()
        self._keep()
        return self

    def __exit__(self, *error: object) -> None:
        self._home.stop()
        self._folder.cleanup()

    def _begin(self) -> None:
        source = _GATED.replace("@FOLDER@", str(self._path))
        self._home.environ["REPERTOIRE_INLINE_DEADLINE_S"] = "0.1"
        if not self._by_tool:
            self._home.add("gated", source)
        with self._home.front() as front:
            if self._by_tool:
                call(front, "create_workflow", name="gated", source=source)
            self._run = call(front, "run_workflow", name="gated", arguments={"n": self._steps})["run_id"]
            until((self._path / "waits").exists, "the run waits")
            front.kill()
            os.kill(self._home.status()["pid"], signal.SIGKILL)
        (self._path / "go").touch()

    def _keep(self) -> None:
        """All in one file, without its log."""
        connection = sqlite3.connect(self._database, isolation_level=None)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        shutil.copy(self._database, self._path / "kept.db")

    def resumed(self, runs: int) -> dict[str, float]:
        """Milliseconds until all have ended: `all` from the start of the process, `own` from when it has opened the database."""
        for end in ("", "-wal", "-shm"):
            Path(f"{self._database}{end}").unlink(missing_ok=True)
        shutil.copy(self._path / "kept.db", self._database)
        self._copy(runs - 1)
        began = time.time()
        daemon = [sys.executable, "-P", "-m", "repertoire.daemon_process", "--home", str(self._home.path)]
        process = subprocess.Popen(daemon, env=self._home.environ, stderr=subprocess.DEVNULL)
        try:
            opened, ended = self._ends(runs)
        finally:
            process.terminate()
            process.wait()
        return {"all": (ended - began) * 1e3, "own": (ended - opened) * 1e3}

    def _copy(self, times: int) -> None:
        connection = sqlite3.connect(self._database, isolation_level=None)
        connection.execute("BEGIN")
        for number in range(times):
            for table, key in (("run", "id"), ("call", "run_id"), ("event", "run_id")):
                names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                shown = ", ".join("?" if name == key else name for name in names)
                statement = f"INSERT INTO {table} ({', '.join(names)}) SELECT {shown} FROM {table} WHERE {key} = ?"
                connection.execute(statement, (f"{self._run[:-5]}{number:05d}x", self._run))
        connection.execute("COMMIT")
        connection.close()

    def _ends(self, runs: int) -> tuple[float, float]:
        end = time.monotonic() + _ENDED_S
        connection = sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)
        try:
            while time.monotonic() < end:
                time.sleep(0.01)
                row: tuple[Any, ...] = connection.execute(
                    "SELECT count(*), max(ended_at) FROM run WHERE status = 'completed'"
                ).fetchone()
                if row[0] == runs:
                    (opened,) = connection.execute(
                        "SELECT started_at FROM owner ORDER BY epoch DESC LIMIT 1"
                    ).fetchone()
                    return opened, row[1]
            raise Failed(f"{row[0]} of {runs} runs have ended")
        finally:
            connection.close()
