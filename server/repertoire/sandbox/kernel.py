"""Kernel: the system calls that Python 3.11 has no function for, through ctypes; used by the modules of this package. Linux only."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any, Final

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8

_PR_SET_PDEATHSIG: Final = 1
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_LAST_CAPABILITY: Final = 63
_CAPABILITY_VERSION_3: Final = 0x20080522


@cache
def libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def check(result: int) -> int:
    """The result of a system call. Raises OSError when it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def mount_tmpfs(folder: str, options: str) -> None:
    """Mount an empty file system in memory there. Raises OSError."""
    flags = ctypes.c_ulong(MS_NOSUID | MS_NODEV | MS_NOEXEC)
    check(libc().mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options.encode()))


def die_with_parent(signal: int) -> None:
    """Have this process get the signal when the thread that made it ends."""
    check(libc().prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0))


def forbid_new_rights() -> None:
    """Set no_new_privs: no program that this process starts gains a right. It also allows seccomp and Landlock without an administrator."""
    check(libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilityData(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def narrow_bounding_set() -> None:
    """Take every capability out of the set that can ever be gained. Without the right to do so, nothing happens."""
    for number in range(_LAST_CAPABILITY + 1):
        libc().prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)


def drop_capabilities() -> None:
    """Give up all capabilities of this process. Raises OSError."""
    libc().prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    check(libc().capset(ctypes.byref(header), ctypes.byref((_CapabilityData * 2)())))
