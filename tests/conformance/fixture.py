"""What a fixture is, and how fixtures are laid over the product's handlers: whatever is not a fixture's goes on to the product."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import mcp_types as types
from mcp.server.lowlevel import Server

from repertoire.surfaces.mcp.sdk_adapter import Context

ToolAnswer = types.CallToolResult | types.InputRequiredResult
PromptAnswer = types.GetPromptResult | types.InputRequiredResult
ToolHandler = Callable[[Context, types.CallToolRequestParams], Awaitable[ToolAnswer]]
PromptHandler = Callable[[types.GetPromptRequestParams], PromptAnswer]

NOTHING: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
"""A PNG of one pixel, in base64."""


class Tool(NamedTuple):
    """A tool that the suite calls by this name."""

    name: str
    description: str
    call: ToolHandler
    input_schema: Mapping[str, Any] = NOTHING

    @property
    def listed(self) -> types.Tool:
        return types.Tool(name=self.name, description=self.description, input_schema=dict(self.input_schema))


def text(words: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=words)])


def over_tools(server: Server[Any], fixtures: list[Tool]) -> None:
    """The product's tools/list with the fixtures after its last tool; tools/call by name, the product's for every other name."""
    by_name = {fixture.name: fixture for fixture in fixtures}
    product_list, product_call = handler(server, "tools/list"), handler(server, "tools/call")
    product_schema = server.get_tool_input_schema

    async def list_tools(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        page = types.ListToolsResult.model_validate(await product_list(ctx, params))
        if page.next_cursor is None:
            page.tools += [fixture.listed for fixture in fixtures]
        return page

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
        fixture = by_name.get(params.name)
        answer: ToolAnswer = await (fixture.call if fixture else product_call)(ctx, params)
        return answer

    def input_schema(name: str) -> Mapping[str, Any] | None:
        if name in by_name:
            return by_name[name].input_schema
        return product_schema(name) if product_schema else None

    server.add_request_handler("tools/list", types.PaginatedRequestParams, list_tools)
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    server.get_tool_input_schema = input_schema


def handler(server: Server[Any], method: str) -> Callable[[Context, Any], Awaitable[Any]]:
    """The product's own handler of a method, to be asked by the one that takes its place."""
    entry = server.get_request_handler(method)
    assert entry is not None, method
    return entry.handler
