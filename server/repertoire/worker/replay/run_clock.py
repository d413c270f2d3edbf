"""RunClock: the time that workflow files see; each reading is recorded, and given again on replay; used by `shims`.

Each reading is one float of seconds, also for datetimes and nanoseconds. The live run and the replay convert the same number, so they get
the same value. A float of seconds near today has steps of 0.24 µs. So a datetime keeps its microseconds exactly, while `time_ns` counts
in steps of 238 ns. `process_time` and `thread_time` stay real: they measure this process, and a replay is another process.
"""

from __future__ import annotations

import copy
import datetime as _datetime
import functools
import time as _time
from collections.abc import Callable
from types import BuiltinMethodType
from typing import Any, ClassVar, Final, Protocol


class ClockSource(Protocol):
    """Source of a RunClock's readings: recorded ones in their order, then real ones."""

    def read_clock(self, live: Callable[[], float], /) -> float:
        """The recorded value of the current node's next reading. If there is none, the value of `live`, which is then recorded."""


class _RealTime:
    """Implements ClockSource without records."""

    def read_clock(self, live: Callable[[], float], /) -> float:
        return live()


class RunFunction:
    """A function of the run in place of a real one. A copy is the same object. Pickled, it is the real one, because it leaves the run."""

    equal_by_identity: ClassVar = False
    """True while Heap compares what a run has left behind."""

    def __init__(self, call: Callable[..., Any], real: Callable[..., Any]) -> None:
        functools.update_wrapper(self, real, updated=())
        self._call = call
        self._real = real

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return copy.copy, (self._real,)  # copy.copy returns a function unchanged, and every process can unpickle it

    def __copy__(self) -> RunFunction:
        return self

    def __deepcopy__(self, memo: object) -> RunFunction:
        return self

    def __eq__(self, other: object) -> bool:
        if RunFunction.equal_by_identity:
            return self is other
        return bool(self._real == (other._real if isinstance(other, RunFunction) else other))

    def __hash__(self) -> int:
        return hash(self._real)

    def __repr__(self) -> str:
        return repr(self._real)


class RunClock:
    """One run's clock. `seed` seeds the run's random generators (`seeded_random`); `sleep` performs time.sleep."""

    def __init__(self, seed: str, source: ClockSource, sleep: Callable[[float], None] = _time.sleep) -> None:
        self.seed = seed
        self._source = source
        self._sleep = sleep
        self._monotonic = _Steady(source, _time.monotonic)
        self._perf_counter = _Steady(source, _time.perf_counter)

    def become_real(self) -> None:
        """Read real time from now on: in a child process nothing can be recorded."""
        real = _RealTime()
        self._source = self._monotonic.source = self._perf_counter.source = real
        self._sleep = _time.sleep

    def time(self) -> float:
        return self._source.read_clock(_time.time)

    def functions(self) -> dict[str, RunFunction]:
        """The functions that replace those of the module `time` during a run."""
        calls: dict[str, Callable[..., Any]] = {
            "time": self.time,
            "time_ns": lambda: _ns(self.time()),
            "monotonic": self._monotonic.read,
            "monotonic_ns": lambda: _ns(self._monotonic.read()),
            "perf_counter": self._perf_counter.read,
            "perf_counter_ns": lambda: _ns(self._perf_counter.read()),
            "gmtime": lambda seconds=None, /: _time.gmtime(self.time() if seconds is None else seconds),
            "localtime": lambda seconds=None, /: _time.localtime(self.time() if seconds is None else seconds),
            "ctime": lambda seconds=None, /: _time.ctime(self.time() if seconds is None else seconds),
            "asctime": lambda *when: _time.asctime(*(when or (self._local(),))),
            "strftime": lambda form, *when: _time.strftime(form, *(when or (self._local(),))),
            "clock_gettime": self._clock_gettime,
            "clock_gettime_ns": self._clock_gettime_ns,
            "sleep": self._sleep_for,
        }
        return {name: RunFunction(call, getattr(_time, name)) for name, call in calls.items() if hasattr(_time, name)}

    def attribute(self, value: Any) -> Any:
        """`value`, read from `x.now`, `x.utcnow` or `x.today`; the run's version if it is a built-in method of a date class."""
        if type(value) is not BuiltinMethodType:
            return value
        owner = value.__self__
        if not isinstance(owner, type) or not issubclass(owner, _datetime.date):
            return value
        read = _OF_DATES.get(value.__name__)
        return value if read is None else RunFunction(functools.partial(read, owner, self.time), value)

    def _local(self) -> _time.struct_time:
        return _time.localtime(self.time())

    def _sleep_for(self, seconds: float, /) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self._sleep(seconds)

    def _clock_gettime(self, clock: int, /) -> float:
        read = self._clocks().get(clock)
        return _time.clock_gettime(clock) if read is None else read()

    def _clock_gettime_ns(self, clock: int, /) -> int:
        read = self._clocks().get(clock)
        return _time.clock_gettime_ns(clock) if read is None else _ns(read())

    def _clocks(self) -> dict[int, Callable[[], float]]:
        return {_time.CLOCK_REALTIME: self.time, _time.CLOCK_MONOTONIC: self._monotonic.read}


class _Steady:
    """A clock that never goes back within a run, even if the run is resumed on a machine whose clock started later."""

    def __init__(self, source: ClockSource, real: Callable[[], float]) -> None:
        self.source = source
        self._real = real
        self._ahead = 0.0
        self._highest = 0.0

    def read(self) -> float:
        value = self.source.read_clock(self._live)
        self._highest = max(self._highest, value)
        return value

    def _live(self) -> float:
        value = self._real() + self._ahead
        if value < self._highest:
            self._ahead += self._highest - value
            value = self._highest
        return value


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _now(owner: type[_datetime.datetime], read: Callable[[], float], tz: Any = None) -> Any:
    return owner.fromtimestamp(read(), tz)


def _utcnow(owner: type[_datetime.datetime], read: Callable[[], float]) -> Any:
    return owner.fromtimestamp(read(), _datetime.UTC).replace(tzinfo=None)


def _today(owner: type[_datetime.date], read: Callable[[], float]) -> Any:
    return owner.fromtimestamp(read())


_OF_DATES: Final[dict[str, Callable[..., Any]]] = {"now": _now, "utcnow": _utcnow, "today": _today}
