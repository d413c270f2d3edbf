"""Spawned children: lets children that are new Python processes (spawn, forkserver, joblib) import the workflow's modules; used by Process.

All these start methods pickle `sys.path` for the child. A worker's last entry is a `ChildPath`, which reads as a path that does not exist.
It is pickled as the code of the version that runs (`ChildSetup`). Unpickled in the child, it installs an import finder for this code
(`inherit`). So nothing is written to a disk.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any, Final

import msgspec

from ...authoring import ambient
from ...compat import hook
from ...wire import Code
from ..source.loader import PACKAGE, Version, furnish
from ..source.shims import builtins_for
from ..source.siblings import Siblings
from ..source.typed_dicts import accept_typed_dicts
from .forks import ChildDoors

_NOWHERE: Final = "/dev/null/repertoire-workflow"


class ChildSetup(msgspec.Struct, frozen=True):
    """The data that a child gets."""

    pid: int
    """The id of the process that made it. In this process it has no effect."""
    code: Code
    seed: str
    prefer_installed: bool


class ChildPath(str):
    """An entry of sys.path. Pickling calls `setup`, which gives None outside a run."""

    __slots__ = ("_setup",)
    _setup: Callable[[], ChildSetup | None]

    def __new__(cls, setup: Callable[[], ChildSetup | None]) -> ChildPath:
        path = super().__new__(cls, _NOWHERE)
        path._setup = setup
        return path

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        setup = self._setup()
        return (str, (_NOWHERE,)) if setup is None else (inherit, (msgspec.msgpack.encode(setup),))

    def __copy__(self) -> ChildPath:
        return self

    def __deepcopy__(self, memo: object) -> ChildPath:
        return self


def inherit(data: bytes) -> str:
    """In the child: make the workflow's modules importable. Gives the entry of sys.path for the child's own children."""
    setup = msgspec.msgpack.decode(data, type=ChildSetup)
    if setup.pid == os.getpid():
        return _NOWHERE
    accept_typed_dicts()
    hook.install(prefer_real=setup.prefer_installed)
    version = Version(setup.code)
    version.show_lines()
    sys.meta_path.append(_Finder(version))
    ambient.begin(ChildDoors(ambient.write))
    random.seed(setup.seed)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # each line in one write, so that lines of several children do not mix
            stream.reconfigure(line_buffering=True, write_through=False)
    counter = iter(range(sys.maxsize))
    return ChildPath(
        lambda: msgspec.structs.replace(setup, pid=os.getpid(), seed=f"{setup.seed}process{next(counter)}/")
    )


class _Finder(MetaPathFinder, Loader):
    """Finds the workflow's own module and the modules beside it."""

    def __init__(self, version: Version) -> None:
        self._version = version
        self._builtins = builtins_for(None)
        self._siblings = Siblings()
        self._siblings.begin(version.tree, self._builtins, version.own_modules)

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname == PACKAGE:
            return spec_from_loader(fullname, self, is_package=True)
        if fullname == self._version.name:
            return spec_from_loader(fullname, self, origin=self._version.code.filename)
        return self._siblings.find_spec(fullname, path, target)

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ == self._version.name:
            furnish(module, self._version, self._builtins)
            exec(self._version.main(), module.__dict__)
