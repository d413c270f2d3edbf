"""Uses: the imports of a source as they are written, and whether it reads data files or changes `sys.path`; used by `Bundle`.

Read from the syntax tree. `Bundle` decides which files the imports may mean.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from typing import Final

import msgspec

_IMPORTERS: Final = frozenset(
    {"import_module", "__import__", "find_spec", "walk_packages", "iter_modules", "resolve_name"}
)
_READERS: Final = frozenset({"importlib.resources", "importlib_resources", "pkgutil"})
_OF_DATA: Final = frozenset(
    {"files", "get_data", "read_text", "read_binary", "open_text", "open_binary", "path", "contents", "is_resource"}
)
"""Functions whose first argument is a package."""


class Uses(msgspec.Struct, frozen=True):
    """`imports` are dotted names. `from a import b` gives both `a` and `a.b`; relative imports keep their dots. `a.*` is some module of `a`,
    and `*` any module, whose name is known only at run time. Imports of the standard library and of repertoire are left out."""

    imports: tuple[str, ...] = ()
    reads_data: bool = False
    changes_path: bool = False


def uses_of(tree: ast.Module) -> Uses:
    names = list(dict.fromkeys(_names(tree)))
    reads = any(name in _READERS or name.startswith("importlib.resources.") for name in names)
    if reads:
        names += _packages_of_data(tree)
    return Uses(tuple(name for name in dict.fromkeys(names) if _may_be_a_file(name)), reads, _changes_path(tree))


def _may_be_a_file(name: str) -> bool:
    """Not of the standard library or repertoire, and a valid dotted name: a string given to `import_module` may hold anything."""
    first = name.partition(".")[0]
    if first == "repertoire" or first in sys.stdlib_module_names:
        return False
    rest = name.lstrip(".")
    return all(part.isidentifier() or part == "*" for part in rest.split(".")) if rest else bool(name)


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                base = "." * node.level + (node.module or "")
                yield base
                joint = "" if base.endswith(".") else "."
                yield from (f"{base}{joint}{alias.name}" for alias in node.names)
            case ast.Call() if _function_name(node) in _IMPORTERS:
                yield from _imported_by(node)


def _imported_by(node: ast.Call) -> Iterator[str]:
    """`import_module("a.b")`, `import_module(".b", "a")`, `import_module(f"a.{name}")`."""
    name = node.args[0] if node.args else next((one.value for one in node.keywords if one.arg == "name"), None)
    package = _text(node.args[1]) if len(node.args) > 1 else None
    match name:
        case ast.Constant(value=str(text)):
            is_relative = text.startswith(".") and package is not None and _function_name(node) == "import_module"
            yield f"{package}{text}" if is_relative else text
        case (
            ast.JoinedStr(values=[ast.Constant(value=str(begin)), *_]) | ast.BinOp(left=ast.Constant(value=str(begin)))
        ):
            known = begin.rpartition(".")[0]
            yield f"{known}.*" if known.strip(".") else "*"
        case _:
            yield "*"


def _packages_of_data(tree: ast.Module) -> list[str]:
    calls = (
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and _function_name(node) in _OF_DATA and node.args
    )
    names = (_text(node.args[0]) for node in calls)
    return [name for name in names if name and all(part.isidentifier() for part in name.split("."))]


def _changes_path(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("path", "addsitedir"):
            if isinstance(node.value, ast.Name) and node.value.id in ("sys", "site"):
                return True
        elif isinstance(node, ast.ImportFrom):
            if node.module in ("sys", "site"):
                return True
        elif isinstance(node, ast.Import) and any(one.name in ("sys", "site") and one.asname for one in node.names):
            return True
    return False


def _function_name(node: ast.Call) -> str:
    function = node.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
