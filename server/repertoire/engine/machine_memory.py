"""Machine memory: how much memory a worker of the operator's files may allocate; used by WorkerPool."""

from __future__ import annotations

import contextlib
import os
from typing import Final

from ..limits import Limits

_CONTAINER_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files that tell the limit of this container, of cgroups in version 2 and in version 1."""


def trusted_memory_mb(limits: Limits) -> int:
    """Megabytes for one worker. 0: no limit."""
    if limits.trusted_memory_mb >= 0:
        return limits.trusted_memory_mb
    return memory_mb() // 2


def memory_mb() -> int:
    """The memory of this machine, or of this container if that is less. 0: the system does not tell it."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in _CONTAINER_LIMITS:
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
            found.append(int(file.read()))
    return min(found, default=0) >> 20
