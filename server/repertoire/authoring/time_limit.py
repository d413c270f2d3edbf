"""Time limit: `within` calls a function and interrupts it when its time is up; the caller gets a TimeoutError. Used by `steps`.

Theory of operation:

1. A limit must not change the result. So the function runs in its caller's thread, with the caller's context variables, decimal
   context, thread-locals and database connections, as without a limit.
2. A thread of ours waits until the time is up. Then it raises `Overdue` in the function's thread.
3. In the main thread it does so by a signal. That also interrupts Python's own waiting calls: sleep, sockets, locks, subprocesses.
4. In another thread it uses CPython's PyThreadState_SetAsyncExc. That raises when the thread next runs Python code, so a call that
   waits in C must end first.
5. Code may still run after another `GRACE_S`: C code that ignores signals, or a bare `except`. It cannot be ended from inside.
   In a run the step is recorded as overdue, and the worker is given up. On replay the body gets the TimeoutError from the record
   (`Doors.overdue`). In a plain script we wait for the function.
6. Code that never releases the interpreter, such as a regular expression that backtracks, stops our thread as well. Then only the
   run's own time limit helps.
7. `Overdue` is no Exception, so that an `except Exception` in the function does not catch it.
8. Some of our own files must not be left half-way (`_UNINTERRUPTED`). `Overdue` is raised after they return.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from . import ambient

GRACE_S: Final = 2.0
_AGAIN_S: Final = 0.02
_SIGNAL: Final[int | None] = getattr(signal, "SIGURG", None)
"""Ignored by default, so a late signal does no harm."""
_OURS: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_UNINTERRUPTED: Final = frozenset(
    {
        "outbox.py",
        "channel.py",
        "streams.py",
        "journal_reader.py",
        "replayer.py",
        "timeline.py",
        "pending_call.py",
        "ambient.py",
        "codec.py",
        "changes.py",
        "trees.py",
    }
)
"""Our own files that must not be interrupted. They take almost no time."""
_MAY_WAIT: Final = frozenset({"receive", "sleep"})
"""Functions in these files that wait, and that may be interrupted."""


class Overdue(BaseException):
    """Raised in a function whose time is up."""


class _Limit:
    """The time limit of one call. The first event counts: the function's end, or the limit."""

    def __init__(self, seconds: float, give_up: Callable[[BaseException], None] | None) -> None:
        self._seconds = seconds
        self._give_up = give_up
        self._thread = threading.get_ident()
        self._in_main = _SIGNAL is not None and self._thread == threading.main_thread().ident
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.is_up = False
        self._raised = False

    @property
    def late(self) -> TimeoutError:
        return TimeoutError(f"the step took longer than {self._seconds:g} s")

    def begin(self) -> None:
        if self._in_main and _SIGNAL is not None and signal.getsignal(_SIGNAL) is not _on_signal:
            signal.signal(_SIGNAL, _on_signal)
        _limits.append(self)
        # The name marks the thread as ours, not the body's: so the run may park and its worker may be used again.
        threading.Thread(target=self._wait, name="repertoire-limit", daemon=True).start()

    def end(self) -> bool:
        """Note the function's end: nothing is raised in it any more. True if its time was up before."""
        with self._lock:
            self._over.set()
        if self in _limits:
            _limits.remove(self)
        if self.is_up and not self._in_main:
            _raise_in(self._thread, None)
        return self.is_up

    def claim_raise(self, frame: FrameType | None) -> bool:
        """Claim the one raise of Overdue, for this frame and now. False if the caller must not raise."""
        with self._lock:
            if not self.is_up or self._raised or self._over.is_set() or _is_uninterrupted(frame):
                return False
            self._raised = True
            return True

    def _wait(self) -> None:
        if self._over.wait(self._seconds):
            return
        self.is_up = True
        since = time.monotonic()
        while time.monotonic() - since < GRACE_S:
            self._interrupt()
            if self._over.wait(_AGAIN_S):
                return
        if self._give_up is not None:
            self._give_up(self.late)

    def _interrupt(self) -> None:
        if self._raised:
            return
        if self._in_main and _SIGNAL is not None:
            signal.pthread_kill(self._thread, _SIGNAL)
        elif self.claim_raise(sys._current_frames().get(self._thread)):
            _raise_in(self._thread, Overdue)


_limits: list[_Limit] = []


def _on_signal(number: int, frame: FrameType | None) -> None:
    """The signal handler, in the main thread. `frame` is the interrupted one."""
    for limit in list(_limits):
        if limit._in_main and not limit._lock.locked() and limit.claim_raise(frame):
            raise Overdue


def _is_uninterrupted(frame: FrameType | None) -> bool:
    """True if the innermost of our own functions in this stack must return first."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_OURS):
            name = os.path.basename(frame.f_code.co_filename)
            return name in _UNINTERRUPTED and frame.f_code.co_name not in _MAY_WAIT
        frame = frame.f_back
    return False


def within(seconds: float, perform: Callable[[], Any]) -> Any:
    """The value of `perform()`. Raises TimeoutError if that takes longer."""
    doors = ambient.doors()
    limit = _Limit(seconds, None if doors is None else doors.overdue())
    limit.begin()
    try:
        return _perform(limit, perform)
    except Overdue:
        if limit.end():
            raise limit.late from None
        raise  # it belongs to an outer limit


def _perform(limit: _Limit, perform: Callable[[], Any]) -> Any:
    try:
        value = perform()
    except Exception as error:
        if limit.end():
            raise limit.late from error
        raise
    except BaseException:
        limit.end()
        raise
    if limit.end():  # the function has caught Overdue
        raise limit.late
    return value


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Let the thread raise this error. None takes a pending one back."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )
