"""Forks: child processes that a body forks: their doors, their end, and what happens to those that the body leaves; used by Process.

They behave as children of a plain script. Only the process that runs the body may use the run's socket and its record. So a child's events
go to that process, its time is real, its random generators are its own, and a call that needs the host raises NotInAChild.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, Protocol

from ...authoring.doors import Content, EventType, Listener
from ...authoring.step_identity import StepIdentity
from ..link.channel import NotInAChild
from ..replay import call_paths
from ..replay.seeded_random import LibrarySeeds

SendEvent = Callable[[EventType, dict[str, Any]], None]


class ChildDoors:
    """Implements `authoring.doors.Doors` in a child process. `say` takes its events to the process that runs the body."""

    def __init__(self, say: SendEvent) -> None:
        self._say = say

    def emit(self, type: EventType, data: dict[str, Any], /) -> None:
        self._say(type, data)

    def commit(self, state: str, /) -> NoReturn:
        raise NotInAChild("commit_state()")

    def call(self, op: str, args: dict[str, Any], /, label: str = "", content: Content | None = None) -> Any:
        if op == "sleep":
            return time.sleep(args["seconds"])
        raise NotInAChild(_describe(op, label))

    def acall(
        self, op: str, args: dict[str, Any], /, label: str = "", content: Content | None = None
    ) -> Awaitable[Any]:
        if op != "sleep":
            raise NotInAChild(_describe(op, label))
        import asyncio

        return asyncio.sleep(args["seconds"])

    def astream(self, op: str, args: dict[str, Any], listener: Listener, /, label: str = "") -> NoReturn:
        raise NotInAChild(_describe(op, label))

    def read_content(self, hash: str, /) -> NoReturn:
        raise NotInAChild("artifacts.load()")

    def step(self, identity: StepIdentity, perform: Callable[[], Any], /) -> NoReturn:
        raise NotInAChild(_describe("step", identity.label))

    def astep(self, identity: StepIdentity, perform: Callable[[], Awaitable[Any]], /) -> NoReturn:
        raise NotInAChild(_describe("step", identity.label))

    def overdue(self) -> NoReturn:
        raise NotInAChild("step(timeout=...)")

    def step_key(self) -> str:
        return ""

    def read_clock(self, live: Callable[[], float], /) -> float:
        return live()


def _describe(op: str, label: str) -> str:
    return f"{op} {label}".strip()


# Forking


class Parent(Protocol):
    """The object that runs bodies in the process that forks: Process."""

    def become_child(self, prefix: str, /) -> None:
        """Called in the child: release everything that belongs to the parent. `prefix` is the child's place in the tree of paths."""


def follow_forks(parent: Parent) -> None:
    """Register `parent` for all forks, for the life of the process."""
    places: dict[int, str] = {}

    def before() -> None:
        places[threading.get_ident()] = call_paths.current().process()

    def in_parent() -> None:
        places.pop(threading.get_ident(), None)

    def in_child() -> None:
        prefix = places.pop(threading.get_ident(), "process/")
        call_paths.begin(prefix)
        parent.become_child(prefix)

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


class ImportHook(Protocol):
    on_import: Callable[[], None]


def seed_child(seed: str, importing: ImportHook) -> None:
    """Seed a child's random generators: unlike those of other children, and equally when the run is replayed."""
    random.seed(seed)
    importing.on_import = seeds = LibrarySeeds(seed)
    seeds()


# Ends


def end_as_script(error: BaseException | None, show: Callable[[BaseException], str]) -> NoReturn:
    """End a forked child that has come to the end of the body, as a script ends. `show` gives the traceback."""
    code = 1
    try:
        code = _exit_code(error, show)
        threading._shutdown()  # type: ignore[attr-defined]  # the interpreter calls it at its end; there is no public way
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code)


def _exit_code(error: BaseException | None, show: Callable[[BaseException], str]) -> int:
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        sys.stderr.write(show(error))
        return 1
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


def wait_for_left() -> None:
    """Wait for processes of `multiprocessing` and `concurrent.futures` that the body has not joined; terminate daemons.

    The interpreter does the same at a script's end.
    """
    if "concurrent.futures.process" in sys.modules:
        _shut_executors()
    util: Any = sys.modules.get("multiprocessing.util")
    if util is None or not (_living_children() or util._finalizer_registry):
        return
    try:
        util._exit_function(active_children=_living_children)
    finally:
        util._exiting = False  # for the next run of this process


def forget_multiprocessing() -> None:
    """Reset `multiprocessing` for the next run, as a script finds it: no start method chosen, processes counted from one."""
    process: Any = sys.modules.get("multiprocessing.process")
    if process is None:
        return
    process._process_counter = itertools.count(1)
    context: Any = sys.modules.get("multiprocessing.context")
    if context is not None:
        context._default_context._actual_context = None


def _shut_executors() -> None:
    module: Any = sys.modules["concurrent.futures.process"]
    for manager in list(module._threads_wakeups):
        executor = manager.executor_reference()
        if executor is not None:
            executor.shutdown()
        manager.join()


def _living_children() -> list[Any]:
    """The children that are still alive, without those of joblib, which keeps idle processes for its next call."""
    process: Any = sys.modules["multiprocessing.process"]
    return [child for child in process.active_children() if "loky" not in type(child).__module__]
