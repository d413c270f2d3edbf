"""Upstream server: a real MCP server on the SDK's lowlevel Server, with a tool for each thing that servers do; run as a script over stdio.

Words of the command line: `slow=SECONDS` before it starts, `deaf` to end of input and SIGTERM, `http=PORT` for HTTP at /mcp, where `json`
answers without a stream and `key=KEY` refuses requests that do not have it.
"""

from __future__ import annotations

import base64
import os
import signal
import sys
import time
from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ToolsListChanged
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

BUS = InMemorySubscriptionBus()
PIXEL = base64.b64encode(b"\x89PNG pixel").decode()
ANY = {"type": "object"}
FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def _tool(name: str, schema: dict[str, Any] | None = None, **more: Any) -> types.Tool:
    return types.Tool(name=name, description=f"The tool {name}.", input_schema=schema or ANY, **more)


def _output(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


TOOLS = [
    _tool(
        "add",
        output_schema=_output({"sum": {"type": "number"}}),
        annotations=types.ToolAnnotations(read_only_hint=True),
    ),
    _tool("wrapped", output_schema=_output({"result": {"type": "array", "items": {"type": "integer"}}})),
    _tool("echo"),
    _tool("picture"),
    _tool("mixed"),
    _tool("nothing"),
    _tool("fails"),
    _tool("raises"),
    _tool("sleep"),
    _tool("hang"),
    _tool("die"),
    _tool("flood"),
    _tool("big"),
    _tool("change"),
    _tool("ask"),
    _tool("pid"),
    _tool("delete-all", annotations=types.ToolAnnotations(destructive_hint=True)),
    _tool("get-x"),
    _tool("get_x"),
    _tool("class"),
    _tool("pay", {"type": "object", "properties": {"idempotency_key": {"type": "string"}}}),
]


async def _list(ctx: Any, params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=TOOLS)


async def _call(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult | types.InputRequiredResult:
    given = params.arguments or {}
    if params.name not in {tool.name for tool in TOOLS}:
        raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name}")
    match params.name:
        case "add":
            total = given["a"] + given["b"]
            return _result(_text(f"it is {total}"), structured_content={"sum": total})
        case "wrapped":
            return _result(_text("[1, 2]"), structured_content={"result": [1, 2]})
        case "echo" | "get-x" | "get_x" | "class" | "later" | "delete-all" | "pay":
            return _result(_text(f"{params.name} {given}"))
        case "picture":
            return _result(types.ImageContent(data=PIXEL, mime_type="image/png"))
        case "mixed":
            text = types.TextResourceContents(uri="test://text", text="of a resource", mime_type="text/plain")
            link = types.ResourceLink(name="there", uri="test://there")
            return _result(
                _text("first"),
                types.EmbeddedResource(resource=text),
                types.AudioContent(data=PIXEL, mime_type="audio/wav"),
                link,
            )
        case "nothing":
            return _result()
        case "fails":
            return types.CallToolResult(content=[_text("no such issue: 7")], is_error=True)
        case "raises":
            raise RuntimeError("a bug")
        case "sleep":
            await ctx.session.report_progress(1, 2, "half")
            await anyio.sleep(given["seconds"])
            return _result(_text("slept"))
        case "hang":
            time.sleep(600)
        case "die":
            os._exit(3)
        case "flood":
            for number in range(given["times"]):
                await ctx.session.report_progress(number + 1, given["times"], f"step {number + 1}")
            return _result(_text("flooded"))
        case "big":
            return _result(_text("x" * given["size"]))
        case "change":
            TOOLS.append(_tool("later"))
            TOOLS[:] = [tool for tool in TOOLS if tool.name != "echo"]
            await (BUS.publish(ToolsListChanged()) if is_modern(ctx) else ctx.session.send_tool_list_changed())
            return _result(_text("changed"))
        case "ask" if is_modern(ctx) and params.input_responses is None:
            form = types.ElicitRequestFormParams(message=given.get("message", "Your name?"), requested_schema=FORM)
            return types.InputRequiredResult(input_requests={"q": types.ElicitRequest(params=form)}, request_state="s")
        case "ask" if is_modern(ctx):
            given_answers: Any = params.input_responses
            answer = given_answers["q"]
            return _result(_text(f"{answer.action} {answer.content} {params.request_state}"))
        case "ask":
            await anyio.sleep(given.get("after", 0))
            answer = await ctx.session.elicit_form(given.get("message", "Your name?"), FORM)
            return _result(_text(f"{answer.action} {answer.content}"))
        case "pid":
            return _result(_text(str(os.getpid())))
    raise AssertionError(params.name)


def is_modern(ctx: Any) -> bool:
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def _text(text: str) -> types.TextContent:
    return types.TextContent(text=text)


def _result(*content: types.ContentBlock, **more: Any) -> types.CallToolResult:
    return types.CallToolResult(content=list(content), **more)


def build_server() -> Server[Any]:
    return Server("upstream", on_list_tools=_list, on_call_tool=_call, on_subscriptions_listen=ListenHandler(BUS))


async def main() -> None:
    server = build_server()
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options(NotificationOptions(tools_changed=True)))


def serve_http(port: int, key: str, json: bool) -> None:
    import uvicorn
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response

    app = build_server().streamable_http_app(json_response=json)

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and key and Request(scope).headers.get("x-key") != key:
            response: Response = PlainTextResponse("who are you?", status_code=401)
            await response(scope, receive, send)
        else:
            await app(scope, receive, send)

    uvicorn.run(guarded, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    print("a line on stderr", file=sys.stderr, flush=True)
    words = dict(word.partition("=")[::2] for word in sys.argv[1:])
    time.sleep(float(words.get("slow", 0)))
    if "http" in words:
        serve_http(int(words["http"]), words.get("key", ""), "json" in words)
        sys.exit()
    anyio.run(main)
    if "deaf" in words:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
