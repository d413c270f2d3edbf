"""Loader: executes a version's module anew for each run and removes it afterwards; used by Process.

`Siblings` finds the modules beside it. `LoadedVersions` keeps compiled code by key, and the signature where its types allow.
Nothing else of a run reaches the next one.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import CodeType, ModuleType
from typing import Any, Final

from ...authoring import ambient, artifacts, durable, loading, steps
from ...authoring.cache import cached
from ...authoring.tools import tools
from ...compat.hook import CompatFinder
from ...sandbox.interpreted import CALL, TooMuch, stub_of
from ...signature.schema import Remark, Signature
from ...wire import Code
from ..link.threads import foreign
from ..replay.run_clock import RunClock
from ..surroundings.heap import may_change_functions
from .entry import Entry
from .shims import builtins_for
from .siblings import Siblings, Tree
from .transform import compile_source

PACKAGE = "repertoire_workflow"
"""The package in the names of workflow modules. It exists because pickle, for one, imports the parent of a module.

While a version without a package of its own runs, this package stands for its folder: `from .words import count` finds `words.py` there."""

sys.modules[PACKAGE] = ModuleType(PACKAGE)
sys.modules[PACKAGE].__path__ = []
_BARE: Final = dict(vars(sys.modules[PACKAGE]))


class BadSyntax(Exception):
    """Raised when the source does not compile. `line` is the line of the error."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


class Version:
    """One version's code, compiled at first need. `signature` is kept only when it holds no object of a run."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.name = f"{PACKAGE}.{code.name}"
        self.tree = Tree(code)
        self.own_modules = {self.name, *(module.name for module in code.modules)}
        """Names of modules whose types are new in each run."""
        self.may_change_functions = any(
            map(may_change_functions, (code.source, *(module.source for module in code.modules)))
        )
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
            self._compiled = self._compiled or self._compile()
            return self._compiled
        except TooMuch as error:
            raise BadSyntax(
                f"{error}, and only an interpreter of simple sources may run it unapproved", error.line
            ) from error
        except SyntaxError as error:
            raise BadSyntax(error.msg, error.lineno) from error
        except (ValueError, OverflowError, RecursionError, MemoryError) as error:
            raise BadSyntax(f"the source cannot be compiled: {error or type(error).__name__}", None) from error

    def _compile(self) -> CodeType:
        source, filename = self.code.source, self.code.filename
        if self.code.is_interpreted:
            return compile(stub_of(source), filename, "exec", dont_inherit=True)
        return compile_source(source, filename)

    def show_lines(self) -> None:
        """Make tracebacks show this version's source instead of the file's present text."""
        for filename, lines in self._lines.items():
            linecache.cache[filename] = (sum(map(len, lines)), None, lines, filename)


class LoadedVersions:
    """The versions that this process has loaded. It never forgets one, because the host then sends only the key."""

    def __init__(self) -> None:
        self._versions: dict[str, Version] = {}
        self._finder = Siblings()
        self._placed_among: list[Any] = []
        self.loaded_version: Version | None = None

    def owns(self, name: str) -> bool:
        """True if this module belongs to the version that runs now."""
        return name.startswith(f"{PACKAGE}.") or self._finder.has_found(name)

    def version(self, key: str, code: Code | None) -> Version | None:
        """The version with this key. None: the host did not send its code and this process does not have it."""
        if code is not None and key not in self._versions:
            self._versions[key] = Version(code)
        return self._versions.get(key)

    @contextmanager
    def load(self, version: Version, clock: RunClock | None = None) -> Iterator[ModuleType]:
        """Execute the module and give it for the duration of one run. Raises BadSyntax, and everything that its top level raises.

        Its code and its bundled modules take time and random values from `clock`; None: the real ones.

        At the end the module's globals are cleared. If the garbage collector had to do it, a large one could stay for hundreds of runs.
        """
        code = version.main()
        threads = len(foreign())
        module = self._register(version, builtins_for(clock))
        try:
            if version.code.is_interpreted:
                _prepare_interpreter(version, module, clock)
            with loading.TopLevel():
                exec(code, module.__dict__)
        except BaseException:
            self._forget(version)
            raise
        try:
            yield module
        finally:
            ours = self._forget(version)
            if len(foreign()) <= threads:  # otherwise threads of the body still use the module
                for one in (module, *ours):
                    one.__dict__.clear()

    def _register(self, version: Version, builtins: dict[str, Any]) -> ModuleType:
        module = ModuleType(version.name)
        furnish(module, version, builtins)
        self._place_finder()
        self._finder.begin(version.tree, builtins, version.own_modules)
        sys.modules[PACKAGE].__path__ = [] if version.code.package else [version.tree.folder]
        self.loaded_version = version
        version.show_lines()
        sys.modules[version.name] = module
        return module

    def _place_finder(self) -> None:
        """Put our finder behind all finders except CompatFinder.

        So installed packages win over a file beside the workflow, and that file wins over our stand-in modules.
        """
        if self._placed_among == sys.meta_path and self._finder in self._placed_among:
            return
        finders = [finder for finder in sys.meta_path if finder is not self._finder]
        stands_in = bool(finders) and isinstance(finders[-1], CompatFinder)
        finders.insert(len(finders) - stands_in, self._finder)
        sys.meta_path[:] = self._placed_among = finders

    def _forget(self, version: Version) -> list[ModuleType]:
        """Take the version's modules out of sys.modules. Gives the modules beside the main one."""
        self.loaded_version = None
        sys.modules.pop(version.name, None)
        package = vars(sys.modules[PACKAGE])
        package.clear()  # modules that were imported relatively are its attributes
        package.update(_BARE)
        return self._finder.end()


def furnish(module: ModuleType, version: Version, builtins: dict[str, Any]) -> None:
    """Put the names into a workflow's module that it has before its code is executed."""
    module.__file__ = version.code.filename
    module.__package__ = version.code.package or PACKAGE
    module.__dict__.update(
        __builtins__=builtins,
        session_state=ambient.session_state,
        progress=ambient.progress,
        log=ambient.log,
        commit_state=ambient.commit_state,
        tools=tools,
        workflows=durable.workflows,
        artifacts=artifacts.artifacts,
        step=steps.step,
        now=durable.now,
        sleep=durable.sleep,
        ask=durable.ask,
        cached=cached,
    )
    if "skills." in version.code.source:  # the former name of `workflows` in py-code-mode
        module.__dict__["skills"] = durable.workflows


def _prepare_interpreter(version: Version, module: ModuleType, clock: RunClock | None) -> None:
    """Give the stub what it calls. Without a clock the module is only inspected: the interpreter reads the source now."""
    from . import interpreter  # few versions need it

    source, filename = version.code.source, version.code.filename
    if clock is None:
        interpreter.read(source, filename)
    module.__dict__[CALL] = partial(interpreter.call, source, filename, clock)


def signature_of(version: Version, module: ModuleType, entry: Entry) -> Signature:
    """The entry's signature. It is kept for the next run if all its types outlive this one. Raises SchemaError."""
    if version.signature is not None:
        return version.signature
    found = entry.read(module.__dict__, version.own_modules)
    for what, line in loading.skipped():
        message = f'the file runs {what}() while it is loaded: that run is skipped here, put it under `if __name__ == "__main__":`'
        found.notes += (Remark("top_level_run", message, line),)
    if found.lasting:
        version.signature = found
    return found
