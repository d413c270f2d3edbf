"""Launch: command lines that start the zygote of untrusted code inside namespaces; used by WorkerPool and `repertoire doctor`.

Bubblewrap shows the process an empty file tree with the interpreter in it, read-only. Without bubblewrap, `unshare` of util-linux makes the
same namespaces, the file tree stays, and Landlock hides it. Where neither works, the process starts as it is, with Landlock and seccomp.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from .setup import Setup
from .view import python_folders, search_path, system_paths

Way = Literal["bubblewrap", "unshare", "plain"]
_SCRATCH: Final = "/tmp"
"""The folder of scratch folders inside. It is there on every Linux, and every user can go into it."""
_UID: Final = 60_550
"""The user of untrusted runs where the server is root. systemd's table of users leaves 60,514 to 60,577 free; no account has it."""
_NAMESPACES: Final = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
_DEVICES: Final = ("null", "zero", "random", "urandom")


class Launch(msgspec.Struct, frozen=True):
    """One way to start: the words before Python's own, and what the process finds inside."""

    way: Way
    prefix: tuple[str, ...]
    setup: Setup

    def with_scratch(self, folder: str) -> Launch:
        """The same with another folder for scratch folders: where nothing can be mounted."""
        return msgspec.structs.replace(self, setup=msgspec.structs.replace(self.setup, scratch=folder))

    @property
    def environment(self) -> dict[str, str]:
        """All that a run sees of an environment, before the caller's own variables."""
        named = {
            "PATH": "/usr/bin:/bin",
            "HOME": self.setup.scratch,
            "TMPDIR": self.setup.scratch,
            "LANG": "C.UTF-8",
            "PYTHONHASHSEED": "0",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": search_path(),
        }
        return {name: value for name, value in named.items() if value}


def launches(slots: int, scratch_mb: int, scratch_files: int, without: tuple[str, ...]) -> Iterator[Launch]:
    """The ways to start on this machine, the best one first."""
    is_root = os.geteuid() == 0
    uid = _UID if is_root and "user" not in without else 0
    setup = Setup(
        without=without,
        namespaces=True,
        uid=uid,
        reads=(*python_folders(), *system_paths()),
        scratch=_SCRATCH,
        slots=slots,
        scratch_mb=scratch_mb,
        scratch_files=scratch_files,
        processes=512,
    )
    if "namespaces" not in without:
        if (bubblewrap := shutil.which("bwrap")) and "bubblewrap" not in without:
            yield Launch("bubblewrap", (bubblewrap, *_bubblewrap_options(is_root)), setup)
        if (unshare := shutil.which("unshare")) is not None:
            yield Launch("unshare", (unshare, *_unshare_options(is_root)), setup)
    yield Launch("plain", (), msgspec.structs.replace(setup, namespaces=False, uid=0, processes=0))


def _bubblewrap_options(is_root: bool) -> Iterator[str]:
    yield from _NAMESPACES
    if is_root:
        capabilities = ["CAP_SYS_ADMIN", "CAP_SETPCAP", "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN"]
    else:
        yield from ("--unshare-user", "--uid", "0", "--gid", "0")
        capabilities = ["CAP_SYS_ADMIN", "CAP_SETPCAP"]
    yield from ("--cap-drop", "ALL")
    for capability in capabilities:
        yield from ("--cap-add", capability)
    yield from ("--die-with-parent", "--tmpfs", "/", "--tmpfs", _SCRATCH)
    devices = tuple(f"/dev/{name}" for name in _DEVICES)
    for folder in _folders_above((*system_paths(), *python_folders(), *devices)):
        yield from ("--perms", "0755", "--dir", folder)  # bubblewrap makes them for its own user only
    for path in system_paths():
        if os.path.islink(path):
            yield from ("--symlink", os.readlink(path), path)
        else:
            yield from ("--ro-bind", path, path)
    for path in python_folders():
        yield from ("--ro-bind", path, path)
    for device in devices:
        yield from ("--dev-bind", device, device)
    yield from ("--remount-ro", "/", "--chdir", "/", "--")


def _folders_above(paths: tuple[str, ...]) -> list[str]:
    """The folders on the way to the paths, the outermost first."""
    return sorted(
        {
            os.sep.join(parts[:count])
            for path in paths
            for parts in [path.split(os.sep)]
            for count in range(2, len(parts))
        }
    )


def _unshare_options(is_root: bool) -> Iterator[str]:
    yield from ("--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--kill-child", "--mount-proc")
    if not is_root:
        yield from ("--map-root-user", "--keep-caps")
    yield "--"
