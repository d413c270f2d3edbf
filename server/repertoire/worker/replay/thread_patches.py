"""Thread patches: make futures, queues, events and threads record what workflow files learn from them; installed once by Process.

The patched functions replace methods of the standard library's own classes. Only calls from the text of a workflow are recorded and
repeated (`thread_readings`; replay, rule 7). For all other callers the functions behave as the library's.
"""

from __future__ import annotations

import concurrent.futures as _cf
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final

from . import call_paths
from .thread_readings import ThreadReadings, begin_wait, readings_of_body

_TIMED_OUT: Final = -1.0
"""The reading that says: the time limit was exceeded."""

_as_completed = _cf.as_completed
_wait = _cf.wait


# Futures


@wraps(_as_completed)
def as_completed(fs: Iterable[Future[Any]], timeout: float | None = None) -> Iterator[Future[Any]]:
    readings = readings_of_body()
    if readings is None:
        return _as_completed(fs, timeout)
    return _iterate_completed(readings, list(dict.fromkeys(fs)), timeout)


def _iterate_completed(
    readings: ThreadReadings, futures: list[Future[Any]], timeout: float | None
) -> Iterator[Future[Any]]:
    left = dict(enumerate(futures))
    while left and (known := readings.take_recorded()) is not None:
        if known == _TIMED_OUT:
            raise TimeoutError(f"{len(left)} (of {len(futures)}) futures unfinished")
        future = left.pop(int(known))
        _complete(readings, [future])
        yield future
    places = {future: place for place, future in left.items()}
    del futures, left
    readings.begin_wait()
    try:
        for future in _as_completed(list(places), timeout):
            readings.note(places.pop(future))
            yield future
            readings.begin_wait()
    except TimeoutError:
        readings.note(_TIMED_OUT)
        raise


@wraps(_wait)
def wait(fs: Iterable[Future[Any]], timeout: float | None = None, return_when: str = _cf.ALL_COMPLETED) -> Any:
    readings = readings_of_body()
    if readings is None:
        return _wait(fs, timeout, return_when)
    futures = list(dict.fromkeys(fs))
    readings.begin_wait()
    if (count := readings.take_recorded()) is None:
        ended = _wait(futures, timeout, return_when).done
        done = [place for place, future in enumerate(futures) if future in ended]
        readings.note(len(done), *done)
    else:
        done = [int(readings.take_recorded() or 0) for _ in range(int(count))]
        _complete(readings, [futures[place] for place in done])
    which = {futures[place] for place in done}
    return _cf._base.DoneAndNotDoneFutures(which, {future for future in futures if future not in which})


def _complete(readings: ThreadReadings, futures: list[Future[Any]]) -> None:
    """Wait until these futures are done, as they were the first time."""
    readings.begin_wait()
    while waiting := _wait(futures, 0.05).not_done:
        readings.wait_until(lambda: all(Future.done(one) for one in waiting), "a future that was done")


_add_done_callback = Future.add_done_callback


@wraps(_add_done_callback)
def _add_callback(self: Future[Any], fn: Callable[[Future[Any]], Any]) -> None:
    """A callback gets its own node, which does not depend on whether the future is already done or which thread completes it."""
    if readings_of_body() is None:
        return _add_done_callback(self, fn)
    node = call_paths.current().beside("then")

    def call_back(future: Future[Any]) -> None:
        with call_paths.within(node):
            fn(future)

    return _add_done_callback(self, call_back)


# Questions that are answered at once, and waits with a time limit


def _patch_question(ask: Callable[..., Any], confirm: Callable[[ThreadReadings, Any, Any], None]) -> Callable[..., Any]:
    @wraps(ask)
    def answer(self: Any, *args: Any) -> Any:
        readings = readings_of_body()
        if readings is None:
            return ask(self, *args)
        known = readings.take_recorded()
        if known is None:
            seen = ask(self, *args)
            readings.note(float(seen))
            return seen
        seen = int(known) if ask in _COUNTS else bool(known)
        confirm(readings, self, seen)
        return seen

    return answer


_COUNTS: Final = frozenset({queue.Queue.qsize})


def _confirm_nothing(readings: ThreadReadings, self: Any, seen: Any) -> None:
    """For answers that need not be true again at the moment when they are given again."""


def _confirm_done(readings: ThreadReadings, self: Any, seen: Any) -> None:
    if seen:
        _complete(readings, [self])


def _confirm_cancelled(readings: ThreadReadings, self: Any, seen: Any) -> None:
    if seen:
        _cancel(self)


def _confirm_dead(readings: ThreadReadings, self: Any, seen: Any) -> None:
    if not seen:
        readings.begin_wait()
        _join(self)


def _confirm_set(readings: ThreadReadings, self: Any, seen: Any) -> None:
    if seen:
        readings.wait_until(lambda: self._flag, "an event that was set")


_cancel = Future.cancel
_join = threading.Thread.join


def _patch_wait(
    wait: Callable[..., Any], over: Callable[[Any, Any, BaseException | None], bool], gives_false: bool
) -> Any:
    """Patch a method `wait(timeout=None)`. `over` tells whether it returned because of the limit."""

    @wraps(wait)
    def wait_recorded(self: Any, timeout: float | None = None) -> Any:
        begin_wait()
        readings = readings_of_body()
        if readings is None:
            return wait(self, timeout)
        if timeout is None:
            return wait(self)
        known = readings.take_recorded()
        if known == _TIMED_OUT:
            if gives_false:
                return False
            raise TimeoutError()
        if known is not None:
            return wait(self)
        try:
            value = wait(self, timeout)
        except BaseException as error:
            readings.note(_TIMED_OUT if over(self, None, error) else 1)
            raise
        readings.note(_TIMED_OUT if over(self, value, None) else 1)
        return value

    return wait_recorded


