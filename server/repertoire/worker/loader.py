"""Loading one version: its module executed afresh for each run, its bundled modules answered by an import hook, both gone after it.

Compiled code and, where its types allow, the signature are kept by key; nothing else of a run reaches the next.
"""

from __future__ import annotations

import importlib.util
import linecache
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

from ..authoring import ambient, durable, later, steps
from ..authoring.cache import cached
from ..authoring.entry import Entry
from ..authoring.schema import Signature
from ..compat.hook import CompatFinder
from ..wire import Code
from .clock import RunClock
from .shims import builtins_for
from .threads import foreign
from .transform import compiled

PACKAGE = "repertoire_workflow"
"""Workflow modules are named as if they lay in it; pickle, for one, imports the parent of a module it is given."""


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
        folder = os.path.dirname(code.filename)
        self.bundled = {module.name: module for module in code.modules}
        self.packages = {parent for name in self.bundled for parent in _parents(name)} - set(self.bundled)
        self.files = {module.name: _file_of(folder, module.name, module.package) for module in code.modules}
        self.own_modules = frozenset({self.name, *self.bundled})
        self.signature: Signature | None = None
        self._compiled: dict[str, CodeType] = {}
        self._lines = {code.filename: code.source.splitlines(keepends=True)}
        self._lines.update((self.files[m.name], m.source.splitlines(keepends=True)) for m in code.modules)

    @property
    def filenames(self) -> frozenset[str]:
        return frozenset(self._lines)

    def main(self) -> CodeType:
        """Raises BadSyntax."""
        try:
            return self._compile("", self.code.source, self.code.filename)
        except SyntaxError as error:
            raise BadSyntax(error.msg, error.lineno) from error
        except (ValueError, OverflowError, RecursionError, MemoryError) as error:
            raise BadSyntax(f"the source cannot be compiled: {error or type(error).__name__}", None) from error

    def module(self, name: str) -> CodeType:
        return self._compile(name, self.bundled[name].source, self.files[name])

    def show_lines(self) -> None:
        """Let tracebacks show the source of this version, not of the file as it is now."""
        for filename, lines in self._lines.items():
            linecache.cache[filename] = (sum(map(len, lines)), None, lines, filename)

    def _compile(self, name: str, source: str, filename: str) -> CodeType:
        code = self._compiled.get(name)
        if code is None:
            code = self._compiled[name] = compiled(source, filename)
        return code


class BundleFinder(MetaPathFinder, Loader):
    """Answers the current version's bundled modules. Last on sys.meta_path: installed packages win over a file beside a workflow."""

    def __init__(self) -> None:
        self.version: Version | None = None
        self.builtins: dict[str, Any] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        version = self.version
        if version is None:
            return None
        if fullname in version.packages:
            return importlib.util.spec_from_loader(fullname, self, is_package=True)
        if fullname not in version.bundled:
            return None
        package = version.bundled[fullname].package
        return importlib.util.spec_from_loader(fullname, self, origin=version.files[fullname], is_package=package)

    def exec_module(self, module: ModuleType) -> None:
        version = self.version
        if version is not None and module.__name__ in version.bundled:
            module.__file__ = version.files[module.__name__]
            module.__dict__["__builtins__"] = self.builtins
            exec(version.module(module.__name__), module.__dict__)


class Library:
    """The versions this process has loaded. Never forgets one: the host counts on it and sends only the key."""

    def __init__(self) -> None:
        self._versions: dict[str, Version] = {}
        self._finder = BundleFinder()
        self._placed_among: list[Any] = []

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
        module.__dict__["__builtins__"] = self._finder.builtins = builtins
        module.__file__ = version.code.filename
        module.__dict__.update(
            session_state=ambient.session_state,
            progress=ambient.progress,
            log=ambient.log,
            commit_state=ambient.commit_state,
            tools=later.tools,
            workflows=durable.workflows,
            artifacts=later.artifacts,
            step=steps.step,
            now=durable.now,
            sleep=durable.sleep,
            ask=durable.ask,
            cached=cached,
        )
        self._place_finder(version)
        version.show_lines()
        if PACKAGE not in sys.modules:
            parent = sys.modules[PACKAGE] = ModuleType(PACKAGE)
            parent.__path__ = []
        sys.modules[version.name] = module
        return module

    def _place_finder(self, version: Version) -> None:
        """Behind all others but the one for other systems' names: a file beside the workflow wins over our stand-in."""
        self._finder.version = version
        if self._placed_among == sys.meta_path and self._finder in self._placed_among:
            return
        finders = [finder for finder in sys.meta_path if finder is not self._finder]
        stands_in = bool(finders) and isinstance(finders[-1], CompatFinder)
        finders.insert(len(finders) - stands_in, self._finder)
        sys.meta_path[:] = self._placed_among = finders

    def _forget(self, version: Version) -> list[ModuleType]:
        """Take the version's modules out of sys.modules; the bundled ones are returned."""
        self._finder.version = None
        self._finder.builtins = {}
        sys.modules.pop(version.name, None)
        bundled = []
        for name in (*version.bundled, *version.packages):
            module = sys.modules.get(name)
            if module is not None and getattr(module, "__loader__", None) is self._finder:
                bundled.append(sys.modules.pop(name))
        return bundled


def signature(version: Version, module: ModuleType, entry: Entry) -> Signature:
    """Kept for the version's next run when all its types outlive this one. Raises SchemaError."""
    if version.signature is not None:
        return version.signature
    found = entry.read(module.__dict__, version.own_modules)
    if found.lasting:
        version.signature = found
    return found


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _file_of(folder: str, name: str, package: bool) -> str:
    path = os.path.join(folder, *name.split("."))
    return os.path.join(path, "__init__.py") if package else path + ".py"
