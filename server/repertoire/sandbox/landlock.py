"""Landlock: the kernel's own list of files that a process may use; used by `inside`.

The package `landlock` on PyPI knows files only. This also forbids TCP ports, signals and abstract sockets, where the kernel can do it.
The numbers are those of Linux's `include/uapi/linux/landlock.h`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterable
from typing import Final

from .kernel import check, libc

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION: Final = 1
_RULE_PATH: Final = 1

_RUN, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FIRST: Final = (1 << 13) - 1
"""The rights of the first version: run, write, read, list, remove, make."""
_OF_FILES: Final = _RUN | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""The rights that a rule for a single file may have."""
_SINCE: Final = ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV))
_MAKE_NODES: Final = 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11
"""Devices, sockets and named pipes: nobody needs them in a scratch folder."""
_TCP: Final = 3
_SCOPES: Final = 3
"""No abstract socket and no signal to a process outside."""


class _Rules(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("ports", ctypes.c_uint64), ("scopes", ctypes.c_uint64)]


class _Path(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("rights", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def version() -> int:
    """The version of the kernel's Landlock. Raises OSError where there is none."""
    return check(libc().syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION))


def restrict(reads: Iterable[str], writes: Iterable[str]) -> None:
    """Let this process read `reads` and write `writes`, and nothing else, for the rest of its life. Needs no_new_privs. Raises OSError.

    A path that is not there is left out.
    """
    have = version()
    rights = _FIRST
    for since, right in _SINCE:
        if have >= since:
            rights |= right
    rules = _Rules(rights, _TCP if have >= 4 else 0, _SCOPES if have >= 6 else 0)
    size = 24 if have >= 6 else 16 if have >= 4 else 8
    number = check(libc().syscall(_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), 0))
    try:
        for path in reads:
            _allow(number, path, _READ_FILE | _READ_DIR)
        for path in writes:
            _allow(number, path, rights & ~_MAKE_NODES & ~_RUN)
        check(libc().syscall(_RESTRICT, number, 0))
    finally:
        os.close(number)


def _allow(number: int, path: str, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError, PermissionError):
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(folder).st_mode):
                rights &= _OF_FILES
            if rights:
                rule = _Path(rights, folder)
                check(libc().syscall(_ADD_RULE, number, _RULE_PATH, ctypes.byref(rule), 0))
        finally:
            os.close(folder)
