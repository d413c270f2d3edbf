"""Cgroup: one limit of memory and processes for a zygote and all its forks together, where cgroups are writable; used by `engine`. Linux only.

The limits of the single runs (`worker_memory_mb`) hold everywhere. This one bounds their sum, with the scratch folders. If it is reached,
the kernel ends the largest process of the group, and nobody else's.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Final

_ROOT: Final = "/sys/fs/cgroup"
_PREFIX: Final = "repertoire-"
_JOIN: Final = 'groups=$1; shift; for group in $groups; do echo 0 > "$group/cgroup.procs"; done; exec "$@"'
"""A shell script: it joins the groups, and becomes the program."""
_END_S: Final = 2.0
"""The kernel needs a moment until a group whose processes were killed is empty."""


class Cgroup:
    """`words` come before the command that is to join the group. Empty where no group could be made; `missing` says why."""

    def __init__(self, memory_mb: int, processes: int, *, is_off: bool = False) -> None:
        self.missing = "off" if is_off else "" if sys.platform == "linux" else "this system is not Linux"
        self._folders: list[str] = []
        if self.missing:
            return
        try:
            for controller, limits in (
                ("memory", (("memory.max", memory_mb << 20), ("memory.limit_in_bytes", memory_mb << 20))),
                ("pids", (("pids.max", processes),)),
            ):
                self._limit(_parent(controller), limits)
        except OSError as error:
            self.missing = f"cgroups cannot be written: {error.strerror or error}"
            self.remove()

    @property
    def words(self) -> tuple[str, ...]:
        return ("/bin/sh", "-c", _JOIN, "sh", " ".join(self._folders)) if self._folders else ()

    @property
    def is_joined(self) -> bool:
        """True if a process is in each of the groups."""
        return bool(self._folders) and all(_read(os.path.join(one, "cgroup.procs")).strip() for one in self._folders)

    def remove(self) -> None:
        """Delete the groups, whose processes have ended. Call it in a thread."""
        deadline = time.monotonic() + _END_S
        for folder in self._folders:
            while os.path.isdir(folder) and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
                    break
                time.sleep(0.05)
        self._folders = []

    def _limit(self, parent: str, limits: tuple[tuple[str, int], ...]) -> None:
        folder = os.path.join(parent, f"{_PREFIX}{os.getpid()}-{id(self):x}")
        if folder not in self._folders:
            _remove_left(parent)
            os.makedirs(folder, exist_ok=True)
            self._folders.append(folder)
        files = [
            (os.path.join(folder, name), value) for name, value in limits if os.path.exists(os.path.join(folder, name))
        ]
        if not files:
            raise OSError(0, "the controller is not handed down to this group")
        for path, value in files:
            with open(path, "w") as file:
                file.write(str(value))


def _remove_left(parent: str) -> None:
    """Delete the groups of servers that were killed."""
    for name in os.listdir(parent):
        owner = name.removeprefix(_PREFIX).partition("-")[0]
        if name.startswith(_PREFIX) and owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(parent, name))


def _parent(controller: str) -> str:
    """The folder of this process's own group. Raises OSError."""
    groups = dict(line.split(":", 2)[1:] for line in _read("/proc/self/cgroup").splitlines())
    for names, path in groups.items():
        if controller in names.split(","):
            return _existing(
                os.path.join(_ROOT, names, path.lstrip("/")), os.path.join(_ROOT, controller, path.lstrip("/"))
            )
    if "" in groups:
        return _existing(
            os.path.join(_ROOT, groups[""].lstrip("/")), os.path.join(_ROOT, "unified", groups[""].lstrip("/"))
        )
    raise OSError(0, "this process is in none")


def _existing(*folders: str) -> str:
    for folder in folders:
        if " " not in folder and os.access(folder, os.W_OK):
            return folder
    raise OSError(0, "the folder of this process's group is read-only")


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
