"""Import hook: `CompatFinder` answers imports of `agno`, `buddy` and `pyflue`, if these are not installed, with names of ours.

So a workflow file written for one of them loads unchanged. The import of a name that we lack raises a sentence that names it and the
replacement. Each module that the hook makes is empty and looks names up at their first use, so its import costs nothing. Used by the worker.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

from .class_style import INSTEAD, PAGES

CLASS_STYLE: Final = ("agno", "buddy")
PYFLUE: Final = "pyflue"


class CompatFinder(MetaPathFinder, Loader):
    """The finder, one per process: last on sys.meta_path, or first if it must hide an installed package."""

    def __init__(self, *, prefer_real: bool) -> None:
        self.prefer_real = prefer_real

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raises ModuleNotFoundError for a module that our stand-in of the package does not have."""
        package, _, below = fullname.partition(".")
        if package not in (*CLASS_STYLE, PYFLUE) or (self.prefer_real and is_installed(package)):
            return None
        pages = {"": ()} if package == PYFLUE else PAGES
        if below not in pages:
            # Without `name`: with it, the report of a missing module would advise to install it and drop our sentence.
            raise ModuleNotFoundError(_missing_message(package, fullname, below))
        return ModuleSpec(fullname, self, is_package=True, origin="repertoire.compat")

    def exec_module(self, module: ModuleType) -> None:
        package, _, below = module.__name__.partition(".")
        if package == PYFLUE:
            page = import_module(".pyflue", __package__)
            vars(module).update(__doc__=page.__doc__, __all__=page.__all__, __getattr__=_getter_of_module(page))
            return
        names = PAGES[below]
        vars(module).update(
            __doc__=f"Stands for {module.__name__}: names of Repertoire.",
            __all__=list(names),
            __getattr__=_getter_of_table(package, below, names),
        )


def install(prefer_real: bool = False) -> CompatFinder:
    """Answer these imports from now on. `prefer_real`: an installed package wins. A second call changes that preference."""
    _remove()
    finder = CompatFinder(prefer_real=prefer_real)
    hides_one = not prefer_real and any(map(is_installed, (*CLASS_STYLE, PYFLUE)))
    sys.meta_path.insert(0 if hides_one else len(sys.meta_path), finder)
    return finder


def prefers_real() -> bool:
    """The preference of the last `install`."""
    return any(finder.prefer_real for finder in sys.meta_path if isinstance(finder, CompatFinder))


def uninstall() -> None:
    """Remove the hook and the modules that it has made."""
    _remove()
    for name, module in list(sys.modules.items()):
        if isinstance(getattr(getattr(module, "__spec__", None), "loader", None), CompatFinder):
            del sys.modules[name]


def is_installed(package: str) -> bool:
    """True if Python finds the package without the hook."""
    return PathFinder.find_spec(package) is not None


def _remove() -> None:
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, CompatFinder)]


def _getter_of_module(page: ModuleType) -> Callable[[str], Any]:
    return lambda name: getattr(page, name)


def _getter_of_table(package: str, below: str, names: dict[str, str]) -> Callable[[str], Any]:
    here = f"{package}.{below}" if below else package

    def find(name: str) -> Any:
        if name in names:
            return getattr(import_module(names[name]), name)
        if name.startswith("__"):
            raise AttributeError(name)
        path = f"{below}.{name}" if below else name
        if path in PAGES:  # `from agno import workflow` imports the submodule after this error
            raise AttributeError(name)
        raise ImportError(_missing_message(package, f"{here}.{name}", path, names), name=f"{here}.{name}")

    return find


def _missing_message(package: str, what: str, path: str, names: dict[str, str] | None = None) -> str:
    first = path.partition(".")[0]
    if names and (path != first or first not in INSTEAD):
        advice = f"there {'is' if len(names) == 1 else 'are'} {', '.join(sorted(names))}"
    else:
        advice = INSTEAD.get(first, "write what it does in Python, in run()")
    return (
        f"Repertoire has no {what!r} in place of {package}'s: {advice}. Or install {package} and set prefer_installed."
    )