def _future_over(self: Any, value: Any, error: BaseException | None) -> bool:
    return isinstance(error, TimeoutError) and error is not self._exception


def _event_over(self: Any, value: Any, error: BaseException | None) -> bool:
    return error is None and not value


def _join_thread(self: threading.Thread, timeout: float | None = None) -> None:
    begin_wait()
    _join(self, timeout)


# Queues: the order in which threads put and get


class _Order:
    """The order in which nodes act on one queue.

    A node notes how many acts of all nodes lie between its own last act and this one. So a thread that acts alone notes the same number
    many times, and equal readings are recorded once. Acts inside a step are not counted, because a replay does not repeat the step.
    """

    def __init__(self) -> None:
        self.count = 0
        self._last: dict[str, int] = {}
        self._now = threading.local()
        self._repeating = 0
        """Threads that may be about to repeat a recorded act."""
        self._changes = threading.Lock()

    def act(self, readings: ThreadReadings, what: str, again: Callable[[], Any], live: Callable[[], Any]) -> Any:
        """Perform `again` when its recorded turn comes, or `live` when nothing is recorded. Raises _Missed if it failed the first time."""
        readings.begin_wait()
        self._now.readings = readings
        try:
            with self._repeat():
                known = readings.take_turn()
                if known == _TIMED_OUT:
                    raise _Missed
                self._now.is_known = known is not None
                if known is not None:
                    turn = self._last.get(readings.prefix(), 0) + known
                    readings.wait_until(lambda: self.count >= turn, what)
                    return again()
            # An act that is not recorded came after all that are. A turn is first taken, then acted: so look at the turns first.
            if readings.has_turns() or self._repeating:
                readings.wait_until(lambda: not readings.has_turns() and not self._repeating, f"others, before {what}")
            return live()
        finally:
            self._now.readings = None

    @contextmanager
    def _repeat(self) -> Iterator[None]:
        with self._changes:
            self._repeating += 1
        try:
            yield
        finally:
            with self._changes:
                self._repeating -= 1

    def pass_on(self) -> None:
        """Note the act that was just performed. Called while the queue's lock is held."""
        readings: ThreadReadings | None = getattr(self._now, "readings", None)
        if readings is None:
            return
        place = readings.prefix()
        if not self._now.is_known:
            readings.note_turn(self.count - self._last.get(place, 0))
        self._last[place] = self.count
        self.count += 1


class _Missed(Exception):
    """Raised when the act was not possible the first time."""


class _QueueOrders:
    def __init__(self, of: Any) -> None:
        self.put, self.get = _Order(), _Order()
        of._put = self._count_after(self.put, of._put)
        of._get = self._count_after(self.get, of._get)

    def _count_after(self, order: _Order, act: Callable[..., Any]) -> Callable[..., Any]:
        def act_and_count(*args: Any) -> Any:
            value = act(*args)
            order.pass_on()
            return value

        return act_and_count


_orders = threading.Lock()


def _orders_of(of: Any) -> _QueueOrders:
    with _orders, of.mutex:
        found: _QueueOrders | None = of.__dict__.get("_run_orders")
        if found is None:
            found = of._run_orders = _QueueOrders(of)
        return found


def _patch_move(kind: str, move: Callable[..., Any], failure: type[Exception], **fixed: Any) -> Callable[..., Any]:
    """Patch `put` or `get` of a queue. `fixed` are arguments that it always gets."""

    @wraps(move)
    def move_recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
        readings = readings_of_body()
        if readings is None or readings.in_step():
            begin_wait()
            return move(self, *args, **kwargs, **fixed)
        item = args[: kind == "put"], {name: kwargs[name] for name in kwargs if name == "item"}
        try:
            return getattr(_orders_of(self), kind).act(
                readings,
                f"its turn to {kind}",
                lambda: move(self, *item[0], **item[1]),
                lambda: move(self, *args, **kwargs, **fixed),
            )
        except _Missed:
            raise failure from None
        except failure:
            readings.note_turn(_TIMED_OUT)
            raise

    return move_recorded


def install() -> None:
    """Put these functions into the standard library, once for the process."""
    library: Any = _cf
    library.as_completed = library._base.as_completed = as_completed
    library.wait = library._base.wait = wait
    asks = (
        (Future, "done", _confirm_done),
        (Future, "running", _confirm_nothing),
        (Future, "cancelled", _confirm_cancelled),
        (Future, "cancel", _confirm_cancelled),
        (threading.Thread, "is_alive", _confirm_dead),
        (threading.Event, "is_set", _confirm_set),
        (queue.Queue, "empty", _confirm_nothing),
        (queue.Queue, "full", _confirm_nothing),
        (queue.Queue, "qsize", _confirm_nothing),
    )
    for owner, name, confirm in asks:
        setattr(owner, name, _patch_question(getattr(owner, name), confirm))
    for owner, name, over, gives_false in (
        (Future, "result", _future_over, False),
        (Future, "exception", _future_over, False),
        (threading.Event, "wait", _event_over, True),
    ):
        setattr(owner, name, _patch_wait(getattr(owner, name), over, gives_false))
    for kind, failure in (("put", queue.Full), ("get", queue.Empty)):
        move = getattr(queue.Queue, kind)
        setattr(queue.Queue, kind, _patch_move(kind, move, failure))
        setattr(queue.Queue, f"{kind}_nowait", _patch_move(kind, move, failure, block=False))
    Future.add_done_callback = _add_callback  # type: ignore[method-assign]
    threading.Thread.join = _join_thread  # type: ignore[method-assign]
