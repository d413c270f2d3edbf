"""What one caller sees: the workflows of their folders and the created ones, by name, with what is broken or hidden."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterable

from ..model.workflow import BrokenFile, Finding, WorkflowVersion
from .folder import Folder


class View:
    """`names` in alphabetical order. `created` win over files: a file that takes a created name came later and is refused."""

    def __init__(self, folders: Iterable[Folder], created: dict[str, WorkflowVersion]) -> None:
        names = dict(created)
        self.broken: list[BrokenFile] = []
        self.aliases: dict[str, str] = {}
        for folder in folders:
            listed = folder.listed()
            of_file = Counter(path for path, _ in listed)
            for path, entry in listed:  # of two with one name, always the same one wins
                if isinstance(entry, BrokenFile):
                    self.broken.append(entry)
                elif entry.name in names:
                    self.broken.append(_hidden(path, entry, names[entry.name]))
                else:
                    names[entry.name] = entry
                    if of_file[path] == 1:  # the name of a file with several says nothing of which is meant
                        self.aliases.setdefault(os.path.relpath(path, folder.root).removesuffix(".py"), entry.name)
                    if entry.entry is not None:
                        self.aliases.setdefault(entry.entry, entry.name)
        self.names = dict(sorted(names.items()))
        self.by_hash = {version.hash: name for name, version in self.names.items()}

    def find(self, name: str) -> WorkflowVersion | None:
        """By name or by the name its file (`draft-email`, `FetchJson`) or its class has."""
        return self.names.get(name) or self.names.get(self.aliases.get(name, ""))

    def close_to(self, name: str) -> list[str]:
        return difflib.get_close_matches(name, self.names, n=3, cutoff=0.5)


def _hidden(path: str, entry: WorkflowVersion, winner: WorkflowVersion) -> BrokenFile:
    by = winner.path or "a workflow that was created through a tool"
    message = f"The name {entry.name!r} is taken by {by}."
    finding = Finding("name_taken", "warning", message, hint="Rename one of the two, or delete the other.")
    return BrokenFile(path, entry.root, (finding,), entry.name)
