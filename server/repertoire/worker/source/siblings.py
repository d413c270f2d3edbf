"""Siblings: import finder for the modules and data files beside a workflow file, from its stored version; used by `loader`.

A version's modules and data form a `Tree` of files, which may no longer be on the disk. `Siblings` answers the import system for the
folders of this tree:

1. A path hook answers for entries of `sys.path` and of packages' `__path__`.
2. For the file's own folder it is a finder behind the others.
3. So packages, relative imports, namespace packages and the order of `sys.path` behave as in plain Python.
4. A module that a body reaches through `sys.path`, and that the version has not stored, comes from the disk in its present form.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, ModuleSpec
from importlib.resources.abc import Traversable, TraversableResources
from types import CodeType, ModuleType
from typing import IO, Any, Final

from ...wire import Code, Module
from ..surroundings.import_watch import imports
from .transform import compile_source

_INSTALLED: Final = ("site-packages", "dist-packages")


class Tree:
    """The files of one version by path, and the folders above them, up to the workflow file's own folder and its package's."""

    def __init__(self, code: Code) -> None:
        self.folder = os.path.dirname(code.filename)
        if not os.path.isabs(self.folder):  # the source has no file on a disk
            self.folder = f"/{code.filename}"
        self._real = os.path.realpath(self.folder)
        depth = code.package.count(".") + 1 if code.package else 0
        self.base = self.folder
        for _ in range(depth):
            self.base = os.path.dirname(self.base)
        self.modules = {self._path_of(module): module for module in code.modules}
        self.data = {self._path(file.path): file.data for file in code.files}
        self.folders = {self.folder, self.base}
        for path in (*self.modules, *self.data):
            folder = os.path.dirname(path)
            while folder not in self.folders and len(folder) > 1:
                self.folders.add(folder)
                folder = os.path.dirname(folder)
        self.places = list(self._folders_to_search())
        """Where absolute imports are looked up, the nearest first."""
        self._compiled: dict[str, CodeType] = {}

    def _folders_to_search(self) -> Iterator[str]:
        """The file's own folder and those above it, up to the one that holds every module of the version."""
        top = os.path.commonpath([self.folder, self.base, *map(os.path.dirname, self.modules)])
        folder = self.folder
        yield folder
        while folder != top:
            folder = os.path.dirname(folder)
            yield folder

    def of(self, entry: str) -> str | None:
        """The folder for an entry of `sys.path` or `__path__`, if it is one of the tree or below the workflow file's own folder."""
        if entry in self.folders:
            return entry
        path = os.path.abspath(entry)
        if path.startswith(self._real) and self._real != self.folder:
            path = self.folder + path[len(self._real) :]
        below = path == self.folder or path.startswith(self.folder + os.sep)
        return path if path in self.folders or (below and not any(name in path for name in _INSTALLED)) else None

    def module_code(self, path: str) -> CodeType:
        code = self._compiled.get(path)
        if code is None:
            code = self._compiled[path] = compile_source(self.modules[path].source, path)
        return code

    def _path_of(self, module: Module) -> str:
        default = module.name.replace(".", "/") + ("/__init__.py" if module.package else ".py")
        return self._path(module.path or default)

    def _path(self, relative: str) -> str:
        return os.path.normpath(os.path.join(self.folder, relative))


class Siblings(MetaPathFinder):
    """One per process. `tree` belongs to the version that is loaded now. None: no version is loaded."""

    def __init__(self) -> None:
        self.tree: Tree | None = None
        self.builtins: dict[str, Any] = {}
        self._found: dict[str, ModuleSpec] = {}
        self._hooked: set[str] = set()
        self._names: set[str] = set()
        self._hooks: list[Any] = [self._hook]

    def begin(self, tree: Tree, builtins: dict[str, Any], names: set[str]) -> None:
        """From now on answer from this tree. Names of imported modules are added to `names`."""
        self.tree, self.builtins, self._names = tree, builtins, names
        if sys.path_hooks[:1] != self._hooks:
            sys.path_hooks[:] = [*self._hooks, *(hook for hook in sys.path_hooks if hook not in self._hooks)]
        for folder in tree.folders:  # an import may have cached a finder for it already
            sys.path_importer_cache.pop(folder, None)

    def end(self) -> list[ModuleType]:
        """Take the imported modules out of sys.modules and give them."""
        self.tree, tree = None, self.tree
        self.builtins = {}
        if not self._found and not self._hooked:
            return []
        gone = []
        for name, spec in self._found.items():
            module = sys.modules.get(name)
            if module is not None and _is_module_of(tree, module, spec):
                gone.append(sys.modules.pop(name))
        for entry in self._hooked:
            sys.path_importer_cache.pop(entry, None)
        self._found.clear()
        self._hooked.clear()
        return gone

    def has_found(self, name: str) -> bool:
        """True if this finder has found a module of this name since the version was loaded."""
        return name in self._found

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Search the file's own folder and those above it. The path hook finds submodules."""
        if (tree := self.tree) is None or path is not None:
            return None
        found = [self.find_in(tree, folder, fullname) for folder in tree.places]
        regular = [spec for spec in found if spec is not None and spec.loader is not None]
        return next(iter([*regular, *(spec for spec in found if spec is not None)]), None)

    def find_in(self, tree: Tree, folder: str, fullname: str, *, disk: bool = False) -> ModuleSpec | None:
        base = os.path.join(folder, fullname.rpartition(".")[2])
        init, file = os.path.join(base, "__init__.py"), base + ".py"
        spec = None
        if init in tree.modules or (disk and os.path.isfile(init)):
            spec = self._spec(tree, fullname, init, base)
        elif file in tree.modules or (disk and os.path.isfile(file)):
            spec = self._spec(tree, fullname, file, None)
        elif disk and (extension := _extension(folder, fullname)) is not None:
            return extension  # an extension module stays loaded for the life of the process
        elif base in tree.folders or (disk and os.path.isdir(base)):
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [base]
        if spec is not None:
            self._found[fullname] = spec
            self._names.add(fullname)
        return spec

    def _spec(self, tree: Tree, fullname: str, path: str, locations: str | None) -> ModuleSpec:
        spec = ModuleSpec(
            fullname, SiblingLoader(tree, path, self.builtins), origin=path, is_package=locations is not None
        )
        if locations is not None:
            spec.submodule_search_locations = [locations]
        return spec

    def _hook(self, entry: str) -> FolderFinder:
        folder = None if self.tree is None else self.tree.of(entry)
        if folder is None or self.tree is None:
            raise ImportError(entry)
        self._hooked.add(entry)
        return FolderFinder(self, self.tree, folder)


