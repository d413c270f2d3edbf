"""Body: calls the body of a class workflow, from sync and from async code: plain, generator, coroutine or async generator.

Each function here opens a `class_run.Run`, executes the body inside it and passes the body's values to the run. The kind of the body
decides the caller's result: a value, an iterator, an awaitable, an async iterator. Python needs each loop twice, for sync and for async
bodies; the work itself is once in `ClassRun`. Used by `run_methods`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from functools import partial
from typing import Any, Final, Literal

from .class_run import ClassRun, caller, locks_above
from .own_loop import OwnLoop
from .run_doors import SessionBusy
from .session_locks import LockKey, acting_for, owner
from .stored_sessions import Storage

Body = Callable[[], Any]
"""The body, bound to its arguments."""

_FIRST_WAIT_S: Final = 0.0005
_LONGEST_WAIT_S: Final = 0.02  # we poll for a session's lock: another process does not tell us that it is free

_END: Final = object()


Kind = Literal["plain", "generator", "coroutine", "async generator"]


def kind_of(body: Any) -> Kind:
    """The kind of value that a call of the body gives. Wrappers by functools count as the function inside."""
    while isinstance(body, partial):
        body = body.func
    body = inspect.unwrap(body)
    if inspect.isasyncgenfunction(body):
        return "async generator"
    if inspect.iscoroutinefunction(body):
        return "coroutine"
    return "generator" if inspect.isgeneratorfunction(body) else "plain"


def call(make: Callable[[bool], ClassRun], body: Body, kind: Kind, *, as_async: bool, of_async: bool) -> Any:
    """Run a body. `as_async`: it is called as arun. `of_async`: it is written as arun.

    `make` makes the run; its argument is True if waiting for the session blocks this thread.
    """
    if kind == "generator":
        return stream_in_thread(make(False), body) if as_async else stream_sync(make(True), body)
    if kind == "plain" and not of_async:
        return run_in_thread(make(False), body) if as_async else run_sync(make(True), body)
    if of_async and not as_async:
        if kind == "async generator":
            return stream_on_loop(lambda: stream_async(make(True), body))
        return run_on_loop(lambda: run_async(make(True), body))
    return stream_async(make(False), body) if kind == "async generator" else run_async(make(False), body)


def with_lock(storage: Storage, key: LockKey, act: Callable[[], None]) -> None:
    """Call `act` while no other run has the session. Raises SessionBusy.

    If a run of the session is executing here, `act` is part of it.
    """
    since, wait = time.monotonic(), _FIRST_WAIT_S
    while (lock_and_shared := storage.locks.take(key, "", locks_above(caller()), blocking=True)) is None:
        if time.monotonic() - since > storage.wait_s:
            raise SessionBusy(f"session {key.session_id!r} is held by {storage.locks.holder(key)}")
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT_S)
    try:
        act()
    finally:
        storage.locks.leave(lock_and_shared[0])


# From sync code.


def run_sync(run: ClassRun, body: Body) -> Any:
    """Run a plain body. Gives its response. If the body returned an iterator or awaitable, the run continues in that."""
    _open(run)
    try:
        with run.inside():
            value = body()
    except BaseException as error:
        run.fail(error)
        raise
    if inspect.isawaitable(value):
        return _finish_async(run, value)
    if inspect.isasyncgen(value):
        return _follow_async(run, value)
    if isinstance(value, Iterator):
        stream = _follow(run, value, primed=True)
        next(stream)  # start the generator, so that closing it ends the run even if no item is ever read
        return stream
    return run.complete(value)


def stream_sync(run: ClassRun, body: Body) -> Generator[Any, None, None]:
    """Run a generator body. Nothing happens before the caller reads the first item."""
    _open(run)
    yield from _follow(run, body())


def _open(run: ClassRun) -> None:
    wait = _FIRST_WAIT_S
    while not run.try_open():
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT_S)


def _follow(run: ClassRun, items: Iterator[Any], *, primed: bool = False) -> Generator[Any, None, None]:
    try:
        if primed:
            yield None
        while True:
            with run.inside():
                item = next(items, _END)
                if item is _END:
                    break
                run.take(item)
            yield item
    except GeneratorExit:
        _close(run, items)
        run.cancel()
        raise
    except BaseException as error:
        run.fail(error)
        raise
    run.complete_stream()


def _close(run: ClassRun, items: Any) -> None:
    """Close the body's generator, so that it cleans up. Raises its errors."""
    close = getattr(items, "close", None)
    if close is None:
        return
    try:
        with run.inside():
            close()
    except BaseException as error:
        run.fail(error)
        raise


