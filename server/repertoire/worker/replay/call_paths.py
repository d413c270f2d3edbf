"""Call paths: gives each call a path that depends only on its place in the body, not on the order of answers (replay, rule 1).

A Node is an asyncio task, a piece of work given to a thread, or a step. Nodes form a tree, and a node's prefix is its position in it. A
call's path is its node's prefix and a counter: `2/0` is the first call of the third task that the body made. `/` ends the prefix of a
task or thread, `:` that of a step. Patches of threads, pools and futures (`follow_threads`) give them their nodes.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial, wraps
from typing import Any

from ...authoring import awaited_values
from ..link.threads import OUR_PREFIX


class Node:
    """One sequence of calls. Its calls' paths begin with `prefix`. Other modules keep data of their own for the node in `kept`."""

    __slots__ = ("_calls", "_children", "_processes", "events", "kept", "prefix")

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self._calls = 0
        self._children = 0
        self._processes = 0
        self.events = 0
        self.kept: dict[Any, Any] = {}

    def next_call(self) -> str:
        path = f"{self.prefix}{self._calls}"
        self._calls += 1
        return path

    def child(self) -> Node:
        node = Node(f"{self.prefix}{self._children}/")
        self._children += 1
        return node

    def process(self) -> str:
        """The prefix of a child process. It makes no calls, but the prefix seeds its random generators."""
        prefix = f"{self.prefix}process{self._processes}/"
        self._processes += 1
        return prefix

    def beside(self, name: str) -> Node:
        """A node for work that belongs to this one and may begin at any time. It has its own counter, so other numbers stay the same."""
        number = self.kept[name] = self.kept.get(name, -1) + 1
        return Node(f"{self.prefix}{name}{number}/")


_of_task: contextvars.ContextVar[tuple[Node, int] | None] = contextvars.ContextVar("repertoire_node", default=None)
"""The node of this task, and the thread of its loop. Contexts are copied into other threads, which have their own nodes."""


class _OfThread(threading.local):
    node: Node | None = None
    submitting: Node | None = None
    """The node of the item that this thread is submitting to a pool."""


_of_thread = _OfThread()
_root = Node()


def begin(prefix: str = "") -> Node:
    """Begin a new run. Calls outside of its tasks and threads belong to the root node. With a prefix: a forked child of a run."""
    global _numbers, _root
    _root = Node(prefix)
    _of_thread.node = None
    _numbers = itertools.count()
    _of_task.set(None)
    return _root


def current() -> Node:
    of_task = _of_task.get()
    if of_task is not None and of_task[1] == threading.get_ident():
        return of_task[0]
    return _of_thread.node or (of_task[0] if of_task is not None else _root)


class within:  # not a generator: that of contextlib would set the traceback of the body's error
    """Context manager: calls made inside belong to `node`."""

    __slots__ = ("_node", "_token")

    def __init__(self, node: Node) -> None:
        self._node = node

    def __enter__(self) -> None:
        self._token = _of_task.set((self._node, threading.get_ident()))

    def __exit__(self, *_: object) -> None:
        _of_task.reset(self._token)


class _Task(asyncio.Task[Any]):
    """A task whose hash is its number and not its address. So sets of tasks, as from asyncio.wait, have the same order each time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = next(_numbers)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number


_numbers = itertools.count()


def make_task(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any],
    *,
    context: contextvars.Context | None = None,
    **options: Any,
) -> asyncio.Task[Any]:
    """A task factory: the new task's node is the next child of the current node."""
    coroutine = awaited_values.coroutine_of(coroutine)
    context = contextvars.copy_context() if context is None else context
    context.run(_of_task.set, (current().child(), threading.get_ident()))
    return _Task(coroutine, loop=loop, context=context, **options)


def has_place(thread: threading.Thread) -> bool:
    """True if `thread`, which is the current one, has a node in the run's tree."""
    return _of_thread.node is not None or thread is threading.main_thread()


def _run_in(
    node: Node, running: Callable[..., Any], on_settled: Callable[[Node], None], *args: Any, **kwargs: Any
) -> Any:
    before, _of_thread.node = _of_thread.node, node
    try:
        return running(*args, **kwargs)
    finally:
        _of_thread.node = before
        on_settled(node)


def _work_in(node: Node, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run a pool's item. Its thread keeps the node afterwards, because callbacks of the item's future belong to it."""
    _of_thread.node = node
    return fn(*args, **kwargs)


class _NeverIdle(threading.Semaphore):
    """Makes a pool believe that none of its threads is idle.

    The pool then starts a thread with each item until it has all its threads. So threads always start with the same items.
    """

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        return False


_future_hash = Future.__hash__


def _hash_of_place(future: Future[Any]) -> int:
    """The hash of a future by its place and not its address. So sets of futures, as from `wait`, have the same order each time."""
    place = getattr(future, "place", None)
    return _future_hash(future) if place is None else hash(place)


def follow_threads(on_settled: Callable[[Node], None]) -> None:
    """Patch threads, pools and futures, so that threads and pool items get nodes. Calls `on_settled` when a node's work has ended."""
    submit, start = ThreadPoolExecutor.submit, threading.Thread.start

    def submit_with_path(self: ThreadPoolExecutor, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        node = current().child()
        _of_thread.submitting, before = node, _of_thread.submitting
        if getattr(self, "_initializer", None) is not None and type(self._idle_semaphore) is not _NeverIdle:
            self._idle_semaphore = _NeverIdle(0)
        try:  # a pool starts its threads at any time, so they get no numbered child of their own
            future = submit(self, _work_in, node, fn, *args, **kwargs)
        finally:
            _of_thread.submitting = before
        future.place = node.prefix  # type: ignore[attr-defined]  # an attribute of ours on a future
        return future

    def start_with_path(self: threading.Thread) -> None:
        if not self.name.startswith(OUR_PREFIX):
            by = _of_thread.submitting
            node = current().child() if by is None else by.beside("init")
            self.run = partial(_run_in, node, self.run, on_settled)  # type: ignore[method-assign]  # of this one thread
        start(self)

    def notify_after(end: Callable[..., None]) -> Callable[..., None]:
        @wraps(end)
        def end_and_notify(self: Future[Any], *args: Any, **kwargs: Any) -> None:
            try:
                end(self, *args, **kwargs)
            finally:
                if _of_thread.node is not None and getattr(self, "place", None) in (None, _of_thread.node.prefix):
                    on_settled(_of_thread.node)

        return end_and_notify

    ThreadPoolExecutor.submit = submit_with_path  # type: ignore[method-assign, assignment]  # of all pools
    threading.Thread.start = start_with_path  # type: ignore[method-assign]  # of all threads
    Future.__hash__ = _hash_of_place  # type: ignore[method-assign, assignment]
    Future.set_result = notify_after(Future.set_result)  # type: ignore[method-assign]
    Future.set_exception = notify_after(Future.set_exception)  # type: ignore[method-assign]
