"""Surroundings: everything process-wide that a run finds, so that no run finds what another has left; used by Process.

Theory. A pooled worker runs the operator's files one after the other, because a fresh process costs ten times what a small run costs
(docs/architecture.md, "Decisions"). It must not show: each run finds its process as the first one did. So:

1. Nothing is compared or put back while somebody waits. It happens after the answer has been sent (`settle`).
2. What scripts change as a matter of course is put back: environment, folder, path, locale, logging, warnings, signals (`anew`).
   What lies in context variables (the decimal context, numpy's error state) ends with the context in which a body runs.
3. Everything else is compared with what was there before the first run: all loaded modules and classes (`heap`), and what lies in C and
   in the operating system (`probes`). If anything differs, the host is told so, ends this process, and forks another.
4. A library that a run imports stays loaded, with what its import sets up (`heap`, rule 3). What its import changes elsewhere is a
   change (`imports` says when an import begins and ends).
5. A module that is not from the folders of installed packages never reaches another run.
6. To look at a file (its schema) is to execute it, so it happens in a process that runs nothing else.

What no Python code can see, the inside of a C library, is not compared. A workflow that changes such a thing declares
`__workflow__ = {"fresh": True}` and its process is not used again.
"""

from __future__ import annotations

import gc
import os
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any, Final

import repertoire

from ..link.threads import foreign
from .heap import Heap, is_of_ours, may_come_from_import
from .import_watch import imports
from .probes import Probes
from .resets import Anew

_THREADS_END_S: Final = 0.2
"""How long threads that have been told to end may take to."""


class Surroundings:
    def __init__(self, owns: Callable[[str], bool], *, is_reused: bool) -> None:
        """`owns` tells modules of the workflow by their names. `is_reused`: other runs follow in this process. Else nothing is remembered or
        compared."""
        imports.before, imports.after = self._before_import, self._after_import
        self._owns = owns
        self.on_import = _nothing
        """Called after each import of something new by a body."""
        self.with_functions = True
        """Whether the body may have changed the inside of a function."""
        self._folder = os.getcwd()
        self._zone = os.environ.get("TZ")
        self._installed = tuple(os.path.join(folder, "") for folder in sys.path)
        self._finders: list[Any] = [
            one for one in sys.meta_path if getattr(one, "__module__", "").startswith("__editable__")
        ]
        self._changed: str | None = None
        self._is_reused = is_reused
        if is_reused:
            self._heap = remember()
            self._anew = Anew()
            self._probes = Probes()

    def look_over(self) -> None:
        """Compare once while nobody waits: what was written to in the process that forked this one is then known, and pages are copied."""
        if self._is_reused:
            self._heap.change()

    def enter(self, folder: str | None, environment: dict[str, str]) -> None:
        """Raises OSError when there is no such folder."""
        os.chdir(folder or self._folder)
        if environment:
            os.environ.update(environment)
            if os.environ.get("TZ") != self._zone:
                time.tzset()  # C's local time follows TZ only when it is told to
        self._changed = None
        imports.watching = True

    def leave(self) -> None:
        """The body has ended."""
        imports.watching = False

    def settle(self) -> str | None:
        """Put back what can be. Gives the name of something else that the run has changed; None: the next run finds all as it was."""
        if not self._is_reused:
            return None
        self._anew.stop_timers()
        try:
            return self._settle()
        except Exception as error:  # a body can put anything anywhere; whatever cannot be read is a change
            return f"{type(error).__name__} while it was compared: {error}"

    def _settle(self) -> str | None:
        if (threads := _threads_that_stay()) is not None:
            return threads
        self._anew.put_back()
        _forget_own_names()
        self._heap.empty_caches()
        changed = self._changed or self._put_into_modules() or self._heap_change() or self._probes.change()
        if changed == "open files" and gc.collect():  # files in circles are closed by the collector
            changed = self._probes.change()
        return changed

    def _heap_change(self) -> str | None:
        return self._heap.change(with_functions=self.with_functions)

    def _before_import(self, name: str) -> None:
        if self._is_reused and self._changed is None:
            ours = is_of_ours(name)
            self._changed = self._probes.change_of_learned() or (None if ours else self._heap_change())

    def _after_import(self) -> None:
        if self._is_reused:
            self._learn_import()
        self.on_import()

    def _learn_import(self) -> None:
        new = self._new_modules()
        self._changed = self._changed or self._strange_module(new)
        if self._changed is None:
            packages = frozenset(name.partition(".")[0] for name in new)
            self._changed = self._heap.change(may_come_from_import(packages), with_functions=self.with_functions)
        _set_up_what_is_set_up_once()
        self._heap.learn(new)
        self._anew.learn()
        self._probes.learn(self._changed)

    def _new_modules(self) -> list[str]:
        return [name for name in self._heap.new_modules() if not self._owns(name)]

    def _strange_module(self, new: list[str]) -> str | None:
        """A module that was found in a folder that other runs do not have on their path."""
        for name in new:
            origin = getattr(getattr(sys.modules.get(name), "__spec__", None), "origin", None)
            if isinstance(origin, str) and os.path.isabs(origin) and not self._is_installed(name, origin):
                return f"sys.modules[{name!r}]"
        return None

    def _is_installed(self, name: str, origin: str) -> bool:
        if origin.startswith(self._installed):
            return True
        found = [one.find_spec(name) for one in self._finders]
        return any(spec is not None and spec.origin == origin for spec in found)

    def _put_into_modules(self) -> str | None:
        """A name in sys.modules that no import has made."""
        return next((f"sys.modules[{name!r}]" for name in self._new_modules()), None)


_remembered: list[Heap] = []


def remember() -> Heap:
    """The heap as it is now, or as it was when this was first called: children of a zygote have it from there."""
    if not _remembered:
        _set_up_what_is_set_up_once()
        _remembered.append(Heap())
    return _remembered[0]


def _set_up_what_is_set_up_once() -> None:
    """So that the first use of it is no change."""
    weakref.finalize(Surroundings, int).detach()  # its first one registers with atexit
    if (mimetypes := sys.modules.get("mimetypes")) is not None and not mimetypes.inited:
        mimetypes.init()


def _forget_own_names() -> None:
    """A body may have put something else where `import repertoire` looks; what is true is looked up again."""
    exported = vars(repertoire)
    for name in repertoire.__all__:
        exported.pop(name, None)


def _threads_that_stay() -> str | None:
    until = time.monotonic() + _THREADS_END_S
    for thread in foreign():
        thread.join(max(until - time.monotonic(), 0))
    left = foreign()
    return f"the thread {left[0].name!r}" if left else None


def _nothing() -> None:
    pass
