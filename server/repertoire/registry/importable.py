"""Importable: the modules that created code may import, and the reason and the substitute for every other one; used by the review, the guide
for models and `repertoire packages`.

1. The standard library may be imported, without the groups of `import_groups` and without private modules.
2. So may `repertoire`, the import paths that `compat` answers, and the listed packages.
3. The setting `packages` adds names to the list, or removes them ("-name"). A name is that of a module or of a distribution.

The longest entry that a dotted name begins with decides. The list lets an author know early, with a line. It is no wall: a name that is built
at run time is not seen here, and the sandbox refuses what such a module would do.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any, Final

from ..compat.hook import CLASS_STYLE, PYFLUE
from ..distributions import distribution_of
from .import_groups import GROUPS, PACKAGES, PRIVATE, REMOVED, UNLISTED, Group
from .packages import installed_of, is_distribution, is_installed, modules_of, plain

_OURS: Final = frozenset({"repertoire", *CLASS_STYLE, PYFLUE})
_PUBLIC: Final = "__future__"
_BY_DEFAULT: Final[dict[str, Group | None]] = {
    **dict.fromkeys(PACKAGES),
    **{name: group for group in GROUPS for name in group.modules},
}
"""None: the module may be imported."""


class Importable:
    """The list of one server. Whether a package is installed is read anew each time: call it in a thread."""

    def __init__(self, setting: Sequence[str] = ()) -> None:
        self._setting = tuple(setting)

    def refusal(self, module: str) -> Group | None:
        """The reason why created code may not import a module, by its dotted name. None: it may."""
        parts, entries = module.split("."), self._entries()
        for length in range(len(parts), 0, -1):
            if (name := ".".join(parts[:length])) in entries:
                return entries[name]
        first = parts[0]
        if first in _OURS or first == _PUBLIC:
            return None
        if first in sys.stdlib_module_names:
            return PRIVATE if first.startswith("_") else None
        return UNLISTED

    def is_listed(self, module: str) -> bool:
        """Whether the module belongs to a package of the list, installed or not."""
        return self.refusal(module) is None

    def installed(self) -> list[str]:
        """The listed packages that are installed, by the names that are imported: those that workflows often use first."""
        return installed_of(self._listed())

    def facts(self) -> dict[str, Any]:
        """The whole list as JSON values, for `repertoire packages` and the guide."""
        added, here = self._listed_by_setting(), {*self.installed()}
        rows = [
            {
                "name": name,
                **_origin(name, added.get(name), is_here=name in here),
                "from": "setting" if name in added else "default",
            }
            for name in self._listed()
        ]
        return {
            "packages": [row for row in rows if row["version"] is not None],
            "not_installed": [row for row in rows if row["version"] is None],
            "removed": [name for name, group in self._entries().items() if group is REMOVED],
            "standard_library_without": [
                {"modules": left, "reason": group.reason, "instead": group.instead}
                for group in GROUPS
                if (left := [one for one in group.standard.split() if self.refusal(one) is group])
            ],
        }

    def _listed(self) -> list[str]:
        entries = self._entries().items()
        return [
            name for name, group in entries if group is None and name.partition(".")[0] not in sys.stdlib_module_names
        ]

    def _listed_by_setting(self) -> dict[str, str]:
        """Modules that only the setting lists, each with its entry."""
        added = {module: one for one in self._setting if not one.startswith("-") for module in _modules_named(one)}
        return {module: one for module, one in added.items() if module not in PACKAGES}

    def _entries(self) -> Mapping[str, Group | None]:
        if not self._setting:
            return _BY_DEFAULT
        entries = dict(_BY_DEFAULT)
        for one in self._setting:
            group = REMOVED if one.startswith("-") else None
            entries.update(dict.fromkeys(_modules_named(one.removeprefix("-")), group))
        return entries


def _modules_named(name: str) -> list[str]:
    """The modules that an entry of the setting means: the module of that name, and those of the distribution of that name."""
    known = [one for one in _BY_DEFAULT if one == name or plain(distribution_of(one) or "") == plain(name)]
    if known or name in sys.stdlib_module_names:
        return known or [name]
    return list(dict.fromkeys([*modules_of(name), *([name] if is_installed(name) else [])])) or [name.replace("-", "_")]


def _origin(name: str, entry: str | None, *, is_here: bool) -> dict[str, str | None]:
    """The distribution that has a module, and its version: None where it is not installed. `entry`: that of the setting."""
    guesses = [one for one in (distribution_of(name), entry, name) if one is not None]
    if not is_here:
        return {"distribution": guesses[0], "version": None}
    known = next((one for one in guesses if is_distribution(one)), None)
    if known is None:
        known = next(iter(metadata.packages_distributions().get(name.partition(".")[0], ())), None)
    found = metadata.distribution(known) if known is not None else None
    return {"distribution": found.name if found else name, "version": found.version if found else "unknown"}
