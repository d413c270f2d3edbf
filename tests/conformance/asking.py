"""Tools of 2026-07-28 that need something of their client first: they answer `input_required` until it has come (SEP-2322).

The state between the rounds is sealed by the product, as that of its own questions is.
"""

from __future__ import annotations

from typing import Any, Final

import mcp_types as types

from repertoire.surfaces.mcp.sdk_adapter import Context

from .fixture import Tool, ToolAnswer, ToolHandler, text


def form(message: str, field: str, kind: str = "string") -> types.ElicitRequest:
    schema: dict[str, Any] = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(words: str) -> types.CreateMessageRequest:
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=words))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[message], max_tokens=100))


def _asks(state: str | None = None, /, **wanted: types.InputRequest) -> ToolHandler:
    """Asks for all of `wanted` at once, and again for what is missing; with a state, it has to come back as it went out."""

    async def call(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
        given = params.input_responses or {}
        missing = {key: request for key, request in wanted.items() if key not in given}
        if missing:
            return types.InputRequiredResult(input_requests=missing, request_state=state)
        if params.request_state != state:
            return types.CallToolResult(content=[types.TextContent(type="text", text="state lost")], is_error=True)
        return text(f"state-ok, given: {', '.join(given)}")

    return call


async def _two_rounds(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
    given = params.input_responses or {}
    if params.request_state is None or ("step1" not in given and params.request_state == "1"):
        name = form("Step 1: What is your name?", "name")
        return types.InputRequiredResult(input_requests={"step1": name}, request_state="1")
    if "step2" not in given:
        color = form("Step 2: What is your favorite color?", "color")
        return types.InputRequiredResult(input_requests={"step2": color}, request_state="2")
    return text("All steps are done.")


async def _what_the_client_can(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
    can = ctx.session.client_capabilities or types.ClientCapabilities()
    wanted: dict[str, types.InputRequest] = {}
    if can.elicitation is not None:
        wanted["name"] = form("What is your name?", "name")
    if can.sampling is not None:
        wanted["greeting"] = _sample("Generate a greeting")
    return types.InputRequiredResult(input_requests=wanted) if wanted else text("The client can do nothing.")


_NAME: Final = form("What is your name?", "name")
_CONFIRM: Final = form("Please confirm", "ok", "boolean")
_ROOTS: Final = types.ListRootsRequest()
_ALL: Final = _asks("all", user_name=_NAME, greeting=_sample("Generate a greeting"), client_roots=_ROOTS)
_CAPITAL: Final = _sample("What is the capital of France?")
_PREFIX: Final = "test_input_required_result_"
TOOLS: Final = [
    Tool(f"{_PREFIX}elicitation", "Asks for a name.", _asks(user_name=_NAME)),
    Tool(f"{_PREFIX}sampling", "Asks the client's model.", _asks(capital_question=_CAPITAL)),
    Tool(f"{_PREFIX}list_roots", "Asks for the client's roots.", _asks(client_roots=_ROOTS)),
    Tool(f"{_PREFIX}request_state", "Asks, with a state.", _asks("confirming", confirm=_CONFIRM)),
    Tool(f"{_PREFIX}tampered_state", "Asks, with a sealed state.", _asks("sealed", confirm=_CONFIRM)),
    Tool(f"{_PREFIX}multiple_inputs", "Asks for three things at once.", _ALL),
    Tool(f"{_PREFIX}multi_round", "Asks twice.", _two_rounds),
    Tool(f"{_PREFIX}capabilities", "Asks for what the client can.", _what_the_client_can),
    Tool("test_streaming_elicitation", "Asks for a name.", _asks(user_name=_NAME)),
]
