"""Tools: lists, finds, describes and calls the tools of all sources; used by the door, the fixed tool `search_tools` and the command line.

A source that cannot be reached hides its own tools only, and is named with its reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from ..errors import BadArguments
from ..model.session import Caller
from ..names import new_question_id
from ..upstream.catalog import Catalog
from ..upstream.tool import Blob, Tool, ToolContext, ToolFailed, ToolUnavailable, UnknownTool
from .tool_calls import ToolCalls
from .tool_descriptions import item, whole
from .tool_search import ToolFinder

_MOST: Final = 100


class Tools:
    def __init__(
        self,
        catalog: Catalog,
        calls: ToolCalls,
        finder: ToolFinder,
        refresh: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`refresh` reads changed definitions now."""
        self.catalog = catalog
        self._calls = calls
        self._finder = finder
        self._refresh = refresh

    async def refresh(self) -> None:
        """Read changed definitions now. A command may follow right after its file was written, and must see it."""
        if self._refresh is not None:
            await self._refresh()

    async def list_tools(self) -> dict[str, Any]:
        """All tools by path, and the sources that do not work with the reason."""
        tools = sorted(await self.catalog.all(), key=lambda tool: tool.path)
        return {"tools": [item(tool) for tool in tools], **self._troubles()}

    async def search(self, query: str, limit: int = 5, *, wait_s: float | None = None) -> dict[str, Any]:
        """The tools that fit, best first, and how they were ranked. If none does, the nearest; or else the paths of those that there are.

        `wait_s`: how long to wait for an encoder that is starting or indexing.
        """
        limit = _limit(limit)
        tools = {tool.path: tool for tool in await self.catalog.all()}
        found = await self._finder.search(tuple(tools.values()), query, limit, wait_s=wait_s)
        answer: dict[str, Any] = {
            "tools": [item(tools[one.name]) for one in found.matches],
            "ranking": found.ranking,
        }
        if found.nearest:
            answer["nearest"] = [item(tools[one.name]) for one in found.nearest]
        elif not found.matches:
            answer["others"] = sorted(tools)[:_MOST]
        return {**answer, **({"note": found.note} if found.note else {}), **self._troubles()}

    async def describe(self, path: str) -> dict[str, Any]:
        """One tool whole; or a source with its tools. Raises UnknownTool, ToolUnavailable."""
        source = next((one for one in self.catalog.sources if one.name == path), None)
        if source is None:
            return whole((await self.catalog.find(path))[1])
        try:
            tools = await source.list_tools()
        except ToolUnavailable as error:
            return {"name": path, "tools": [], "trouble": self._calls.mask(error.message)}
        own = next((tool for tool in tools if tool.name == path), None)
        return {
            "name": path,
            **(whole(own) if own is not None else {}),
            "tools": [item(tool) for tool in tools],
            "trouble": None if source.trouble is None else self._calls.mask(source.trouble),
        }

    async def describe_verb(self, path: str) -> Any:
        """The answer of `tools.github.list()`, `tools.github.describe()` and the like. None: the path means neither."""
        of, _, verb = path.rpartition(".")
        if not of or verb not in ("list", "describe"):
            return None
        try:
            described = await self.describe(of)
        except UnknownTool:
            return None
        return described if verb == "describe" else described.get("tools")

    async def call(self, caller: Caller, path: str, arguments: dict[str, Any], tell: Callable[[Any], None]) -> str:
        """Call a tool for the operator, without a run; the answer as JSON text. `tell` gets its progress."""
        source, tool = await self.catalog.find(path)
        key = new_question_id()
        arguments = await self._calls.complete_arguments(tool, arguments, key)
        context = ToolContext(
            key, lambda done, total, message: tell([done, total, message]), _cannot_ask, dict(caller.env)
        )
        return await self._calls.call(source, tool, arguments, context, keep_blob=_size_of_blob)

    async def takes(self, path: str) -> dict[str, Any]:
        """The parameters of a tool, for the command line."""
        _, tool = await self.catalog.find(path)
        return {"name": tool.path, "input_schema": tool.input_schema}

    async def examine(self) -> list[dict[str, Any]]:
        """Each source with the number of its tools, or the reason why it does not work."""
        rows = []
        for source in self.catalog.sources:
            try:
                tools = await source.list_tools()
                trouble = source.trouble
            except ToolUnavailable as error:
                tools, trouble = (), source.trouble or " ".join(filter(None, (error.message, error.hint)))
            rows.append({"source": source.name, "tools": len(tools), "trouble": self._shown(trouble)})
        known = {row["source"] for row in rows if row["trouble"]}
        more = {name: why for name, why in self.catalog.troubles().items() if name not in known}
        return [*rows, *({"source": name, "tools": 0, "trouble": self._shown(why)} for name, why in more.items())]

    def _troubles(self) -> dict[str, Any]:
        """`unavailable`, if there is any."""
        found = [{"server": name, "why": self._calls.mask(why)} for name, why in self.catalog.troubles().items()]
        return {"unavailable": found} if found else {}

    def _shown(self, trouble: str | None) -> str | None:
        return None if trouble is None else self._calls.mask(trouble)


async def _cannot_ask(question: str, schema: dict[str, Any]) -> Any:
    raise ToolFailed(f"It asks: {question}", "Call it from a workflow: a run can ask.")


async def _size_of_blob(tool: Tool, blob: Blob) -> dict[str, Any]:
    return {"mime_type": blob.mime_type, "bytes": len(blob.data)}


def _limit(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
        raise BadArguments(f"`limit` is a number from 1 to {_MOST}.")
    return value
