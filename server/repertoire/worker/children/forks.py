"""Child processes of a body: what a forked one finds, how it ends, and what is done about those that the body leaves behind.

They behave as those of a plain script. The run's socket and its record belong to the process that runs the body alone: in a child
what is said goes to that process, time and chance are its own, and a call that needs the host is refused with a sentence.
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

from ...authoring.doors import EventType
from ...authoring.step_identity import Identity
from ..link.channel import NotInAChild
from ..replay import call_paths
from ..replay.seeded_random import LibrarySeeds

Say = Callable[[EventType, dict[str, Any]], None]


class ChildDoors:
    """Implements `authoring.doors.Doors` in a child process. `say` takes its events to where they are told."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def emit(self, type: EventType, data: dict[str, Any], /) -> None:
        self._say(type, data)

    def commit(self, state: str, /) -> NoReturn:
        raise NotInAChild("commit_state()")

    def call(self, op: str, args: dict[str, Any], /, label: str = "") -> Any:
        if op == "sleep":
            return time.sleep(args["seconds"])
        raise NotInAChild(_named(op, label))

    def acall(self, op: str, args: dict[str, Any], /, label: str = "") -> Awaitable[Any]:
        if op != "sleep":
            raise NotInAChild(_named(op, label))
        import asyncio

        return asyncio.sleep(args["seconds"])

    def step(self, identity: Identity, perform: Callable[[], Any], /) -> NoReturn:
        raise NotInAChild(_named("step", identity.label))

    def astep(self, identity: Identity, perform: Callable[[], Awaitable[Any]], /) -> NoReturn:
        raise NotInAChild(_named("step", identity.label))

    def overdue(self) -> NoReturn:
        raise NotInAChild("step(timeout=...)")

    def step_key(self) -> str:
        return ""

    def read_clock(self, live: Callable[[], float], /) -> float:
        return live()


def _named(op: str, label: str) -> str:
    return f"{op} {label}".strip()


# Forking


class Parent(Protocol):
    """Who runs bodies."""

    def become_child(self, prefix: str, /) -> None:
        """This is now the child's copy: let go of what is the parent's. `prefix` is the child's place in the tree of paths."""


def follow_forks(parent: Parent) -> None:
    """For the life of the process."""
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


class Importing(Protocol):
    on_import: Callable[[], None]


def draw_from(seed: str, importing: Importing) -> None:
    """A child's own random numbers: other than its sisters', and the same when the run is begun again."""
    random.seed(seed)
    importing.on_import = seeds = LibrarySeeds(seed)
    seeds()


# Ends


def end_as_script(error: BaseException | None, show: Callable[[BaseException], str]) -> NoReturn:
    """A forked child has come to the end of the body: it ends as a script does there. `show` gives the traceback."""
    code = 1
    try:
        code = _exit_code(error, show)
        threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter does at its end, and there is no other way to it
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
    """What the interpreter does at a script's end with processes of `multiprocessing` and `concurrent.futures` that are not joined:
    wait for them, or terminate them where they are daemons."""
    if "concurrent.futures.process" in sys.modules:
        _shut_executors()
    util: Any = sys.modules.get("multiprocessing.util")
    if util is None or not (_unfinished() or util._finalizer_registry):
        return
    try:
        util._exit_function(active_children=_unfinished)
    finally:
        util._exiting = False  # for the next run of this process


def forget_multiprocessing() -> None:
    """The next run of this process finds it as a script does: start method not chosen, processes counted from one."""
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


def _unfinished() -> list[Any]:
    """Without those of joblib, which keeps its idle processes for its next call."""
    process: Any = sys.modules["multiprocessing.process"]
    return [child for child in process.active_children() if "loky" not in type(child).__module__]
