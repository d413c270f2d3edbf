"""Faults: processes killed, the database locked, the disk full; each written into the traces where it begins and where it is over."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from .clients import Front
from .disks import mounted
from .processes import Process, processes, start

KINDS: Final = {"worker": 6.0, "zygote": 2.0, "daemon": 2.5, "front": 1.0, "several": 1.0, "lock": 1.0, "disk": 0.7}
"""How often each, beside the others."""
_LOCKER: Final = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""
_DISK_MB: Final = 24
_LONGEST_LOCK_S: Final = 12.0
_LONGEST_FULL_S: Final = 6.0
_DIE_S: Final = 120.0
"""A killed process and those that die with it are gone by then, on the slowest machine."""


class Traces:
    """The file that bodies write into, and our own lines in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "traces"
        (folder / "bodies").mkdir(parents=True)
        self.path.touch()

    def mark(self, line: str) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, (line + "\n").encode())
        finally:
            os.close(file)

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()


class Faults:
    """What is done to one home. Everything random comes from `chance`; everything done is counted in `done`."""

    def __init__(
        self, home: Path, traces: Traces, chance: random.Random, kinds: dict[str, float], fronts: list[Front]
    ) -> None:
        self.home, self.done = home, Counter[str]()
        self.troubled_until = 0.0
        """The time of the last fault that a client may be told of."""
        self._traces, self._chance, self._kinds, self._fronts = traces, chance, kinds, fronts
        self._number = 0
        self._dying: list[tuple[int, dict[int, str]]] = []
        self._lock: tuple[int, float, subprocess.Popen[bytes]] | None = None
        self._full: tuple[int, float] | None = None

    def strike(self) -> None:
        """One fault, of a random kind."""
        self._do(self._chance.choices(list(self._kinds), list(self._kinds.values()))[0])

    def tend(self, *, finish: bool = False) -> None:
        """End what has lasted long enough, or all with `finish`; note which of the dying are dead."""
        now = time.monotonic()
        if self._lock is not None and (finish or now >= self._lock[1]):
            self._unlock()
        if self._full is not None and (finish or now >= self._full[1]):
            self._empty()
        self._note_dead()
        if finish:
            give_up = time.monotonic() + _DIE_S
            while self._dying:
                assert time.monotonic() < give_up, f"killed, and still there: {self._dying}"
                time.sleep(0.02)
                self._note_dead()

    def _do(self, kind: str) -> None:
        match kind:
            case "several":
                for _ in range(self._chance.randint(2, 4)):
                    self._do(self._chance.choice(["worker", "worker", "zygote", "daemon", "front"]))
            case "lock":
                self._take_lock()
            case "disk":
                self._fill()
            case "front":
                self._kill_front()
            case _:
                self._kill(kind)

    # Kills.

    def _kill(self, role: str) -> None:
        table = processes()
        chosen = sorted(pid for pid, one in table.items() if one.role == role)
        if not chosen:
            return
        pid = self._chance.choice(chosen)
        doomed = {pid: table[pid].began}
        if role != "worker":
            doomed |= {one.pid: one.began for one in _below(table, pid)}
        number = self._begin(f"kill {role} {pid}")
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        else:
            self.done[role] += 1
        self._dying.append((number, doomed))

    def _kill_front(self) -> None:
        living = [front for front in self._fronts if not front.ended]
        if living:
            self._chance.choice(living).kill()
            self.done["front"] += 1

    def _note_dead(self) -> None:
        if not self._dying:
            return
        table = processes()
        for number, doomed in list(self._dying):
            if not any(pid in table and table[pid].began == began for pid, began in doomed.items()):
                self._over(number)
                self._dying.remove((number, doomed))

    # The database and its disk.

    def _take_lock(self) -> None:
        """For a time that is short more often than long. Another process holds it, as a backup or a curious person would."""
        if self._lock is not None:
            return
        number = self._begin("lock")
        command = [sys.executable, "-I", "-S", "-c", _LOCKER, str(self.home / "repertoire.db")]
        until = time.monotonic() + self._chance.random() ** 2 * _LONGEST_LOCK_S
        self._lock = number, until, start(command, stderr=subprocess.DEVNULL)
        self.done["lock"] += 1

    def _unlock(self) -> None:
        assert self._lock is not None
        number, _, locker = self._lock
        self._lock = None
        locker.kill()
        locker.communicate()
        self._over(number)

    def _fill(self) -> None:
        if self._full is not None:
            return
        number = self._begin("disk full")
        self._full = number, time.monotonic() + self._chance.random() ** 2 * _LONGEST_FULL_S
        with open(self.home / "filler", "ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass
        self.done["disk"] += 1

    def _empty(self) -> None:
        assert self._full is not None
        number, _ = self._full
        self._full = None
        (self.home / "filler").unlink()
        self._over(number)

    # The traces.

    def _begin(self, what: str) -> int:
        self._number += 1
        self._traces.mark(f"! {self._number} {what}")
        self.troubled_until = float("inf")
        return self._number

    def _over(self, number: int) -> None:
        self._traces.mark(f"? {number}")
        if self._lock is None and self._full is None:
            self.troubled_until = time.monotonic()


def _below(table: dict[int, Process], pid: int) -> Iterator[Process]:
    for one in table.values():
        if one.parent == pid:
            yield one
            yield from _below(table, one.pid)


def small_disk(folder: Path) -> AbstractContextManager[bool]:
    """A file system of a few megabytes at `folder`; False where this user may not mount."""
    return mounted(folder, "-o", f"size={_DISK_MB}m,mode=700")
