"""Slots: the sandbox of the zygote for untrusted code, and the scratch folders of its children; used by Zygote."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections import deque
from typing import NoReturn

from ..sandbox.inside import Walls, empty
from ..sandbox.setup import Setup

_NICE = 10
"""The lowest priority of all our processes: a tenth of the processor beside one other process that computes. At 19 it would be a
seventieth, and on a busy machine a workflow could not even be loaded in `inspect_timeout_s`."""


class Slots:
    """Each child gets a folder that is empty. A folder whose child has ended is emptied by a process of its own, if there is anything in it."""

    def __init__(self, setup: str) -> None:
        self._walls = Walls(Setup.of_argument(setup))
        self._free = deque(self._walls.slots)
        self._taken: dict[int, str] = {}
        self._dirty: deque[str] = deque()
        self._cleaners: dict[int, str] = {}

    def lock_in(self) -> dict[str, str]:
        """Build the walls. Gives the report of `Locked`."""
        self._walls.build()
        return {str(name): reason for name, reason in self._walls.report.items()}

    def take(self, number: int) -> str:
        """A folder for this child. A run that waits for runs below it keeps its folder, so more may be wanted than there are workers.

        Raises OSError when another one cannot be made.
        """
        if self._free:
            slot = self._free.popleft()
        else:
            slot = os.path.join(self._walls.more, str(number))
            os.mkdir(slot, 0o700)
        self._taken[number] = slot
        return slot

    def give_back(self, number: int) -> None:
        """The child has ended and was reaped."""
        if (slot := self._taken.pop(number, None)) is None:
            return
        if _is_empty(slot):
            self._free.append(slot)
        else:
            self._dirty.append(slot)

    def clean(self) -> None:
        """Begin to empty folders, and take back those that are empty now."""
        for pid, slot in list(self._cleaners.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._cleaners[pid]
                if status == 0:
                    self._free.append(slot)
        while self._dirty:
            try:
                pid = os.fork()
            except OSError:  # there are as many processes as there may be: one of them ends, and this is called again
                return
            if pid == 0:
                _clean(self._dirty[0])
            self._cleaners[pid] = self._dirty.popleft()

    def enter(self, scratch: str) -> None:
        """Called in a child: from now on it sees its own folder only, it can start no process, and its stderr is not the server's log."""
        with contextlib.suppress(OSError):
            os.nice(_NICE)
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        os.close(null)
        os.chdir(scratch)
        for name in ("PYTHONPATH", "PWD"):
            os.environ.pop(name, None)
        os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = scratch
        self._walls.close_behind(scratch)


def _is_empty(slot: str) -> bool:
    try:
        os.chmod(slot, 0o700)
        return not os.listdir(slot)
    except OSError:
        return False


def _clean(slot: str) -> NoReturn:
    try:
        os.chmod(slot, 0o700)
        empty(slot)
    except OSError as error:
        print(f"repertoire zygote: {slot} cannot be emptied, and is not used again: {error}", file=sys.stderr)  # noqa: T201  # the server's log is its stderr
        os._exit(1)
    os._exit(0)
