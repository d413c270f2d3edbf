"""Tools of 2025-11-25 that talk to their client while they run: log messages, sampling, elicitation. The product does none of it."""

from __future__ import annotations

import json
from typing import Any, Final

import anyio
import mcp_types as types

from repertoire.surfaces.mcp.sdk_adapter import Context

from .fixture import Tool, ToolAnswer, ToolHandler, text


async def _log(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        message = types.LoggingMessageNotificationParams(level="info", data=words)
        await ctx.session.send_notification(
            types.LoggingMessageNotification(params=message), related_request_id=ctx.request_id
        )
        await anyio.sleep(0.05)  # the suite wants them apart
    return text("Tool with logging executed successfully")


async def _sample(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
    said = types.TextContent(type="text", text=str((params.arguments or {})["prompt"]))
    request = types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(
            messages=[types.SamplingMessage(role="user", content=said)], max_tokens=100
        )
    )
    answer = await ctx.session.send_request(request, types.CreateMessageResult)
    return text(f"LLM response: {getattr(answer.content, 'text', '')}")


def _elicit(properties: dict[str, Any], required: list[str]) -> ToolHandler:
    schema = {"type": "object", "properties": properties, "required": required}

    async def call(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
        message = str((params.arguments or {}).get("message", "Please fill in"))
        answer = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
        return text(f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}")

    return call


_WHO: Final = {
    "username": {"type": "string", "description": "User's response"},
    "email": {"type": "string", "description": "User's email address"},
}
_DEFAULTS: Final = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
_OPTIONS: Final = ["option1", "option2", "option3"]
_TITLED: Final = [{"const": f"value{n}", "title": f"Choice {n}"} for n in (1, 2, 3)]
_ENUMS: Final = {
    "untitledSingle": {"type": "string", "enum": _OPTIONS},
    "titledSingle": {"type": "string", "oneOf": _TITLED},
    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
    "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
}


def _one(argument: str) -> dict[str, Any]:
    return {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}


TOOLS: Final = [
    Tool("test_tool_with_logging", "Three log messages.", _log),
    Tool("test_sampling", "Asks the client's model.", _sample, _one("prompt")),
    Tool("test_elicitation", "Asks the user.", _elicit(_WHO, ["username", "email"]), _one("message")),
    Tool("test_elicitation_sep1034_defaults", "Asks the user, with defaults.", _elicit(_DEFAULTS, [])),
    Tool("test_elicitation_sep1330_enums", "Asks the user, with choices.", _elicit(_ENUMS, [])),
]
