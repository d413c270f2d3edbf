"""A step's time limit: the function runs where it is called, and is broken off when its time is up; used by steps.

A limit must not change what is computed. So the function runs in its caller's thread, with the caller's context variables, decimal
context, thread-locals and database connections, as it would without a limit.

How it is broken off: a watch, in a thread of ours, waits for the time to pass and then raises `Overdue` in the function's thread.
- In the main thread by a signal. That interrupts what waits in Python's own calls as well: sleep, sockets, locks, subprocesses.
- In another thread by CPython's PyThreadState_SetAsyncExc. That is raised when the thread next runs Python code, so a call that
  waits in C has to end first.
What goes on all the same after `GRACE_S` more (C code that heeds no signal, a bare `except`) cannot be ended from inside. In a run it
need not be: the step is recorded as overdue, the worker is given up, and the body, begun again, gets the TimeoutError from the record
(`Doors.overdue`). In a plain script the function is waited for. Code that never lets go of the interpreter, such as a regular
expression that backtracks, holds up the watch as well: there only the run's own time limit helps.

`Overdue` is no Exception, so that no `except Exception` of the function takes it for something else; the caller gets a TimeoutError.
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
"""Ignored by default, so one that comes too late harms nobody."""
_OURS: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_WHOLE: Final = frozenset(
    {
        "outbox.py",
        "channel.py",
        "streams.py",
        "journal.py",
        "replay.py",
        "timeline.py",
        "slots.py",
        "ambient.py",
        "codec.py",
        "changes.py",
        "trees.py",
    }
)
"""Files of ours that must not be left in the middle of what they do; it takes them no time."""
_MAY_WAIT: Final = frozenset({"receive", "sleep"})
"""What waits in them, and can be left."""


class Overdue(BaseException):
    """Raised in a function whose time is up."""


class _Watch:
    """Of one call. Whatever happens first counts: the function's end, or its limit."""

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
        if self._in_main and _SIGNAL is not None and signal.getsignal(_SIGNAL) is not _interrupt:
            signal.signal(_SIGNAL, _interrupt)
        _watches.append(self)
        # ours, by its name: no thread of the body's, so the run may park and its worker be used again
        threading.Thread(target=self._wait, name="repertoire-limit", daemon=True).start()

    def end(self) -> bool:
        """The function has ended. Gives whether its time was up; nothing is raised for it any more."""
        with self._lock:
            self._over.set()
        if self in _watches:
            _watches.remove(self)
        if self.is_up and not self._in_main:
            _raise_in(self._thread, None)
        return self.is_up

    def may_raise(self, frame: FrameType | None) -> bool:
        """Whether to raise Overdue in this frame, now. Once."""
        with self._lock:
            if not self.is_up or self._raised or self._over.is_set() or _in_the_middle(frame):
                return False
            self._raised = True
            return True

    def _wait(self) -> None:
        if self._over.wait(self._seconds):
            return
        self.is_up = True
        since = time.monotonic()
        while time.monotonic() - since < GRACE_S:
            self._break_off()
            if self._over.wait(_AGAIN_S):
                return
        if self._give_up is not None:
            self._give_up(self.late)

    def _break_off(self) -> None:
        if self._raised:
            return
        if self._in_main and _SIGNAL is not None:
            signal.pthread_kill(self._thread, _SIGNAL)
        elif self.may_raise(sys._current_frames().get(self._thread)):
            _raise_in(self._thread, Overdue)


_watches: list[_Watch] = []


def _interrupt(number: int, frame: FrameType | None) -> None:
    """In the main thread. `frame` is what is interrupted."""
    for watch in list(_watches):
        if watch._in_main and not watch._lock.locked() and watch.may_raise(frame):
            raise Overdue


def _in_the_middle(frame: FrameType | None) -> bool:
    """Whether the innermost of our own functions there must first come to its end."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_OURS):
            name = os.path.basename(frame.f_code.co_filename)
            return name in _WHOLE and frame.f_code.co_name not in _MAY_WAIT
        frame = frame.f_back
    return False


def within(seconds: float, perform: Callable[[], Any]) -> Any:
    """What it gives. Raises TimeoutError when it takes longer."""
    doors = ambient.doors()
    watch = _Watch(seconds, None if doors is None else doors.overdue())
    watch.begin()
    try:
        return _ended(watch, perform)
    except Overdue:
        if watch.end():
            raise watch.late from None
        raise  # of a limit around this one


def _ended(watch: _Watch, perform: Callable[[], Any]) -> Any:
    try:
        value = perform()
    except Exception as error:
        if watch.end():
            raise watch.late from error
        raise
    except BaseException:
        watch.end()
        raise
    if watch.end():  # it has taken what was raised for something else
        raise watch.late
    return value


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """None: what was to be raised there is not."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )
