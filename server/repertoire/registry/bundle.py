"""The modules that a workflow file imports from its own folder: stored with its version, so that old and new never mix."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..errors import Refused
from ..wire import Module
from .source import imports, parse, uses_state

_MAX_MODULES = 64
"""More than this is a package that should be installed."""


class Bundle:
    """Gathers modules and the files they came from; `uses_state` is true when one of them does."""

    def __init__(self, folder: str, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._size = 0
        self._seen: set[str] = set()
        self.modules: list[Module] = []
        self.files: list[str] = []
        self.uses_state = False

    def gather(self, names: Iterable[str]) -> None:
        """Take in every name that is a file beside the workflow, and what those import in turn. Raises Refused beyond the limits."""
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            for part in _prefixes(name):
                if part not in self._seen:
                    self._seen.add(part)
                    waiting.extend(self._take(part))

    def _take(self, name: str) -> list[str]:
        found = self._find(name)
        if found is None:
            return []
        path, package = found
        with open(path, encoding="utf-8") as file:
            source = file.read()
        self._size += len(source)
        if self._size > self._max_bytes or len(self.modules) >= _MAX_MODULES:
            raise Refused(
                f"The file imports more than {_MAX_MODULES} modules or {self._max_bytes} bytes from its own folder.",
                "Install that code as a package and import it from there.", code="bundle_too_large",
            )  # fmt: skip
        tree = parse(source, self._max_bytes)
        self.modules.append(Module(name, source, package))
        self.files.append(path)
        self.uses_state = self.uses_state or uses_state(tree)
        return list(imports(tree))

    def _find(self, name: str) -> tuple[str, bool] | None:
        base = os.path.join(self._folder, *name.split("."))
        for path, package in ((os.path.join(base, "__init__.py"), True), (base + ".py", False)):
            if os.path.isfile(path):
                return path, package
        return None


def _prefixes(name: str) -> list[str]:
    """`a.b.c` → a, a.b, a.b.c: importing the last imports them all."""
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]
