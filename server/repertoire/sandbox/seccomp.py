"""Seccomp: lists of the system calls that are allowed, compiled by libseccomp; used by `inside`.

A call that is not on the list fails with EPERM, so a body gets a PermissionError and not a sudden death. `compile_filters` takes some
milliseconds and is done once; loading a compiled filter takes less than one. libseccomp is called directly: the package `pyseccomp` starts
a compiler to find it, and cannot load a filter that was compiled before.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from functools import cache
from typing import Any, Final

from .kernel import check, libc

_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_EQUAL, _MASKED_EQUAL = 4, 7
_OTHER_NUMBERS: Final = 2
"""The attribute for calls by the numbers of another architecture: `int 0x80`, and x32."""
_SET_MODE_FILTER: Final = 1
_CLONE_THREAD: Final = 0x00010000

_FILES: Final = [
    "access",
    "chdir",
    "chmod",
    "close",
    "close_range",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchdir",
    "fchmod",
    "fchmodat",
    "fcntl",
    "fdatasync",
    "flock",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "futimesat",
    "getcwd",
    "getdents",
    "getdents64",
    "lseek",
    "lstat",
    "mkdir",
    "mkdirat",
    "newfstatat",
    "open",
    "openat",
    "pread64",
    "preadv",
    "pwrite64",
    "pwritev",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "stat",
    "statfs",
    "statx",
    "symlink",
    "symlinkat",
    "sync_file_range",
    "truncate",
    "umask",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
    "write",
    "writev",
]
_WAITING: Final = [
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "pselect6",
    "select",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
]
_SOCKETS: Final = ["getpeername", "getsockname", "getsockopt", "recvfrom", "recvmsg", "setsockopt", "shutdown"]
_MEMORY: Final = ["brk", "madvise", "mmap", "mprotect", "mremap", "msync", "munmap"]
_TIME: Final = [
    "alarm",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "getitimer",
    "gettimeofday",
    "nanosleep",
    "setitimer",
    "time",
    "times",
]
_SELF: Final = [
    "exit",
    "exit_group",
    "futex",
    "futex_waitv",
    "get_robust_list",
    "getcpu",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getpriority",
    "getrandom",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "getsid",
    "gettid",
    "getuid",
    "membarrier",
    "pause",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getaffinity",
    "sched_getparam",
    "sched_getscheduler",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "setrlimit",
    "sigaltstack",
    "sysinfo",
    "uname",
    "wait4",
    "waitid",
]
_NO_ATTRIBUTES: Final = ["fgetxattr", "flistxattr", "getxattr", "lgetxattr", "listxattr", "llistxattr"]
"""shutil.copy asks for attributes, and goes on where there are none."""
_IOCTLS: Final = {
    "TCGETS": 0x5401,
    "TIOCGWINSZ": 0x5413,
    "FIONREAD": 0x541B,
    "FIONBIO": 0x5421,
    "FIONCLEX": 0x5450,
    "FIOCLEX": 0x5451,
}
_PRCTLS: Final = {"PR_SET_NAME": 15, "PR_GET_NAME": 16, "PR_GET_NO_NEW_PRIVS": 39, "PR_SET_VMA": 0x53564D41}
_OF_ZYGOTE: Final = [
    "capget",
    "fork",
    "kill",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "prctl",
    "prlimit64",
    "clone",
    "seccomp",
    "setpgid",
    "setpriority",
    "setsid",
    "vfork",
]
"""The zygote forks and kills. A fork gives these up before it gets its code."""


class Unavailable(OSError):
    """Raised when there is no libseccomp on this machine."""


class _Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


@cache
def _library() -> Any:
    try:
        found = ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        raise Unavailable(errno.ENOENT, "there is no libseccomp.so.2") from error
    found.seccomp_init.restype = ctypes.c_void_p
    found.seccomp_init.argtypes = [ctypes.c_uint32]
    found.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p,
    ]  # fmt: skip
    found.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    found.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    found.seccomp_release.argtypes = [ctypes.c_void_p]
    return found


def compile_filters() -> tuple[bytes, bytes]:
    """The filter of the zygote and that of a fork. Raises Unavailable."""
    return _compile(_OF_ZYGOTE), _compile([])


def load(code: bytes) -> None:
    """Put this process under the filter for the rest of its life. Needs no_new_privs. Raises OSError."""
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    number = _library().seccomp_syscall_resolve_name(b"seccomp")
    check(libc().syscall(number, _SET_MODE_FILTER, 0, ctypes.byref(program)))


def _compile(more: list[str]) -> bytes:
    rules = _Rules()
    for name in (*_FILES, *_WAITING, *_SOCKETS, *_MEMORY, *_TIME, *_SELF, *more):
        rules.allow(name)
    for name in _NO_ATTRIBUTES:
        rules.refuse(name, errno.ENOTSUP)
    rules.refuse("clone3", errno.ENOSYS)  # its flags cannot be seen here; the C library then takes `clone`
    rules.allow("socketpair", (0, _EQUAL, socket.AF_UNIX, 0))  # asyncio wakes its loop through one
    rules.allow("sendto", (4, _EQUAL, 0, 0))  # without an address: to the peer of a socketpair only
    if not more:
        rules.allow("clone", (0, _MASKED_EQUAL, _CLONE_THREAD, _CLONE_THREAD))
        rules.allow("prlimit64", (0, _EQUAL, 0, 0))
        for option in _PRCTLS.values():
            rules.allow("prctl", (0, _EQUAL, option, 0))
    for request in _IOCTLS.values():
        rules.allow("ioctl", (1, _EQUAL, request, 0))
    return rules.compile()


class _Rules:
    def __init__(self) -> None:
        self._library = _library()
        self._context = self._library.seccomp_init(_ERRNO | errno.EPERM)
        # the default would kill one thread of the process, and leave the others
        self._library.seccomp_attr_set(self._context, _OTHER_NUMBERS, _ERRNO | errno.EPERM)

    def allow(self, name: str, *comparisons: tuple[int, int, int, int]) -> None:
        self._add(_ALLOW, name, comparisons)

    def refuse(self, name: str, number: int) -> None:
        self._add(_ERRNO | number, name, ())

    def _add(self, action: int, name: str, comparisons: tuple[tuple[int, int, int, int], ...]) -> None:
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # another kind of processor, or an older libseccomp
            return
        array = (_Comparison * len(comparisons))(*(_Comparison(*one) for one in comparisons))
        if self._library.seccomp_rule_add_array(self._context, action, number, len(comparisons), array):
            raise OSError(errno.EINVAL, f"libseccomp refuses a rule for {name}")

    def compile(self) -> bytes:
        reads, writes = os.pipe()  # a filter is some kilobytes, which a pipe holds
        with open(reads, "rb") as file:
            try:
                failed = self._library.seccomp_export_bpf(self._context, writes)
            finally:
                os.close(writes)
                self._library.seccomp_release(self._context)
            if failed:
                raise OSError(errno.EINVAL, "libseccomp cannot compile the filter")
            return file.read()
