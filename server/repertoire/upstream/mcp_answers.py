"""MCP answers: makes values of a tool's result, and Tools of a server's list; used by mcp_servers.py.

SDKs wrap a result that is not an object as `{"result": value}`. The wrapper is taken off, in the value and in the schema that describes it.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

import mcp_types as types

from ..text import cut, well_formed
from .config import ServerConfig
from .identifiers import RESERVED_TOOLS, unique_identifiers
from .tool import Blob, Tool, ToolFailed

_log = logging.getLogger("repertoire.tools")

_MAX_DESCRIPTION: Final = 4000
_MAX_ERROR: Final = 64_000
"""Much more than is shown: the text is masked first, and cut then."""
_MAX_TOOLS: Final = 2000
_KEY_PARAMETERS: Final = ("idempotency_key", "idempotencyKey")


class Listed(NamedTuple):
    """A server's tools, and the server's names of those whose results are wrapped."""

    tools: tuple[Tool, ...]
    wrapped: frozenset[str]


def tools_of(config: ServerConfig, listed: Iterable[types.Tool]) -> Listed:
    """The server's tools that the configuration allows. Of two with one name the first is kept."""
    by_name: dict[str, types.Tool] = {}
    for tool in listed:
        if not _matches(tool.name, config.options.tools, when_none=True):
            continue
        if tool.name in by_name:
            _log.warning(
                "the MCP server %s lists two tools called %s; the second is not used", config.original, tool.name
            )
        else:
            by_name[tool.name] = tool
    if len(by_name) > _MAX_TOOLS:
        _log.warning(
            "the MCP server %s lists %d tools; the first %d are used", config.original, len(by_name), _MAX_TOOLS
        )
    kept = list(by_name.values())[:_MAX_TOOLS]
    names = unique_identifiers((tool.name for tool in kept), RESERVED_TOOLS)
    wrapped = frozenset(tool.name for tool in kept if _unwrapped_schema(tool.output_schema) is not None)
    return Listed(tuple(_tool(config, names[tool.name], tool) for tool in kept), wrapped)


def value_of(result: types.CallToolResult, tool: Tool, is_wrapped: bool) -> Any:
    """The result as a value: structured content, else the one part, texts joined by lines, or a list of parts. Raises ToolFailed."""
    if result.is_error:
        raise ToolFailed(_error_text(result, tool))
    parts = [_part(block, tool) for block in result.content]
    if "structured_content" in result.model_fields_set and result.structured_content is not None:
        value = result.structured_content
        if is_wrapped and isinstance(value, dict) and list(value) == ["result"]:
            value = value["result"]
        blobs = [part for part in parts if isinstance(part, Blob)]
        return [value, *blobs] if blobs else value
    if not parts:
        return None
    if all(isinstance(part, str) for part in parts):
        return "\n".join(parts)
    return parts[0] if len(parts) == 1 else parts


def _tool(config: ServerConfig, name: str, tool: types.Tool) -> Tool:
    hints = tool.annotations or types.ToolAnnotations()
    only_reads = hints.read_only_hint is True
    properties = tool.input_schema.get("properties")
    key = config.options.key_parameters.get(tool.name)
    if key is None and isinstance(properties, dict):
        key = next((name for name in _KEY_PARAMETERS if name in properties), None)
    return Tool(
        source=config.name,
        name=name,
        original=tool.name,
        description=cut(well_formed(tool.description or tool.title or hints.title or ""), _MAX_DESCRIPTION, "…"),
        input_schema=tool.input_schema,
        output_schema=_unwrapped_schema(tool.output_schema) or tool.output_schema,
        only_reads=only_reads,
        # The protocol's default is "destructive" for every tool that says nothing. That is most tools, so only an explicit hint counts.
        is_destructive=(hints.destructive_hint is True and not only_reads)
        or _matches(tool.name, config.options.destructive, when_none=False),
        key_parameter=key,
    )


def _matches(name: str, patterns: tuple[str, ...] | None, *, when_none: bool) -> bool:
    return when_none if patterns is None else any(fnmatchcase(name, pattern) for pattern in patterns)


def _unwrapped_schema(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    """The schema of `result`, if the object has this one property and must have it."""
    if schema is None or schema.get("required") != ["result"]:
        return None
    properties = schema.get("properties")
    if not isinstance(properties, dict) or list(properties) != ["result"] or not isinstance(properties["result"], dict):
        return None
    definitions = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    return {**properties["result"], **definitions}


def _part(block: types.ContentBlock, tool: Tool) -> Any:
    match block:
        case types.TextContent():
            return well_formed(block.text)
        case types.ImageContent() | types.AudioContent():
            return _blob(block.data, block.mime_type, tool)
        case types.EmbeddedResource(resource=types.TextResourceContents() as resource):
            return well_formed(resource.text)
        case types.EmbeddedResource(resource=types.BlobResourceContents() as resource):
            return _blob(resource.blob, resource.mime_type or "application/octet-stream", tool)
        case _:
            return block.model_dump(by_alias=True, mode="json", exclude_none=True)


def _blob(data: str, mime_type: str, tool: Tool) -> Blob:
    try:
        return Blob(base64.b64decode(data, validate=True), mime_type)
    except (binascii.Error, ValueError) as error:
        raise ToolFailed(f"{tool.path} answered with {mime_type} that is not base64: {error}.") from error


def _error_text(result: types.CallToolResult, tool: Tool) -> str:
    texts = [block.text for block in result.content if isinstance(block, types.TextContent)]
    text = well_formed("\n".join(texts)).strip()
    return cut(text, _MAX_ERROR, "…") if text else f"{tool.path} failed and gave no reason."
