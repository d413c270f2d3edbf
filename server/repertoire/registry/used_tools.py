"""Used tools: the tools that a workflow may use, read from its source when it is made; used by the registry, the service and its doors.

An entry is a path (`github.create_issue`, `fetch`), or `github.*` for all of a source. The tools that a source calls by name are found by
`review.references`. A name that is built at run time has to be declared: `__workflow__ = {"tools": ["github.*"]}`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from ..errors import Refused
from ..model.workflow_version import WorkflowVersion
from ..wire import Module
from .review import references
from .source import parse

_OF_THE_NAMESPACE: Final = frozenset({"list", "search"})
"""`tools.list()` and `tools.search(query)` are no tools."""


def used_tools(source: str, modules: Iterable[Module], declared: Iterable[str]) -> tuple[str, ...]:
    """The entries of a workflow, in alphabetical order. Takes a while: call it in a thread."""
    found = set(declared)
    for text in (source, *(module.source for module in modules)):
        if "tools" in text:
            found.update(_named(text))
    return tuple(sorted(found - _OF_THE_NAMESPACE))


def tools_of(version: WorkflowVersion) -> tuple[str, ...]:
    """The entries of a version. One that an older release stored has none with it, so its source is read."""
    if version.tools is not None:
        return version.tools
    return used_tools(version.source, version.modules, version.options.tools)


def permits(entries: Collection[str], path: str) -> bool:
    """Whether one of the entries allows the tool of this path."""
    source, _, name = path.partition(".")
    return path in entries or f"{source}.*" in entries or (not name and f"{source}.{source}" in entries)


def _named(source: str) -> tuple[str, ...]:
    try:
        return references(parse(source, len(source) * 4 + 1)).tools
    except (Refused, RecursionError):  # a module that does not parse fails when it is imported
        return ()
