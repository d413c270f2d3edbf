"""Surroundings: resets and compares all process-wide state after each run, so that no run sees changes of another; used by Process.

Theory of operation. A pooled worker runs the operator's files one after the other, because a fresh process costs ten times as much as a
small run (docs/architecture.md, "Decisions"). A run must not notice that: it finds its process as the first run did. So:

1. Nothing is compared or put back while a caller waits. It happens after the answer has been sent (`settle`).
2. Settings that scripts often change are put back: environment, folder, path, locale, logging, warnings, signals (`resets`).
   Values of context variables (the decimal context, numpy's error state) end with the context in which the body runs.
3. Everything else is compared with its state before the first run: all loaded modules and classes (`heap`), and state in C and in the
   operating system (`probes`). If anything differs, the worker tells the host, which ends this process and forks another.
4. A library that a run imports stays loaded, with everything that its import sets up (`heap`, rule 3). Other changes by the import are
   changes (`import_watch` tells when an import begins and ends).
5. A module that is not from the folders of installed packages never reaches another run.
6. Inspecting a file (for its schema) executes it, so it is done in a process that runs nothing else.

The inside of a C library is not compared, because no Python code can see it. A workflow that changes such state declares
`__workflow__ = {"fresh": True}`, and its process is not used again.
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
from .resets import Resets

_THREADS_END_S: Final = 0.2
"""Time that threads get to end after the run's end."""


class Surroundings:
    """The process-wide state of this process, as the first run found it."""

    def __init__(self, owns: Callable[[str], bool], *, is_reused: bool) -> None:
        """`owns` tells by its name whether a module is the workflow's. `is_reused`: other runs follow in this process.

        If none follow, nothing is remembered or compared.
        """
        imports.before, imports.after = self._before_import, self._after_import
        self._owns = owns
        self.on_import = _nothing
        """Called after each import of something new by a body."""
        self.with_functions = True
        """True if the body may have changed the inside of a function."""
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
            self._resets = Resets()
            self._probes = Probes()

    def compare_once(self) -> None:
        """Compare once before the first run, while no caller waits.

        It finds the writes that were made in the process that forked this one, and it makes the system copy the memory pages in advance.
        """
        if self._is_reused:
            self._heap.change()

    def enter(self, folder: str | None, environment: dict[str, str]) -> None:
        """Prepare the process for a run. Raises OSError when the folder does not exist."""
        os.chdir(folder or self._folder)
        if environment:
            os.environ.update(environment)
            if os.environ.get("TZ") != self._zone:
                time.tzset()  # C reads TZ again only when it is asked to
        self._changed = None
        imports.watching = True

    def leave(self) -> None:
        """The body has ended."""
        imports.watching = False

    def settle(self) -> str | None:
        """Reset the process. Gives the name of a change that cannot be undone. None: the next run finds the process as the first did."""
        if not self._is_reused:
            return None
        self._resets.stop_timers()
        try:
            return self._reset_and_compare()
        except Exception as error:  # a body can put any object anywhere; a value that cannot be read is a change
            return f"{type(error).__name__} while it was compared: {error}"

    def _reset_and_compare(self) -> str | None:
        if (threads := _find_living_thread()) is not None:
            return threads
        self._resets.put_back()
        _forget_own_names()
        self._heap.empty_caches()
        changed = self._changed or self._find_inserted_module() or self._heap_change() or self._probes.change()
        if changed == "open files" and gc.collect():  # the collector closes files in reference cycles
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
        self._changed = self._changed or self._find_local_module(new)
        if self._changed is None:
            packages = frozenset(name.partition(".")[0] for name in new)
            self._changed = self._heap.change(may_come_from_import(packages), with_functions=self.with_functions)
        _set_up_library_defaults()
        self._heap.learn(new)
        self._resets.learn()
        self._probes.learn(self._changed)

    def _new_modules(self) -> list[str]:
        return [name for name in self._heap.new_modules() if not self._owns(name)]

    def _find_local_module(self, new: list[str]) -> str | None:
        """The name of a module from a folder that other runs do not have on their path, if there is one."""
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

    def _find_inserted_module(self) -> str | None:
        """A name in sys.modules that no import has made, if there is one."""
        return next((f"sys.modules[{name!r}]" for name in self._new_modules()), None)


_remembered: list[Heap] = []


def remember() -> Heap:
    """The heap as it was when this was first called. Children of a zygote inherit it from the zygote."""
    if not _remembered:
        _set_up_library_defaults()
        _remembered.append(Heap())
    return _remembered[0]


def _set_up_library_defaults() -> None:
    """Initialize parts of the standard library that initialize themselves at first use, which would count as a change."""
    weakref.finalize(Surroundings, int).detach()  # the first finalizer registers with atexit
    if (mimetypes := sys.modules.get("mimetypes")) is not None and not mimetypes.inited:
        mimetypes.init()


def _forget_own_names() -> None:
    """Delete the cached names of `repertoire`, which a body may have replaced. They are looked up again when needed."""
    exported = vars(repertoire)
    for name in repertoire.__all__:
        exported.pop(name, None)


def _find_living_thread() -> str | None:
    until = time.monotonic() + _THREADS_END_S
    for thread in foreign():
        thread.join(max(until - time.monotonic(), 0))
    left = foreign()
    return f"the thread {left[0].name!r}" if left else None


def _nothing() -> None:
    pass
