"""What workflow files call to learn of other threads: futures, queues, events. What they learn is recorded (sights.py).

The functions stand in the standard library's own classes; called by anything but the text of a workflow they are the library's.
"""

from __future__ import annotations

import concurrent.futures as _cf
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import wraps
from typing import Any, Final

from . import call_paths
from .thread_readings import Sights, of_body, rest

_GAVE_UP: Final = -1.0
"""Seen instead of a number: the time limit was over."""

_as_completed = _cf.as_completed
_wait = _cf.wait


# Futures


@wraps(_as_completed)
def as_completed(fs: Iterable[Future[Any]], timeout: float | None = None) -> Iterator[Future[Any]]:
    sights = of_body()
    return _as_completed(fs, timeout) if sights is None else _completed(sights, list(dict.fromkeys(fs)), timeout)


def _completed(sights: Sights, futures: list[Future[Any]], timeout: float | None) -> Iterator[Future[Any]]:
    left = dict(enumerate(futures))
    while left and (known := sights.known()) is not None:
        if known == _GAVE_UP:
            raise TimeoutError(f"{len(left)} (of {len(futures)}) futures unfinished")
        future = left.pop(int(known))
        _complete(sights, [future])
        yield future
    places = {future: place for place, future in left.items()}
    del futures, left
    sights.rest()
    try:
        for future in _as_completed(list(places), timeout):
            sights.note(places.pop(future))
            yield future
            sights.rest()
    except TimeoutError:
        sights.note(_GAVE_UP)
        raise


@wraps(_wait)
def wait(fs: Iterable[Future[Any]], timeout: float | None = None, return_when: str = _cf.ALL_COMPLETED) -> Any:
    sights = of_body()
    if sights is None:
        return _wait(fs, timeout, return_when)
    futures = list(dict.fromkeys(fs))
    sights.rest()
    if (count := sights.known()) is None:
        ended = _wait(futures, timeout, return_when).done
        done = [place for place, future in enumerate(futures) if future in ended]
        sights.note(len(done), *done)
    else:
        done = [int(sights.known() or 0) for _ in range(int(count))]
        _complete(sights, [futures[place] for place in done])
    which = {futures[place] for place in done}
    return _cf._base.DoneAndNotDoneFutures(which, {future for future in futures if future not in which})


def _complete(sights: Sights, futures: list[Future[Any]]) -> None:
    """They were done then, so they are to be done now."""
    sights.rest()
    while waiting := _wait(futures, 0.05).not_done:
        sights.until(lambda: all(Future.done(one) for one in waiting), "a future that was done")


_add_done_callback = Future.add_done_callback


@wraps(_add_done_callback)
def _calling_back(self: Future[Any], fn: Callable[[Future[Any]], Any]) -> None:
    """What is called back has one place, whether its future is done already or is done in another thread later."""
    if of_body() is None:
        return _add_done_callback(self, fn)
    node = call_paths.current().beside("then")

    def call_back(future: Future[Any]) -> None:
        with call_paths.within(node):
            fn(future)

    return _add_done_callback(self, call_back)


# What is asked and answered at once, and what waits up to a time limit


def _asking(ask: Callable[..., Any], confirm: Callable[[Sights, Any, Any], None]) -> Callable[..., Any]:
    @wraps(ask)
    def answer(self: Any, *args: Any) -> Any:
        sights = of_body()
        if sights is None:
            return ask(self, *args)
        known = sights.known()
        if known is None:
            seen = ask(self, *args)
            sights.note(float(seen))
            return seen
        seen = int(known) if ask in _COUNTS else bool(known)
        confirm(sights, self, seen)
        return seen

    return answer


_COUNTS: Final = frozenset({queue.Queue.qsize})


def _trust(sights: Sights, self: Any, seen: Any) -> None:
    """What was true then may be so a little later now."""


def _is_done(sights: Sights, self: Any, seen: Any) -> None:
    if seen:
        _complete(sights, [self])


def _is_cancelled(sights: Sights, self: Any, seen: Any) -> None:
    if seen:
        _cancel(self)


def _is_dead(sights: Sights, self: Any, seen: Any) -> None:
    if not seen:
        sights.rest()
        _join(self)


def _is_set(sights: Sights, self: Any, seen: Any) -> None:
    if seen:
        sights.until(lambda: self._flag, "an event that was set")


_cancel = Future.cancel
_join = threading.Thread.join


def _limited(
    wait: Callable[..., Any], over: Callable[[Any, Any, BaseException | None], bool], gives_false: bool
) -> Any:
    """A method `wait(timeout=None)`. `over` says whether it came back because of the limit."""

    @wraps(wait)
    def waited(self: Any, timeout: float | None = None) -> Any:
        rest()
        sights = of_body()
        if sights is None:
            return wait(self, timeout)
        if timeout is None:
            return wait(self)
        known = sights.known()
        if known == _GAVE_UP:
            if gives_false:
                return False
            raise TimeoutError()
        if known is not None:
            return wait(self)
        try:
            value = wait(self, timeout)
        except BaseException as error:
            sights.note(_GAVE_UP if over(self, None, error) else 1)
            raise
        sights.note(_GAVE_UP if over(self, value, None) else 1)
        return value

    return waited


