"""Looks at what a client sent that may take for ever (patterns, comparisons of texts), in a process of their own that ends itself."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, Final, TypeVar

import anyio
import anyio.to_process

T = TypeVar("T")

LOOK_S: Final = 3
"""An honest look takes milliseconds."""
_START_S: Final = 20
"""With the start of the process, on a busy machine."""
_AT_ONCE: Final = anyio.CapacityLimiter(4)


class TooLong(Exception):
    """It was ended, or what it was to look at is nested too deeply to be sent there."""


async def apart(look: Callable[..., T], *args: Any) -> T:
    """`look(*args)`, a function of a module and plain values. Raises TooLong, and what the function raises."""
    try:
        with anyio.fail_after(_START_S):
            return await anyio.to_process.run_sync(_timed, look, *args, cancellable=True, limiter=_AT_ONCE)
    except (anyio.BrokenWorkerProcess, TimeoutError, RecursionError) as error:
        raise TooLong from error


def _timed(look: Callable[..., T], *args: Any) -> T:
    """SIGALRM ends a process even within a pattern, and whether or not anybody is left who would."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, LOOK_S)
    try:
        return look(*args)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
