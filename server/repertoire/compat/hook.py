"""Import hook: `CompatFinder` answers imports of `agno`, `phi`, `buddy` and `pyflue`, if these are not installed, with names of ours.

1. A page of `import_tables` has names of ours. A closed page refuses other names with a sentence that names the replacement.
2. Every other path below a known area is answered too. `stand_ins` makes its names: they can be imported, and only their use is refused.
3. Each module that the hook makes is empty and looks names up at their first use, so its import costs nothing.
4. With `prefer_real` an installed package wins. Of Agno v1 only `agno.workflow` is still ours, because a tool is a Workflow of ours.

Used by the worker.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

from .import_tables import AREAS, CLOSED, INSTEAD, KNOWN, OLDER_PATHS, PAGES

CLASS_STYLE: Final = ("agno", "buddy", "phi")
PYFLUE: Final = "pyflue"
_HYBRID: Final = frozenset({"workflow", "workflow.workflow"})
"""The pages of an installed Agno v1 that stay ours."""


class CompatFinder(MetaPathFinder, Loader):
    """The finder, one per process: last on sys.meta_path, or first if a package that it answers for is installed."""

    def __init__(self, *, prefer_real: bool) -> None:
        self.prefer_real = prefer_real

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raises ModuleNotFoundError for a module that our stand-in of the package does not have."""
        package, _, below = fullname.partition(".")
        if package not in (*CLASS_STYLE, PYFLUE):
            return None
        if self.prefer_real and is_installed(package) and not (below in _HYBRID and _is_first_version(package)):
            return None
        if package == PYFLUE:
            is_there = not below
        else:
            below = _present_path(below)
            is_there = below in PAGES or (below.partition(".")[0] in AREAS and below not in CLOSED)
        if not is_there:
            # Without `name`: with it, the report of a missing module would advise to install it and drop our sentence.
            raise ModuleNotFoundError(_missing_message(package, fullname, below))
        return ModuleSpec(fullname, self, is_package=True, origin="repertoire.compat")

    def exec_module(self, module: ModuleType) -> None:
        package, _, below = module.__name__.partition(".")
        if package == PYFLUE:
            page = import_module(".pyflue", __package__)
            vars(module).update(__doc__=page.__doc__, __all__=page.__all__, __getattr__=_getter_of_module(page))
            return
        below = _present_path(below)
        vars(module).update(
            __doc__=f"Stands for {module.__name__}: names of Repertoire.",
            __all__=list(PAGES.get(below, ())),
            __getattr__=_getter_of_page(package, below),
        )


def install(prefer_real: bool = False) -> CompatFinder:
    """Answer these imports from now on. `prefer_real`: an installed package wins. A second call changes that preference."""
    _remove()
    finder = CompatFinder(prefer_real=prefer_real)
    is_before_one = any(map(is_installed, (*CLASS_STYLE, PYFLUE)))
    sys.meta_path.insert(0 if is_before_one else len(sys.meta_path), finder)
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


def _is_first_version(package: str) -> bool:
    """Whether the installed package has workflows as classes: Agno 2 has no `storage`, and its Workflow is something else."""
    spec = PathFinder.find_spec(package)
    places = (spec.submodule_search_locations or ()) if spec else ()
    return any(os.path.isdir(os.path.join(place, "storage")) for place in places)


def _present_path(below: str) -> str:
    """The path under its present name: `models.openai` of `model.openai`."""
    first, dot, rest = below.partition(".")
    return OLDER_PATHS.get(first, first) + dot + rest


def _remove() -> None:
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, CompatFinder)]


def _getter_of_module(page: ModuleType) -> Callable[[str], Any]:
    return lambda name: getattr(page, name)


def _getter_of_page(package: str, below: str) -> Callable[[str], Any]:
    here = f"{package}.{below}" if below else package
    area = below.partition(".")[0]
    names = {**KNOWN.get(area, {}), **PAGES.get(below, {})}

    def find(name: str) -> Any:
        path = f"{below}.{name}" if below else name
        if name in names:
            home, _, other = names[name].partition(":")
            return getattr(import_module(home), other or name)
        if name.startswith("__") or _is_module(
            path
        ):  # `from agno import workflow` imports the submodule after this error
            raise AttributeError(name)
        if below in CLOSED or area not in AREAS:
            raise ImportError(_missing_message(package, f"{here}.{name}", path, names), name=f"{here}.{name}")
        from .stand_ins import stand_in

        return stand_in(package, below, name)

    return find


def _is_module(path: str) -> bool:
    return _present_path(path) in PAGES or ("." not in path and _present_path(path) in AREAS)


def _missing_message(package: str, what: str, path: str, names: dict[str, str] | None = None) -> str:
    from .stand_ins import prefer

    first = path.partition(".")[0]
    if names and (path != first or first not in INSTEAD):
        advice = f"there {'is' if len(names) == 1 else 'are'} {', '.join(sorted(names))}"
    else:
        advice = INSTEAD.get(first, "write what it does in Python, in run()")
    return f"Repertoire has no {what!r} in place of {package}'s: {advice}. {prefer(package)}"
