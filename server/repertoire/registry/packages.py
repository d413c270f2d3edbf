"""Packages: the modules that workflows can import because a package is installed; used by the review, and by the guide for models.

Workers run in the server's own Python, so its search path answers. Nothing is imported here. The answers are read anew each time, because
a person may install a package while the server runs. They read folders: call them in a thread.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import sys
from typing import Final

_OURS: Final = frozenset({"repertoire", "repertoire_client"})
_MOST_NEAR: Final = 3
_OFTEN: Final = (
    "httpx", "requests", "numpy", "pandas", "polars", "bs4", "lxml", "yaml", "PIL", "matplotlib", "openpyxl", "pydantic", "rich", "jinja2",
    "sklearn", "scipy", "torch", "transformers", "sqlalchemy", "aiohttp", "dateutil", "anyio", "jsonschema",
)  # fmt: skip
"""Packages that workflows often use. Of a long list those that are installed are named first."""


def is_installed(name: str) -> bool:
    """Whether the first part of a dotted name can be imported, without importing it."""
    first = name.partition(".")[0]
    if first in sys.stdlib_module_names or first in sys.modules:
        return True
    importlib.invalidate_caches()  # it may have been installed since
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


def near_names(name: str, known: list[str], most: int = _MOST_NEAR) -> list[str]:
    """Of the known names those that are written like this one."""
    folded = {one.lower(): one for one in reversed(known)}
    return [folded[one] for one in difflib.get_close_matches(name.lower()[:100], list(folded), n=most, cutoff=0.7)]
