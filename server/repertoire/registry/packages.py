"""Packages: the modules that workflows can import because a package is installed; used by the review, and by the guide for models.

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
from collections.abc import Sequence
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

_TOOLS: Final = frozenset((
    "pip", "setuptools", "wheel", "build", "hatchling", "twine", "ruff", "mypy", "pyright", "black", "isort", "flake8", "tox", "nox",
    "coverage", "pytest", "pytest-asyncio", "pytest-cov", "pytest-xdist", "pytest-timeout", "hypothesis", "import-linter", "pre-commit",
    "virtualenv",
))  # fmt: skip
"""Packages for developers, not for workflows."""
_REQUIRED: Final = re.compile(r"[\w.-]*")
"""The name at the beginning of a requirement."""


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


def installed_groups() -> tuple[list[str], list[str]]:
    """Modules of installed packages: those that workflows often use, and the others that no installed package needs. Tools of developers
    are in neither."""
    modules = installed_names()
    requirements = [one for each in metadata.distributions() for one in each.requires or () if "extra ==" not in one]
    needed = {_plain(found[0]) for one in requirements if (found := _REQUIRED.match(one))}
    makers = metadata.packages_distributions()
    often = [name for name in modules if name in _OFTEN]
    others = [name for name in modules if name not in _OFTEN and not _is_internal(makers.get(name, ()), needed)]
    return often, others


def _is_internal(packages: Sequence[str], needed: set[str]) -> bool:
    """Whether a module belongs to packages that another one needs, to a tool, or to none."""
    return not packages or any(_plain(one) in needed or _plain(one) in _TOOLS for one in packages)


def _plain(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def package_of(module: str) -> str:
    """The package that has a module, as far as that is known; else the module's own name."""
    first = module.partition(".")[0]
    return distribution_of(module) or first.lower()


def is_distribution(package: str) -> bool:
    return _distribution(package) is not None


def imported_as(package: str) -> str | None:
    """The module of an installed package whose own name cannot be imported: `yaml` for `pyyaml`."""
    found = _distribution(package)
    if found is None:
        return None
    names = dict.fromkeys(file.parts[0].removesuffix(".py") for file in found.files or () if file.suffix == ".py")
    return next((name for name in names if not name.startswith("_") and is_installed(name)), None)


def _distribution(package: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def near_names(name: str, known: list[str], most: int = _MOST_NEAR) -> list[str]:
    """Of the known names those that are written like this one."""
    folded = {one.lower(): one for one in reversed(known)}
    return [folded[one] for one in difflib.get_close_matches(name.lower()[:100], list(folded), n=most, cutoff=0.7)]
