"""Loading one version: its module executed afresh for each run, the modules beside it answered by `Siblings`, all gone after it.

Compiled code and, where its types allow, the signature are kept by key; nothing else of a run reaches the next.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, ModuleType
from typing import Any

from ...authoring import ambient, durable, steps, unavailable
from ...authoring.cache import cached
from ...compat.hook import CompatFinder
from ...signature.schema import Signature
from ...wire import Code
from ..link.threads import foreign
from ..replay.run_clock import RunClock
from ..surroundings.heap import names_insides
from .entry import Entry
from .shims import builtins_for
from .siblings import Siblings, Tree
from .transform import compiled

PACKAGE = "repertoire_workflow"
"""Workflow modules are named as if they lay in it; pickle, for one, imports the parent of a module it is given."""


sys.modules[PACKAGE] = ModuleType(PACKAGE)
sys.modules[PACKAGE].__path__ = []


class BadSyntax(Exception):
    """The source does not compile; `line` is where."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


class Version:
    """One version's code, compiled at first need. `signature` is kept only when it holds nothing of a run."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.name = f"{PACKAGE}.{code.name}"
        self.tree = Tree(code)
        self.own_modules = {self.name, *(module.name for module in code.modules)}
        """Whose types are new in each run."""
        self.names_insides = any(map(names_insides, (code.source, *(module.source for module in code.modules))))
        self.signature: Signature | None = None
        self._compiled: CodeType | None = None
        self._lines = {code.filename: code.source.splitlines(keepends=True)}
        self._lines.update((path, m.source.splitlines(keepends=True)) for path, m in self.tree.modules.items())

    @property
    def filenames(self) -> frozenset[str]:
        return frozenset(self._lines)

    def main(self) -> CodeType:
        """Raises BadSyntax."""
        try:
            self._compiled = self._compiled or compiled(self.code.source, self.code.filename)
            return self._compiled
        except SyntaxError as error:
            raise BadSyntax(error.msg, error.lineno) from error
        except (ValueError, OverflowError, RecursionError, MemoryError) as error:
            raise BadSyntax(f"the source cannot be compiled: {error or type(error).__name__}", None) from error

    def show_lines(self) -> None:
        """Let tracebacks show the source of this version, not of the file as it is now."""
        for filename, lines in self._lines.items():
            linecache.cache[filename] = (sum(map(len, lines)), None, lines, filename)


class Library:
    """The versions this process has loaded. Never forgets one: the host counts on it and sends only the key."""

    def __init__(self) -> None:
        self._versions: dict[str, Version] = {}
        self._finder = Siblings()
        self._placed_among: list[Any] = []
        self.loaded_version: Version | None = None

    def owns(self, name: str) -> bool:
        """Whether this module is the version's that runs now."""
        return name.startswith(f"{PACKAGE}.") or self._finder.gave(name)

    def version(self, key: str, code: Code | None) -> Version | None:
        """None when neither the host sent its code nor this process has it."""
        if code is not None and key not in self._versions:
            self._versions[key] = Version(code)
        return self._versions.get(key)

    @contextmanager
    def loaded(self, version: Version, clock: RunClock | None = None) -> Iterator[ModuleType]:
        """The module, executed, for as long as a run takes. Raises BadSyntax, and whatever its top level raises.

        `clock` is what its code, and that of its bundled modules, sees as time and chance; None: the real ones.

        What its globals held is let go at the end: left to the collector, a large one could stay for hundreds of runs.
        """
        compiled = version.main()
        threads = len(foreign())
        module = self._register(version, builtins_for(clock))
        try:
            exec(compiled, module.__dict__)
        except BaseException:
            self._forget(version)
            raise
        try:
            yield module
        finally:
            ours = self._forget(version)
            if len(foreign()) <= threads:  # else threads of the body still run in it
                for one in (module, *ours):
                    one.__dict__.clear()

    def _register(self, version: Version, builtins: dict[str, Any]) -> ModuleType:
        module = ModuleType(version.name)
        furnish(module, version, builtins)
        self._place_finder()
        self._finder.begin(version.tree, builtins, version.own_modules)
        self.loaded_version = version
        version.show_lines()
        sys.modules[version.name] = module
        return module

    def _place_finder(self) -> None:
        """Behind all others but the one for other systems' names: installed packages win over a file beside the workflow, and that
        over our stand-in."""
        if self._placed_among == sys.meta_path and self._finder in self._placed_among:
            return
        finders = [finder for finder in sys.meta_path if finder is not self._finder]
        stands_in = bool(finders) and isinstance(finders[-1], CompatFinder)
        finders.insert(len(finders) - stands_in, self._finder)
        sys.meta_path[:] = self._placed_among = finders

    def _forget(self, version: Version) -> list[ModuleType]:
        """Take the version's modules out of sys.modules; those beside it are returned."""
        self.loaded_version = None
        sys.modules.pop(version.name, None)
        return self._finder.end()


def furnish(module: ModuleType, version: Version, builtins: dict[str, Any]) -> None:
    """What a workflow's module has before its code is executed."""
    module.__file__ = version.code.filename
    module.__package__ = version.code.package or None
    module.__dict__.update(
        __builtins__=builtins,
        session_state=ambient.session_state,
        progress=ambient.progress,
        log=ambient.log,
        commit_state=ambient.commit_state,
        tools=unavailable.tools,
        workflows=durable.workflows,
        artifacts=unavailable.artifacts,
        step=steps.step,
        now=durable.now,
        sleep=durable.sleep,
        ask=durable.ask,
        cached=cached,
    )


def signature(version: Version, module: ModuleType, entry: Entry) -> Signature:
    """Kept for the version's next run when all its types outlive this one. Raises SchemaError."""
    if version.signature is not None:
        return version.signature
    found = entry.read(module.__dict__, version.own_modules)
    if found.lasting:
        version.signature = found
    return found