# From async code.


async def run_async(run: ClassRun, body: Body) -> Any:
    """Run a coroutine body, or a plain one that returns an awaitable."""
    await _open_async(run)
    try:
        with run.inside():
            value = body()
    except BaseException as error:
        run.fail(error)
        raise
    return await _finish_async(run, value)


async def _finish_async(run: ClassRun, value: Any) -> Any:
    try:
        with run.inside():
            if inspect.isawaitable(value):
                value = await value
    except BaseException as error:
        run.fail(error)
        raise
    if inspect.isasyncgen(value):
        return _follow_async(run, value)
    return run.complete(value)


async def stream_async(run: ClassRun, body: Callable[[], AsyncIterator[Any]]) -> AsyncGenerator[Any, None]:
    """Run an async generator body. Nothing happens before the caller reads the first item."""
    await _open_async(run)
    stream = _follow_async(run, body())
    try:
        async for item in stream:
            yield item
    finally:
        await stream.aclose()


async def _open_async(run: ClassRun) -> None:
    import asyncio

    wait = _FIRST_WAIT_S
    while not run.try_open():
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT_S)


async def _follow_async(run: ClassRun, items: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    try:
        while True:
            with run.inside():
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    break
                run.take(item)
            yield item
    except GeneratorExit:
        await _close_async(run, items)
        run.cancel()
        raise
    except BaseException as error:
        run.fail(error)
        raise
    run.complete_stream()


async def _close_async(run: ClassRun, items: Any) -> None:
    close = getattr(items, "aclose", None)
    if close is None:
        return
    try:
        with run.inside():
            await close()
    except BaseException as error:
        run.fail(error)
        raise


# Sync bodies from async code: in a thread, so that they do not block the loop. We wait for the session's lock on the loop.


async def run_in_thread(run: ClassRun, body: Body) -> Any:
    """Run a plain body, called by `arun`."""
    await _open_async(run)
    return await _finish_async(run, _call_in_thread(run, body))


async def stream_in_thread(run: ClassRun, body: Callable[[], Iterator[Any]]) -> AsyncGenerator[Any, None]:
    """Run a generator body, called by `arun`."""
    await _open_async(run)
    items = body()
    stream = _follow_async(run, _iterate_in_thread(run, items))
    try:
        async for item in stream:
            yield item
    finally:
        await stream.aclose()


async def _iterate_in_thread(run: ClassRun, items: Iterator[Any]) -> AsyncGenerator[Any, None]:
    try:
        while (item := await _call_in_thread(run, lambda: next(items, _END))) is not _END:
            yield item
    finally:
        close = getattr(items, "close", None)
        if close is None or getattr(items, "gi_running", False):
            pass  # after a cancellation it is still executing in its thread; Python closes it later
        else:
            await _call_in_thread(run, close)


async def _call_in_thread(run: ClassRun, call: Callable[[], Any]) -> Any:
    import asyncio

    me = owner()

    def inside() -> Any:
        acting_for.set(me)  # to_thread runs this in a copy of the context, so no other call sees it
        with run.inside():
            return call()

    return await asyncio.to_thread(inside)


# Async bodies from sync code: on their own loop, in this thread if it has no loop.


def run_on_loop(make: Callable[[], Awaitable[Any]]) -> Any:
    """The value of the awaitable that `make()` gives."""
    with OwnLoop() as loop:
        return loop.run(make)


def stream_on_loop(make: Callable[[], AsyncGenerator[Any, None]]) -> Generator[Any, None, None]:
    """The items of `make()`, one at a time."""
    with OwnLoop() as loop:
        items = make()
        try:
            while (item := loop.run(lambda: anext(items, _END))) is not _END:
                yield item
        finally:
            loop.run(items.aclose)
