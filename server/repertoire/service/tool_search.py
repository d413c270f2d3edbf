"""ToolFinder: searches tools as `Finder` searches workflows, by the same encoder; used by `Tools`.

The view of all tools is made anew when a tool has changed. Vectors are stored by the texts' hashes, so unchanged tools are not encoded again.
Where there is no encoder, tools are ranked by the words of their names and descriptions (`tool_descriptions.rank`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ..names import snake_case
from ..registry.search import Finder, SearchMatch, SearchResult, Tiers
from ..registry.search_texts import Described, Searched, texts
from ..upstream.tool import Tool
from .tool_descriptions import rank

_SHELF: Final = ("tools",)
"""The key of its shelf in the encoder. Those of workflows are folders, whose paths are absolute."""


class _Described(Described, frozen=True):
    tool: Tool


class _View(NamedTuple):
    names: Mapping[str, _Described]


class ToolFinder(Finder):
    things = "tools"
    _tools: tuple[Tool, ...] = ()
    _view = _View({})

    async def search(
        self, tools: tuple[Tool, ...], query: str, limit: int, *, wait_s: float | None = None
    ) -> SearchResult:
        """Matches by path, and how they were ranked."""
        if tools != self._tools:
            self._tools, self._view = tools, _View({tool.path: _describe(tool) for tool in tools})
        return await self.find(_SHELF, self._view, query, limit, wait_s=wait_s)

    async def by_words(self, among: Mapping[str, Searched], query: str, limit: int) -> Tiers:
        """Each tool that has a word of the query."""
        found = rank(query, [one.tool for one in among.values() if isinstance(one, _Described)], limit)
        return Tiers([SearchMatch(tool.path, round(share**2, 4), None, words) for share, tool, words in found], [])


def _describe(tool: Tool) -> _Described:
    spoken = snake_case(tool.path.replace(".", "_")).replace("_", " ")
    said = f"{spoken}: {tool.description}" if tool.description else spoken
    properties = tool.input_schema.get("properties")
    parameters = "; ".join(_parameters(properties)) if isinstance(properties, dict) else ""
    whole = f"{said}. {parameters}" if parameters else said
    found = texts((said, whole, whole), f"{whole} {tool.original.replace('_', ' ').replace('-', ' ')}")
    digest = hashlib.sha256("\0".join((*found.views, found.words)).encode()).hexdigest()
    return _Described(f"tool {digest}", found, tool)


def _parameters(properties: Mapping[str, object]) -> Sequence[str]:
    described = (
        (str(name).replace("_", " "), schema.get("description") if isinstance(schema, dict) else None)
        for name, schema in properties.items()
    )
    return [f"{name}: {said}" if isinstance(said, str) and said else name for name, said in described]
