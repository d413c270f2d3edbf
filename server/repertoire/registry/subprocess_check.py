"""Subprocess check: runs a function on a client's input in a subprocess with a time limit; used by `expectations` and the service.

A regular expression or a comparison of texts can take for ever and hold the interpreter. So it runs in a process that ends itself.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any, Final, TypeVar

import anyio
import anyio.to_process

T = TypeVar("T")

CHECK_S: Final = 3
"""An ordinary check takes milliseconds."""
_START_S: Final = 20
"""Limit of a check together with the start of its process, on a busy machine."""
_AT_ONCE: Final = anyio.CapacityLimiter(4)


_SLOW: Final = ('"pattern', '"$ref"', '"$dynamicRef"', '"$recursiveRef"', '"uniqueItems"')


def may_be_slow(schema: Any) -> bool:
    """Whether a value may take for ever to be checked against this JSON Schema: by a regular expression, or references among schemas."""
    text = json.dumps(schema)
    return any(word in text for word in _SLOW)


class TooLong(Exception):
    """Raised when the check took too long and was ended, or when its input is nested too deeply to be sent to the subprocess."""


async def run_in_subprocess(check: Callable[..., T], *args: Any) -> T:
    """`check(*args)`: a function of a module, and plain values. Raises TooLong, and everything that the function raises."""
    try:
        with anyio.fail_after(_START_S):
            return await anyio.to_process.run_sync(_run_timed, check, *args, cancellable=True, limiter=_AT_ONCE)
    except (anyio.BrokenWorkerProcess, TimeoutError, RecursionError) as error:
        raise TooLong from error


def _run_timed(check: Callable[..., T], *args: Any) -> T:
    """SIGALRM ends the process even inside a regular expression, and also if its parent is gone."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, CHECK_S)
    try:
        return check(*args)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
