"""Resets: puts process-wide settings back to their first values; used by Surroundings after each run.

A setting is in this table if scripts often change it and if writing its first value is enough to reset it. All others are compared by
`probes` and `heap`, and a change of one costs the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import locale
import os
import random
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ..replay.event_loop import Policy
from . import log_levels
from .environment import Environment

_TIMERS: Final = tuple(
    getattr(signal, name) for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF") if hasattr(signal, name)
)


_getsignal: Final = getattr(sys.modules["_signal"], "getsignal")  # noqa: B009  # makes no enums, which take ten times as long
_signal: Final = getattr(sys.modules["_signal"], "signal")  # noqa: B009  # does not convert the old handler, an object of the body
_SIGNALS: Final = sorted(map(int, signal.valid_signals()))


class _Setting(NamedTuple):
    read: Callable[[], Any]
    write: Callable[[Any], object]


class Resets:
    """The first values of all settings."""

    def __init__(self) -> None:
        self._settings = [_Setting(*pair) for pair in _PAIRS]
        self._first = [setting.read() for setting in self._settings]
        self._environment = Environment()
        self._logging = log_levels.LoggerStates()

    def stop_timers(self) -> None:
        """Stop the body's timers before anything else: their signals must not come between two runs."""
        for timer in _TIMERS:
            signal.setitimer(timer, 0)
        faulthandler.cancel_dump_traceback_later()

    def put_back(self) -> None:
        """Put all settings back. Raises when the operating system refuses one; then the process cannot be used again."""
        for setting, first in zip(self._settings, self._first, strict=True):
            if setting.read() != first:
                setting.write(first)
        self._environment.put_back()
        time.tzset()
        self._logging.put_back()
        _reset_module_globals()
        _reset_asyncio()
        _reset_random()

    def learn(self) -> None:
        """Keep the settings that an imported library has made for itself."""
        self._logging.learn()
        self._first[_FILTERS] = list(warnings.filters)


def _read_umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _handlers() -> dict[int, Any]:
    return {number: _getsignal(number) for number in _SIGNALS}


def _write_handlers(first: dict[int, Any]) -> None:
    for number, handler in first.items():
        if _getsignal(number) != handler and handler is not None:
            _signal(number, handler)


def _read_wakeup() -> int:
    descriptor = signal.set_wakeup_fd(-1)
    if descriptor != -1:
        signal.set_wakeup_fd(descriptor)
    return descriptor


def _write_collector(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()


def _list_of(module: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    real = getattr(module, name)

    def read() -> list[Any] | None:
        return list(real) if getattr(module, name) is real else None

    def write(first: list[Any]) -> None:
        setattr(module, name, real)
        real[:] = first

    return read, write


_PAIRS: Final[tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...]] = (
    _list_of(warnings, "filters"),
    (os.getcwd, os.chdir),
    _list_of(sys, "path"),
    _list_of(sys, "argv"),
    (_read_umask, os.umask),
    (lambda: locale.setlocale(locale.LC_ALL), lambda first: locale.setlocale(locale.LC_ALL, first)),
    (socket.getdefaulttimeout, socket.setdefaulttimeout),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (sys.getswitchinterval, sys.setswitchinterval),
    (sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    (gc.isenabled, _write_collector),
    (gc.get_threshold, lambda first: gc.set_threshold(*first)),
    (gc.get_debug, gc.set_debug),
    (sys.gettrace, sys.settrace),
    (sys.getprofile, sys.setprofile),
    (_handlers, _write_handlers),
    (_read_wakeup, signal.set_wakeup_fd),
    (lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()), lambda first: signal.pthread_sigmask(signal.SIG_SETMASK, first)),
)  # fmt: skip
_FILTERS: Final = 0

_FIRST_VALUES: Final[dict[str, dict[str, Any]]] = {
    "urllib.request": {"_opener": None},
    "tempfile": {"tempdir": None},
}
"""Globals that the standard library sets at first use, with the values from before. It sets them again."""


def _reset_module_globals() -> None:
    for name, values in _FIRST_VALUES.items():
        if (module := sys.modules.get(name)) is not None:
            vars(module).update(values)
    mutated: Any = getattr(warnings, "_filters_mutated", None) or getattr(warnings, "_filters_mutated_lock_held", None)
    with contextlib.suppress(Exception):
        mutated()  # a warning that was shown once is shown again in the next run


def _reset_asyncio() -> None:
    policy: Any = asyncio.get_event_loop_policy()
    loop = getattr(getattr(policy, "_local", None), "_loop", None)
    if isinstance(loop, asyncio.AbstractEventLoop) and not loop.is_running() and not loop.is_closed():
        loop.close()
    asyncio._set_running_loop(None)
    asyncio.set_event_loop_policy(Policy())


def _reset_random() -> None:
    """Seed the global generators anew: a body may have seeded them, and libraries draw from them."""
    random.seed()
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "default_generator"):
        torch.default_generator.seed()