class FolderFinder:
    """Finder for one folder of the tree, as an entry of `sys.path` or `__path__`."""

    def __init__(self, siblings: Siblings, tree: Tree, folder: str) -> None:
        self._siblings = siblings
        self._tree = tree
        self._folder = folder

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        return self._siblings.find_in(self._tree, self._folder, fullname, disk=True)

    def invalidate_caches(self) -> None:
        pass

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """For pkgutil."""
        found: dict[str, bool] = {}
        for path in self._tree.modules:
            folder, file = os.path.split(path)
            if folder == self._folder and file != "__init__.py":
                found[file.removesuffix(".py")] = False
            elif file == "__init__.py" and os.path.dirname(folder) == self._folder:
                found[os.path.basename(folder)] = True
        for name in sorted(found):
            yield prefix + name, found[name]


class SiblingLoader(InspectLoader):
    """Loader of one file of the tree, with the documented methods of Python's own file loader."""

    def __init__(self, tree: Tree, path: str, builtins: dict[str, Any]) -> None:
        self.path = path
        self._tree = tree
        self._builtins = builtins

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._builtins
        module.__file__ = self.path  # the spec's has_location would do it, but also computes the path of a .pyc
        code = self.get_code(module.__name__)
        with imports.of_the_body():
            exec(code, module.__dict__)

    def get_code(self, fullname: str) -> CodeType:
        if self.path in self._tree.modules:
            return self._tree.module_code(self.path)
        return compile_source(self.get_source(fullname), self.path)

    def get_source(self, fullname: str) -> str:
        return self.get_data(self.path).decode("utf-8-sig")

    def get_filename(self, fullname: str) -> str:
        return self.path

    def is_package(self, fullname: str) -> bool:
        return os.path.basename(self.path) == "__init__.py"

    def get_data(self, path: str) -> bytes:
        path = os.path.normpath(path)
        if (module := self._tree.modules.get(path)) is not None:
            return module.source.encode()
        if (data := self._tree.data.get(path)) is not None:
            return data
        with open(path, "rb") as file:
            return file.read()

    def get_resource_reader(self, fullname: str) -> TraversableResources:
        return _Resources(self._tree, os.path.dirname(self.path))


class _Resources(TraversableResources):
    def __init__(self, tree: Tree, folder: str) -> None:
        self._tree = tree
        self._folder = folder

    def files(self) -> Traversable:
        return StoredPath(self._tree, self._folder)


class StoredPath(Traversable):
    """A path of the tree. A file that is not stored, because it was too large, is read from the disk."""

    def __init__(self, tree: Tree, path: str) -> None:
        self._tree = tree
        self._path = path

    @property
    def name(self) -> str:
        return os.path.basename(self._path)

    def __str__(self) -> str:
        return self._path

    def __fspath__(self) -> str:
        return self._path

    def iterdir(self) -> Iterator[Traversable]:
        stored = [path for path in (*self._tree.modules, *self._tree.data, *self._tree.folders) if path != self._path]
        names = {os.path.basename(path) for path in stored if os.path.dirname(path) == self._path}
        if not self._tree.data and os.path.isdir(self._path):
            names.update(os.listdir(self._path))
        return (self / name for name in sorted(names))

    def is_dir(self) -> bool:
        return self._path in self._tree.folders or os.path.isdir(self._path)

    def is_file(self) -> bool:
        return self._path in self._tree.data or self._path in self._tree.modules or os.path.isfile(self._path)

    def joinpath(self, *descendants: str | os.PathLike[str]) -> Traversable:
        return StoredPath(
            self._tree, os.path.normpath(os.path.join(self._path, *(os.fspath(one) for one in descendants)))
        )

    def __truediv__(self, child: str | os.PathLike[str]) -> Traversable:
        return self.joinpath(child)

    def read_bytes(self) -> bytes:
        return SiblingLoader(self._tree, self._path, {}).get_data(self._path)

    def read_text(self, encoding: str | None = None) -> str:
        return self.read_bytes().decode(encoding or "utf-8")

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> IO[Any]:
        stream = io.BytesIO(self.read_bytes())
        return stream if "b" in mode else io.TextIOWrapper(stream, *args, **{"encoding": "utf-8", **kwargs})


def _extension(folder: str, fullname: str) -> ModuleSpec | None:
    return FileFinder(folder, (ExtensionFileLoader, list(EXTENSION_SUFFIXES))).find_spec(fullname)


def _is_module_of(tree: Tree | None, module: ModuleType, spec: ModuleSpec) -> bool:
    """True if this is the module that we found. A body may have put another module under its name."""
    if spec.loader is not None:
        return getattr(module, "__spec__", None) is spec
    return tree is not None and any(tree.of(entry) for entry in getattr(module, "__path__", ()))