def _future_over(self: Any, value: Any, error: BaseException | None) -> bool:
    return isinstance(error, TimeoutError) and error is not self._exception


def _event_over(self: Any, value: Any, error: BaseException | None) -> bool:
    return error is None and not value


def _joining(self: threading.Thread, timeout: float | None = None) -> None:
    rest()
    _join(self, timeout)


# Queues: who puts and who gets before whom


class _Order:
    """Of one queue or lock: who did something to it before whom. What a node notes is how many turns its own last one is ago: a thread
    that does it alone notes many times the same number, which is recorded once.

    Within a step nothing is counted: on replay it is not done again.
    """

    def __init__(self) -> None:
        self.count = 0
        self._last: dict[str, int] = {}
        self._now = threading.local()

    def act(self, sights: Sights, what: str, again: Callable[[], Any], live: Callable[[], Any]) -> Any:
        """Raises _Missed when it was not possible the first time; `again` does it when it was, `live` when nothing is recorded."""
        sights.rest()
        known = sights.known()
        if known == _GAVE_UP:
            raise _Missed
        self._now.sights = sights
        self._now.is_known = known is not None
        try:
            if known is None:
                sights.until_replayed()
                return live()
            turn = self._last.get(sights.place(), 0) + known
            sights.until(lambda: self.count >= turn, what)
            return again()
        finally:
            self._now.sights = None

    def pass_on(self) -> None:
        """It is done. Called while nobody else can do it."""
        sights: Sights | None = getattr(self._now, "sights", None)
        if sights is None:
            return
        place = sights.place()
        if not self._now.is_known:
            sights.note(self.count - self._last.get(place, 0))
        self._last[place] = self.count
        self.count += 1


class _Missed(Exception):
    """It was not possible the first time."""


class _QueueOrders:
    def __init__(self, of: Any) -> None:
        self.put, self.get = _Order(), _Order()
        of._put = self._counting(self.put, of._put)
        of._get = self._counting(self.get, of._get)

    def _counting(self, order: _Order, act: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            value = act(*args)
            order.pass_on()
            return value

        return counted


_orders = threading.Lock()


def _orders_of(of: Any) -> _QueueOrders:
    with _orders, of.mutex:
        found: _QueueOrders | None = of.__dict__.get("_run_orders")
        if found is None:
            found = of._run_orders = _QueueOrders(of)
        return found


def _moving(kind: str, move: Callable[..., Any], failure: type[Exception], **fixed: Any) -> Callable[..., Any]:
    """`put` or `get`; `fixed` are arguments that it is always given."""

    @wraps(move)
    def moved(self: Any, *args: Any, **kwargs: Any) -> Any:
        sights = of_body()
        if sights is None or sights.in_step():
            rest()
            return move(self, *args, **kwargs, **fixed)
        item = args[: kind == "put"], {name: kwargs[name] for name in kwargs if name == "item"}
        try:
            return getattr(_orders_of(self), kind).act(
                sights, f"its turn to {kind}", lambda: move(self, *item[0], **item[1]),
                lambda: move(self, *args, **kwargs, **fixed),
            )  # fmt: skip
        except _Missed:
            raise failure from None
        except failure:
            sights.note(_GAVE_UP)
            raise

    return moved


def follow() -> None:
    """Put these functions into the standard library. Once for the process."""
    library: Any = _cf
    library.as_completed = library._base.as_completed = as_completed
    library.wait = library._base.wait = wait
    asks = (
        (Future, "done", _is_done),
        (Future, "running", _trust),
        (Future, "cancelled", _is_cancelled),
        (Future, "cancel", _is_cancelled),
        (threading.Thread, "is_alive", _is_dead),
        (threading.Event, "is_set", _is_set),
        (queue.Queue, "empty", _trust),
        (queue.Queue, "full", _trust),
        (queue.Queue, "qsize", _trust),
    )
    for owner, name, confirm in asks:
        setattr(owner, name, _asking(getattr(owner, name), confirm))
    for owner, name, over, gives_false in (
        (Future, "result", _future_over, False),
        (Future, "exception", _future_over, False),
        (threading.Event, "wait", _event_over, True),
    ):
        setattr(owner, name, _limited(getattr(owner, name), over, gives_false))
    for kind, failure in (("put", queue.Full), ("get", queue.Empty)):
        move = getattr(queue.Queue, kind)
        setattr(queue.Queue, kind, _moving(kind, move, failure))
        setattr(queue.Queue, f"{kind}_nowait", _moving(kind, move, failure, block=False))
    Future.add_done_callback = _calling_back  # type: ignore[method-assign]
    threading.Thread.join = _joining  # type: ignore[method-assign]
