"""Resource limits: limits of the operating system for a worker that runs code created through a tool; used by Zygote and `body_errors`.

`enforce` sets them. `hint_of` names the setting that an error comes from.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import resource
import sys
import threading
from typing import Final

from ..wire import Fork

_STACK_BYTES: Final = 4 << 20
"""Stack size of each thread. The usual 8 MiB count as used memory even if they are not touched: a hundred threads would use up the limit.

Half of it is still enough for the deepest recursion that Python allows.
"""
_ARENAS: Final = 2
"""Number of arenas of the C allocator, which otherwise reserves 64 MiB for each of the first threads."""
_M_ARENA_MAX: Final = -8

_NO_MEMORY: Final = ("can't allocate memory", "Cannot allocate memory", "can't start new thread")
"""Parts of messages of torch, of the system and of threads."""

_enforced: Fork | None = None
_memory_mb = 0
"""The limit of `limit_memory`. 0: none."""


def enforce(limits: Fork) -> None:
    """Set these limits for the rest of this process."""
    global _enforced
    _enforced = limits
    _set(resource.RLIMIT_CORE, 0)
    if limits.open_files > 0:
        _set(resource.RLIMIT_NOFILE, limits.open_files)
    if limits.file_mb > 0:
        _set(resource.RLIMIT_FSIZE, limits.file_mb << 20)
    if limits.memory_mb > 0:
        _spare_address_space()
        _set(resource.RLIMIT_AS, limits.memory_mb << 20)
    if limits.cpu_s > 0:
        _set(resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 1)


def limit_memory(megabytes: int) -> None:
    """Limit what this process may allocate, and each child of it: for workers of the operator's files. 0: no limit.

    RLIMIT_DATA counts private memory that may be written, so it is near to what a body uses. RLIMIT_AS counts address space. Measured with
    a gigabyte: under RLIMIT_AS a read-only map of a 3 GB file is refused, and so are 100 threads (8 MB of stack and an arena each).
    RLIMIT_DATA allows both (87 MB and 503 MB are counted), and it stops a list of numpy arrays at 961 MB. numpy needs 121 MB of it,
    torch 225 MB. A cgroup would count best, but most servers may not write one, and it kills the process instead of raising MemoryError.
    """
    global _memory_mb
    if megabytes > 0 and sys.platform == "linux":  # elsewhere the system does not count anonymous mappings
        _memory_mb = megabytes
        _set(resource.RLIMIT_DATA, megabytes << 20)


def hint_of(error: BaseException) -> str | None:
    """Advice about an error that one of these limits has caused. None: no limit explains it."""
    if _enforced is None:
        return _hint_of_memory(error) if _memory_mb else None
    if isinstance(error, MemoryError) and _enforced.memory_mb:
        return (
            f"Code created through a tool may use {_enforced.memory_mb} MB of memory (the setting worker_memory_mb). "
            "Use less: stream the input instead of holding all of it."
        )
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error) and _enforced.memory_mb:
        return (
            f"Code created through a tool may use {_enforced.memory_mb} MB of memory (the setting worker_memory_mb), and each thread "
            f"takes {_STACK_BYTES >> 20} of them. Use fewer threads: ThreadPoolExecutor(max_workers=32)."
        )
    if isinstance(error, OSError) and error.errno == errno.EMFILE and _enforced.open_files:
        return (
            f"Code created through a tool may have {_enforced.open_files} files and sockets open at once (the setting "
            "worker_open_files). Close each when it is done: `with open(path) as file:`."
        )
    if isinstance(error, OSError) and error.errno == errno.EFBIG and _enforced.file_mb:
        return (
            f"Code created through a tool may write files of {_enforced.file_mb} MB at most (the setting worker_file_mb). "
            "Write several smaller ones."
        )
    return None


def _hint_of_memory(error: BaseException) -> str | None:
    if not isinstance(error, MemoryError) and not any(sign in str(error) for sign in _NO_MEMORY):
        return None
    return (
        f"A worker may allocate {_memory_mb} MB of memory (the setting trusted_memory_mb; -1 is half of the machine's). Use less: stream the "
        "input instead of holding all of it. Or raise the setting."
    )


def _spare_address_space() -> None:
    threading.stack_size(_STACK_BYTES)
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # only glibc has mallopt, and only glibc needs it
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def _set(limit: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, but never above the present hard limit: raising that needs rights that a server should not have."""
    _, ceiling = resource.getrlimit(limit)
    pair = (soft, soft if hard is None else hard)
    low, high = pair if ceiling == resource.RLIM_INFINITY else (min(pair[0], ceiling), min(pair[1], ceiling))
    with contextlib.suppress(OSError, ValueError):  # macOS refuses RLIMIT_AS
        resource.setrlimit(limit, (low, high))
