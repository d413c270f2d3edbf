"""Inside: the zygote of untrusted code locks itself in, and each of its forks further; used by `worker.slots`. Elsewhere than on Linux it
makes scratch folders only.

The order matters: mounting needs rights that are given up next, and each wall is built before the system calls for it are forbidden.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import sys
from collections.abc import Callable

from . import kernel, landlock, seccomp
from .layers import LayerName
from .setup import Setup

_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


class Walls:
    """The walls of one zygote. `report`: the reason why a wall is missing, by its name; empty for one that stands."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._filter_of_fork = b""
        self._uid = setup.uid
        """The user to become. 0: none."""
        self.report: dict[LayerName, str] = {}
        self.slots = tuple(os.path.join(setup.scratch, str(number)) for number in range(setup.slots))
        """The scratch folders."""
        self.more = os.path.join(setup.scratch, "more")
        """The folder of further ones, for runs beyond these: they share the size of the file system that it lies in."""

    def build(self) -> None:
        """Lock this process in. It has one thread. A wall that cannot be built is left out, and the report says why."""
        setup = self._setup
        if sys.platform != "linux":
            self._make_slots()
            return
        self.report["namespaces"] = (
            "" if setup.namespaces else "off" if "namespaces" in setup.without else "none can be made"
        )
        unreadable = self._unreadable_as(setup.uid) if setup.uid else None
        if unreadable:
            self._uid = 0
        self._make_slots()
        self._try("scratch", self._mount_slots)
        kernel.narrow_bounding_set()
        self._try("user", self._become_user)
        if unreadable:
            self.report["user"] = f"the user {setup.uid} cannot read {unreadable}"
        self._try("capabilities", kernel.drop_capabilities)
        kernel.die_with_parent(signal.SIGKILL)  # a new user clears it
        if setup.processes and "limits" not in setup.without:
            _, most = resource.getrlimit(resource.RLIMIT_NPROC)
            most = setup.processes if most == resource.RLIM_INFINITY else min(most, setup.processes)
            resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
        self._try("no_new_privs", kernel.forbid_new_rights)
        self._try("landlock", self._restrict_files)
        self._try("seccomp", self._restrict_calls)
        self.report["limits"] = "off" if "limits" in setup.without else ""

    def close_behind(self, scratch: str) -> None:
        """Lock in this fork, which is about to get its code: its own scratch folder only, no process and no signal."""
        if self.report.get("landlock") == "":
            landlock.restrict((*self._setup.reads, *_DEVICES, scratch), (scratch, *_DEVICES))
        if self._filter_of_fork:
            seccomp.load(self._filter_of_fork)

    def _try(self, name: LayerName, build: Callable[[], None]) -> None:
        if name in self._setup.without:
            self.report[name] = "off"
            return
        try:
            build()
        except OSError as error:
            self.report[name] = error.strerror or str(error)
        else:
            self.report[name] = ""

    def _make_slots(self) -> None:
        setup = self._setup
        if setup.namespaces:
            kernel.mount_tmpfs(setup.scratch, f"size={setup.scratch_mb}m,nr_inodes={4 * setup.scratch_files},mode=711")
        for slot in (*self.slots, self.more):
            os.mkdir(slot, 0o700)
            if self._uid:
                os.chown(slot, self._uid, self._uid)

    def _mount_slots(self) -> None:
        setup = self._setup
        if not setup.namespaces:
            raise OSError(
                errno.EPERM,
                "without namespaces nothing can be mounted, so only `worker_file_mb` limits what a run writes",
            )
        owner = f",uid={self._uid},gid={self._uid}" if self._uid else ""
        for slot in self.slots:
            kernel.mount_tmpfs(slot, f"size={setup.scratch_mb}m,nr_inodes={setup.scratch_files},mode=700{owner}")

    def _become_user(self) -> None:
        uid = self._uid
        if not uid:
            if self._setup.namespaces or os.geteuid():
                return  # it is not root outside
            raise OSError(errno.EPERM, "the server is root, and users cannot be changed without namespaces")
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)

    def _unreadable_as(self, uid: int) -> str | None:
        """A folder that Python needs and this user cannot read."""
        folders = [folder for folder in self._setup.reads if os.path.isdir(folder)]
        os.setegid(uid)
        os.seteuid(uid)
        try:
            return next((one for one in folders if not os.access(one, os.R_OK | os.X_OK, effective_ids=True)), None)
        finally:
            os.seteuid(0)
            os.setegid(0)

    def _restrict_files(self) -> None:
        landlock.restrict((*self._setup.reads, *_DEVICES), (self._setup.scratch, *_DEVICES))

    def _restrict_calls(self) -> None:
        of_zygote, self._filter_of_fork = seccomp.compile_filters()
        seccomp.load(of_zygote)


def empty(folder: str) -> None:
    """Delete everything in a scratch folder. Takes any depth: folders are flattened before they are deleted."""
    number = 0
    names = os.listdir(folder)
    while names:
        path = os.path.join(folder, names.pop())
        try:
            os.unlink(path)
            continue
        except IsADirectoryError:
            pass
        os.chmod(path, 0o700)
        for inner in os.listdir(path):
            number += 1
            flat = f".{number:x}-{os.getpid():x}"
            with contextlib.suppress(FileNotFoundError):
                os.rename(os.path.join(path, inner), os.path.join(folder, flat))
                names.append(flat)
        os.rmdir(path)
