"""A source of tools in this process: it counts its calls, and does what a test wants of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from repertoire.upstream.tool import Blob, Tool, ToolContext, ToolFailed, ToolUnavailable

Answer = Callable[[dict[str, Any], ToolContext], Awaitable[Any]]

TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}


class Desk:
    """The source `desk`; or one of another name, whose only tool takes anything."""

    trouble: str | None = None

    def __init__(self, name: str = "desk", tool: str | None = None) -> None:
        self.name = name
        self.calls: list[tuple[str, dict[str, Any], str]] = []
        """Name, arguments and key of each."""
        self.failures: list[Exception] = []
        """Raised by the next calls."""
        self.answers: dict[str, Answer] = {}
        self.closed = False
        self.tools: tuple[Tool, ...] = (
            _tool("echo", "Gives the text back.", TEXT, only_reads=True),
            _tool("file", "Files a paper into the cabinet.", TEXT),
            _tool("burn", "Burns a paper, for ever.", TEXT, is_destructive=True),
            _tool(
                "book",
                "Books a table once.",
                {"type": "object", "properties": {"key": {"type": "string"}}},
                key_parameter="key",
            ),
            _tool("picture", "Draws a picture."),
            _tool("list", "Lists the papers."),
        )

        if tool is not None:
            self.tools = (_tool(tool, "Fetches an address.", {"type": "object"}, source=name),)

    async def list_tools(self) -> tuple[Tool, ...]:
        if self.trouble is not None:
            raise ToolUnavailable(self.trouble)
        return self.tools

    async def call(self, tool: Tool, arguments: dict[str, Any], context: ToolContext) -> Any:
        self.calls.append((tool.name, arguments, context.key))
        if self.failures:
            raise self.failures.pop(0)
        if tool.name in self.answers:
            return await self.answers[tool.name](arguments, context)
        if tool.name == "picture":
            return {"picture": Blob(b"\x89PNG", "image/png")}
        if arguments.get("text") == "fail":
            raise ToolFailed("The desk is on fire.", "Call somebody.")
        return {"tool": tool.name, **arguments}

    async def aclose(self) -> None:
        self.closed = True


def _tool(name: str, description: str, schema: dict[str, Any] | None = None, source: str = "desk", **more: Any) -> Tool:
    return Tool(
        source=source,
        name=name,
        original=name,
        description=description,
        input_schema=schema or {"type": "object"},
        **more,
    )
