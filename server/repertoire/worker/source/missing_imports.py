"""Missing imports: all modules that a version imports and that this Python lacks, so that one report names them all; used by `body_errors`.

The first of them has already failed. The others are read from the syntax trees of the version; nothing is imported here.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Iterator
from typing import Final

from ...distributions import distribution_of
from .loader import Version

_MOST_ABOVE: Final = 4
"""Folders above the workflow's own in which a missing package is looked for."""


def missing_modules(version: Version, first: str) -> list[str]:
    """The first names of all modules that are missing, beginning with `first`."""
    own = {name.partition(".")[0] for name in version.own_modules}
    sources = (version.code.source, *(module.source for module in version.code.modules))
    names = [name.partition(".")[0] for source in sources for name in _imports(source)]
    return list(dict.fromkeys([first, *(name for name in names if name not in own and _is_missing(name))]))


def advice(names: list[str], folder: str) -> str:
    """What to do about the missing modules: a folder to open, packages to install."""
    told = []
    for name in list(names):
        if (place := _place_above(name, folder)) is not None:
            told.append(f"{name} lies in {place}, above the workflow folder: open {place} as the workflow folder.")
            names = [one for one in names if one != name]
    known = [found for name in names if (found := distribution_of(name)) is not None]
    unknown = [name for name in names if distribution_of(name) is None]
    if known:
        quoted = " ".join(f"'{one}'" if "<" in one else one for one in known)
        told.append(
            f"The person who runs this server can install what is missing: {sys.executable} -m pip install {quoted}."
        )
    for name in unknown:
        told.append(
            f"If {name} is a workflow, call workflows.{name}(...) instead of importing it. If it is a module of your own, put it beside the "
            f"file. If it is a package, the person who runs this server can install the distribution that has it: "
            f"{sys.executable} -m pip install PACKAGE."
        )
    return " ".join(told)


def _imports(source: str) -> Iterator[str]:
    """The absolute imports of the top level, without those that may fail."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module


def _is_missing(name: str) -> bool:
    if name in sys.stdlib_module_names or name in sys.modules:
        return False
    try:
        return importlib.util.find_spec(name) is None
    except (ImportError, ValueError):
        return False


def _place_above(name: str, folder: str) -> str | None:
    """The nearest folder above this one that has a module or a package of this name."""
    for _ in range(_MOST_ABOVE):
        folder, below = os.path.dirname(folder), folder
        if folder == below or folder == os.path.expanduser("~"):
            return None
        base = os.path.join(folder, name)
        if os.path.isfile(base + ".py") or os.path.isfile(os.path.join(base, "__init__.py")):
            return folder
    return None
