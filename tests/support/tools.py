"""Calls of tool sources without a run: a ToolContext that records what the source says, and `call_tool`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from repertoire.upstream.tool import Source, Tool, ToolContext


def context(env: Mapping[str, str] | None = None) -> ToolContext:
    async def ask(question: str, schema: dict[str, Any]) -> Any:
        raise AssertionError(f"the source asks: {question}")

    return ToolContext("key-1", lambda done, total, message: None, ask, env or {})


async def tool_of(source: Source, name: str) -> Tool:
    found = [tool for tool in await source.list_tools() if tool.name == name]
    assert found, f"{source.name} has no {name}"
    return found[0]


async def call_tool(source: Source, name: str, /, *, env: Mapping[str, str] | None = None, **arguments: Any) -> Any:
    """The answer. The arguments are checked first, as the door does it."""
    tool = await tool_of(source, name)
    Draft202012Validator(tool.input_schema).validate(arguments)
    return await source.call(tool, arguments, context(env))
