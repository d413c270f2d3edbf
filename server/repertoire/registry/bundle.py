"""Bundle: collects the modules and data files that a workflow file imports from its own folder; used by `Folder`.

They are stored with the version, so that a run never mixes files of two versions. `Bundle` reads the imports of a source, adds the files
that they may mean, and reads those in turn. It adds too many rather than too few: the worker decides by the rules of Python which file a
name means (worker/source/siblings.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Final

from ..errors import Refused
from ..text import well_formed
from ..wire import DataFile, Module
from .source import parse, read_source, uses_state
from .source_imports import Uses, uses_of

_MAX_MODULES: Final = 256
"""A larger set is a package that should be installed."""
_MAX_FOLDERS: Final = 500
"""Folders searched for a module that is found through `sys.path`."""
_NOT_OURS: Final = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages", "venv", "env"})


class Bundle:
    """Gathers modules, data and the files that they came from. `uses_state` is true if one of the modules uses the state.

    `folder` holds the workflow file, `root` is the workflow folder around it. `files` are the paths on which the version depends, also
    absent ones: a module that appears later makes a new version.
    """

    def __init__(self, folder: str, max_bytes: int, root: str | None = None) -> None:
        self._folder = folder
        self._root = root or folder
        self._max_bytes = max_bytes
        self._size = 0
        self._modules: dict[str, Module] = {}
        self._names: dict[str, None] = {}
        """Absolute names that were looked up."""
        self._any_path = False
        """Some module changes `sys.path`, so a name may be found in any folder."""
        self._wants_data = False
        self._tree: list[str] | None = None
        self._waiting: list[tuple[str, Module | None, str]] = []
        self._absent: dict[str, None] = {}
        self.uses_state = False
        self.data: tuple[DataFile, ...] = ()

    @property
    def modules(self) -> list[Module]:
        return list(self._modules.values())

    @property
    def files(self) -> list[str]:
        return [*self._modules, *(self._path_of(one.path) for one in self.data), *self._absent]

    @property
    def package(self) -> str:
        """The dotted package of the workflow file: its folders below the workflow folder, from the last one whose name is no identifier."""
        parts: list[str] = []
        for part in reversed(os.path.relpath(self._folder, self._root).split(os.sep)):
            if not part.isidentifier():
                break
            parts.insert(0, part)
        return ".".join(parts)

    def files_of(self, uses: Uses) -> list[str]:
        """The files that the source itself imports, without reading them."""
        places = [self._folder, *_folders_above(self._folder, self._root)]
        found = []
        for name in uses.imports:
            up = len(name) - len(name.lstrip(".")) - 1
            parts = [part for part in name.lstrip(".").split(".") if part not in ("", "*")]
            for place in places if up < 0 else places[up : up + 1]:
                base = os.path.join(place, *parts)
                found += [one for one in (base + ".py", os.path.join(base, "__init__.py")) if os.path.isfile(one)]
        return list(dict.fromkeys(found))

    def gather(self, uses: Uses) -> None:
        """Add every file that the source may import, the imports of those files, and their data. Raises Refused beyond the limits."""
        self._note(uses, None, os.path.join(self._folder, "."))
        while self._waiting:
            name, module, path = self._waiting.pop()
            if name.startswith("."):
                self._add_relative(name, module, path)
            elif name not in self._names:
                self._names[name] = None
                self._add_absolute(name)
        if self._wants_data:
            self.data = tuple(self._gather_data())

    def _note(self, uses: Uses, module: Module | None, path: str) -> None:
        if uses.changes_path and not self._any_path:
            self._any_path = True
            self._waiting += [(name, None, "") for name in self._names]  # look up each name again, in all folders
            self._names.clear()
        self._wants_data = self._wants_data or uses.reads_data
        self._waiting += [(name, module, path) for name in uses.imports]

    def _add_relative(self, name: str, module: Module | None, path: str) -> None:
        """`..a.b`, imported by `module` at `path`; None: by the workflow file."""
        rest = name.lstrip(".")
        up = len(name) - len(rest) - 1
        base, package = os.path.dirname(path), self.package if module is None else _package_of(module)
        for _ in range(up):
            base, package = os.path.dirname(base), package.rpartition(".")[0]
        if not package and not up and rest:
            self._add(base, rest)
        elif package and _is_within(base, self._root):
            top = base
            for _ in package.split("."):
                top = os.path.dirname(top)
            self._add(top, f"{package}.{rest}" if rest else package)

    def _add_absolute(self, name: str) -> None:
        above = list(_folders_above(self._folder, self._root))
        if name == "*":  # any module of the file's own folder and of the workflow folder, not of every folder between
            above = above[-1:] if self.package.count(".") + 1 == len(above) else []
        places = [self._folder, *above]
        if self._any_path and name != "*":
            places += [place for place in self._folders() if place not in places]
        found = [self._add(place, name, strict=n <= len(above)) for n, place in enumerate(places)]
        first = name.partition(".")[0]
        if not any(found) and "*" not in name:
            for place in places[: 1 + len(above)]:
                base = os.path.join(place, first)
                self._absent.update({base + ".py": None, os.path.join(base, "__init__.py"): None})

    def _add(self, place: str, name: str, *, strict: bool = True) -> bool:
        """`a.b.c` below a folder: a, a.b and a.b.c, as far as they exist. `a.*`: all modules of a."""
        base, found, parts = place, False, name.split(".")
        for n, part in enumerate(parts, 1):
            if part == "*":
                self._add_all(base, ".".join(parts[: n - 1]))
                return True
            base = os.path.join(base, part)
            init, file = os.path.join(base, "__init__.py"), base + ".py"
            if os.path.isfile(init):
                found = True
                self._read(init, ".".join(parts[:n]), package=True, strict=strict)
            elif os.path.isfile(file):
                self._read(file, ".".join(parts[:n]), package=False, strict=strict)
                return True
            elif not os.path.isdir(base):
                return found
        return found

    def _add_all(self, base: str, package: str) -> None:
        """All modules below `base`, for an import whose name is known only at run time. If they are too many, none is added, and the run
        imports from the disk."""
        files = [path for folder in _walk(base) for path in _python_files(folder)]
        if len(files) + len(self._modules) > _MAX_MODULES or self._size + _size_of(files) > self._max_bytes:
            return
        for path in files:
            inner = os.path.relpath(path, base).removesuffix(".py").split(os.sep)
            is_package = inner[-1] == "__init__"
            name = ".".join([*([package] if package else []), *inner[: len(inner) - is_package]])
            if name:
                self._read(path, name, package=is_package, strict=False)

    def _read(self, path: str, name: str, *, package: bool, strict: bool = True) -> None:
        if path in self._modules:
            return
        try:
            source = read_source(path, self._max_bytes)
            tree = parse(source, self._max_bytes)
        except Refused as error:
            if strict:
                self._absent[path] = None  # when it is corrected, that makes a new version
                raise _helper_refused(error, path) from error
            return
        self._grow(len(source))
        default = name.replace(".", "/") + ("/__init__.py" if package else ".py")
        relative = os.path.relpath(path, self._folder).replace(os.sep, "/")
        module = self._modules[path] = Module(name, source, package, "" if relative == default else relative)
        self.uses_state = self.uses_state or uses_state(tree)
        self._note(uses_of(tree), module, path)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._max_bytes or len(self._modules) >= _MAX_MODULES:
            raise Refused(
                f"The file imports more than {_MAX_MODULES} modules or {self._max_bytes} bytes from its own folder.",
                "Install that code as a package and import it from there.",
                code="bundle_too_large",
            )

    def _gather_data(self) -> list[DataFile]:
        """Files in the packages besides modules. If they are too many, none is added, and the run reads them from the disk."""
        folders = {os.path.dirname(path) for path in self._modules} - {self._folder, self._root}
        paths = sorted({path for top in folders for folder in _walk(top) for path in _data_files(folder)})
        if len(paths) > _MAX_MODULES or self._size + _size_of(paths) > self._max_bytes:
            return []
        found = []
        for path in paths:
            with open(path, "rb") as file:
                found.append(DataFile(os.path.relpath(path, self._folder).replace(os.sep, "/"), file.read()))
        return found

    def _folders(self) -> list[str]:
        if self._tree is None:
            self._tree = list(_walk(self._root))
        return self._tree

    def _path_of(self, relative: str) -> str:
        return os.path.normpath(os.path.join(self._folder, relative))


def _helper_refused(error: Refused, path: str) -> Refused:
    """The problem of an imported module, with that module's own file."""
    message = f"It imports {well_formed(os.path.basename(path))}, which cannot be used. {error.message}"
    return Refused(message, error.hint, code=error.reason, line=error.line, column=error.column, file=well_formed(path))


def _package_of(module: Module) -> str:
    return module.name if module.package else module.name.rpartition(".")[0]


def _is_within(path: str, root: str) -> bool:
    return path == root or path.startswith(os.path.join(root, ""))


def _folders_above(folder: str, root: str) -> Iterator[str]:
    """The folders above this one, up to the workflow folder. A project's own root, where its packages lie, is one of them."""
    while folder != root and _is_within(folder, root):
        folder = os.path.dirname(folder)
        yield folder


def _walk(top: str) -> Iterator[str]:
    """The folder and the folders below it, without hidden and installed ones."""
    for n, (folder, folders, _) in enumerate(os.walk(top)):
        if n >= _MAX_FOLDERS:
            return
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _NOT_OURS)
        yield folder


def _python_files(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.path for entry in entries if entry.name.endswith(".py") and entry.is_file())


def _data_files(folder: str) -> list[str]:
    left_out = (".py", ".pyc", ".so", ".pyd")
    with os.scandir(folder) as entries:
        return [
            entry.path
            for entry in entries
            if entry.is_file() and not entry.name.endswith(left_out) and not entry.name.startswith(".")
        ]


def _size_of(paths: Iterable[str]) -> int:
    return sum(os.path.getsize(path) for path in paths)
