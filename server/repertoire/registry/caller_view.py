"""View: the workflows that one caller sees, by name, and the files that are broken or hidden; made by `Catalog`, used by the service.

It joins the caller's folders and the created workflows. It is a snapshot: a change of the catalog makes a new one.
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterable

from ..model.workflow_version import BrokenFile, Finding, WorkflowVersion
from .folder import Folder

_NEAR = 0.7
"""How like each other two names are, by difflib. `echo_if` and `echo_it` have .86, `no_such_tool` and `post_to_social` .54."""
_LEAST_CHARS = 4


class View:
    """`names` are in alphabetical order. `created` workflows win over files: a file with a created name came later and is refused."""

    def __init__(self, folders: Iterable[Folder], created: dict[str, WorkflowVersion]) -> None:
        names = dict(created)
        self.broken: list[BrokenFile] = []
        self.aliases: dict[str, str] = {}
        for folder in folders:
            items = folder.items()
            of_file = Counter(path for path, _ in items)
            for path, entry in items:  # the order is fixed, so of two with one name the same one always wins
                if isinstance(entry, BrokenFile):
                    self.broken.append(entry)
                elif entry.name in names:
                    self.broken.append(_hidden(path, entry, names[entry.name]))
                else:
                    names[entry.name] = entry
                    if of_file[path] == 1:  # the name of a file with several workflows is ambiguous
                        self.aliases.setdefault(os.path.relpath(path, folder.root).removesuffix(".py"), entry.name)
                    if entry.entry is not None:
                        self.aliases.setdefault(entry.entry, entry.name)
        self.names = dict(sorted(names.items()))
        self.by_hash = {version.hash: name for name, version in self.names.items()}

    def find(self, name: str) -> WorkflowVersion | None:
        """By its name, or by the name of its file (`draft-email`, `FetchJson`) or its class."""
        return self.names.get(name) or self.names.get(self.aliases.get(name, ""))

    def close_to(self, name: str) -> list[str]:
        return close_names(name, self.names)


def close_names(name: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Names that are written like this one, or that have all its words: `search` for `search_workflows`. Not merely some letters of it."""
    known = list(names)
    close = difflib.get_close_matches(name[:100], known, n=most, cutoff=_NEAR)
    words = _words(name) if len(name) >= _LEAST_CHARS else set()
    return [*close, *(one for one in known if words and words < _words(one) and one not in close)][:most]


def _words(name: str) -> set[str]:
    return {word.removesuffix("s") for word in name[:100].lower().replace("-", "_").split("_") if word}


def _hidden(path: str, entry: WorkflowVersion, winner: WorkflowVersion) -> BrokenFile:
    by = winner.path or "a workflow that was created through a tool"
    message = f"The name {entry.name!r} is taken by {by}."
    finding = Finding("name_taken", "warning", message, hint="Rename one of the two, or delete the other.")
    return BrokenFile(path, entry.root, (finding,), entry.name)
