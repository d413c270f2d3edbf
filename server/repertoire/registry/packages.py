"""Packages: the modules that workflows can import because a package is installed; used by the review and `Importable`.

Workers run in the server's own Python, so its search path answers. Nothing is imported here. The answers are read anew each time, because
a person may install a package while the server runs. They read folders: call them in a thread.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Final

from ..distributions import distribution_of

_OURS: Final = frozenset({"repertoire", "repertoire_client"})
_MOST_NEAR: Final = 3
_OFTEN: Final = (
    "httpx", "requests", "numpy", "pandas", "polars", "bs4", "lxml", "yaml", "PIL", "matplotlib", "openpyxl", "pydantic", "rich", "jinja2",
    "sklearn", "scipy", "torch", "transformers", "sqlalchemy", "aiohttp", "dateutil", "anyio", "jsonschema",
)  # fmt: skip
"""Packages that workflows often use. Of a long list those that are installed are named first."""


def is_installed(name: str) -> bool:
    """Whether the first part of a dotted name can be imported, without importing it."""
    return bool(installed_of([name]))


def installed_of(names: Iterable[str]) -> list[str]:
    """Those of the names whose first part can be imported."""
    importlib.invalidate_caches()  # one may have been installed since
    return [name for name in names if _can_be_found(name.partition(".")[0])]


def _can_be_found(first: str) -> bool:
    if first in sys.stdlib_module_names or first in sys.modules:
        return True
    try:
        return importlib.util.find_spec(first) is not None
    except (ImportError, ValueError):
        return False


def installed_names() -> list[str]:
    """The modules of installed packages, without private ones and ours: those that workflows often use first."""
    folders = [folder for folder in sys.path if folder.endswith(("site-packages", "dist-packages"))]
    found = {
        module.name
        for module in pkgutil.iter_modules(folders)
        if not module.name.startswith("_") and module.name not in _OURS and module.name.isidentifier()
    }
    often = [name for name in _OFTEN if name in found]
    return [*often, *sorted(found - set(often), key=str.lower)]


def plain(package: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def package_of(module: str) -> str:
    """The package that has a module, as far as that is known; else the module's own name."""
    first = module.partition(".")[0]
    return distribution_of(module) or first.lower()


def is_distribution(package: str) -> bool:
    return _distribution(package) is not None


def imported_as(package: str) -> str | None:
    """The module of an installed package whose own name cannot be imported: `yaml` for `pyyaml`."""
    return next((name for name in modules_of(package) if is_installed(name)), None)


def modules_of(package: str) -> list[str]:
    """The public modules of an installed distribution: `google.genai`, and not `google`, where the top folder is shared by several."""
    found = _distribution(package)
    files = [file.parts for file in (found.files if found else None) or () if file.suffix in (".py", ".so", ".pyd")]
    whole = {parts[0] for parts in files if parts[1:] == ("__init__.py",)}
    names = dict.fromkeys(_module(parts, whole) for parts in files)
    return [name for name in names if all(one.isidentifier() and not one.startswith("_") for one in name.split("."))]


def _module(parts: Sequence[str], whole: set[str]) -> str:
    """The module that a file of a distribution belongs to."""
    first, *below = parts
    shown = [first] if first in whole or not below else [first, below[0]]
    return ".".join([*shown[:-1], shown[-1].partition(".")[0]])


def _distribution(package: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def near_names(name: str, known: list[str], most: int = _MOST_NEAR) -> list[str]:
    """Of the known names those that are written like this one."""
    folded = {one.lower(): one for one in reversed(known)}
    return [folded[one] for one in difflib.get_close_matches(name.lower()[:100], list(folded), n=most, cutoff=0.7)]
