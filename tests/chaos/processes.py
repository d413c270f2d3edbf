"""Processes: all that this one has started, however far below it, as /proc shows them (Linux only); used by the faults and the checks."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path
from typing import Any, Final, NamedTuple

_PR_SET_CHILD_SUBREAPER: Final = 36
_ours: set[int] = set()


class Process(NamedTuple):
    """One below this process. `began` tells it from a later one with the same number."""

    pid: int
    parent: int
    role: str
    began: str


def adopt() -> None:
    """Whose parent dies becomes our child: so nothing that we have started is ever out of sight."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def processes() -> dict[int, Process]:
    """All below this one, the dead ones buried."""
    table: dict[int, tuple[int, str, str, str]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (seen := _stat(int(entry))) is not None:
            table[int(entry)] = seen
    found: dict[int, Process] = {}
    frontier = {os.getpid()}
    while frontier:
        below = {pid for pid, (parent, *_) in table.items() if parent in frontier} - found.keys()
        for pid in below:
            parent, state, began, words = table[pid]
            found[pid] = Process(pid, parent, "dead" if state == "Z" else _role(words, table.get(parent)), began)
        frontier = below
    return {pid: process for pid, process in found.items() if not _bury(process)}


def _stat(pid: int) -> tuple[int, str, str, str] | None:
    """Parent, state, time of its start, command line."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), fields[0], fields[19], words


def _role(words: str, parent: tuple[int, str, str, str] | None) -> str:
    if "repertoire.worker" in words:
        is_zygote = "--zygote" in words and not (parent is not None and "--zygote" in parent[3])
        return "zygote" if is_zygote else "worker"
    if "repertoire.daemon_process" in words or " serve --http" in words:
        return "daemon"
    if "repertoire serve" in words:
        return "front"
    return "other"


def _bury(process: Process) -> bool:
    """Whether it is dead. Our own children are buried by `subprocess`."""
    if process.role != "dead":
        return False
    if process.parent == os.getpid() and process.pid not in _ours:
        try:
            os.waitpid(process.pid, os.WNOHANG)
        except ChildProcessError:
            pass
    return True


def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """A child of our own, with pipes to and from it."""
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
    _ours.add(child.pid)
    return child
