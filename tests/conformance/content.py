"""Tools whose answers are not an envelope: images, audio, resources; and schemas and headers as the suite wants them."""

from __future__ import annotations

from typing import Any, Final

import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp_types.jsonrpc import MISSING_REQUIRED_CLIENT_CAPABILITY

from repertoire.surfaces.mcp.sdk_adapter import Context

from .fixture import PIXEL, Tool, ToolAnswer, ToolHandler, text

_SILENCE: Final = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA=="
"""A WAV file of one sample, in base64."""
_IMAGE: Final = types.ImageContent(type="image", data=PIXEL, mime_type="image/png")
_AUDIO: Final = types.AudioContent(type="audio", data=_SILENCE, mime_type="audio/wav")

SCHEMA_2020_12: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
_HEADER: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    "required": ["region"],
}


def _resource(uri: str, mime: str, words: str) -> types.EmbeddedResource:
    contents = types.TextResourceContents(uri=uri, mime_type=mime, text=words)
    return types.EmbeddedResource(type="resource", resource=contents)


def _always(*content: types.ContentBlock) -> ToolHandler:
    async def call(*_: object) -> ToolAnswer:
        return types.CallToolResult(content=list(content))

    return call


async def _echo(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
    return text(f"Arguments: {params.arguments}")


async def _needs_sampling(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
    needed = types.ClientCapabilities(sampling=types.SamplingCapability())
    if ctx.session.check_client_capability(needed):
        return text("The client can sample.")
    data = types.MissingRequiredClientCapabilityErrorData(required_capabilities=needed)
    raise MCPError(
        code=MISSING_REQUIRED_CLIENT_CAPABILITY,
        message="This tool needs the client's `sampling`.",
        data=data.model_dump(by_alias=True, exclude_none=True),
    )


_EMBEDDED: Final = _resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")
_MIXED: Final = (
    types.TextContent(type="text", text="Multiple content types test:"),
    _IMAGE,
    _resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
)
TOOLS: Final = [
    Tool("test_image_content", "An image.", _always(_IMAGE)),
    Tool("test_audio_content", "A sound.", _always(_AUDIO)),
    Tool("test_embedded_resource", "An embedded resource.", _always(_EMBEDDED)),
    Tool("test_multiple_content_types", "Text, an image and a resource.", _always(*_MIXED)),
    Tool("json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features", _echo, SCHEMA_2020_12),
    Tool("test_x_mcp_header", "A tool with an argument that is also a header.", _echo, _HEADER),
    Tool("test_missing_capability", "A tool that needs sampling.", _needs_sampling),
]
