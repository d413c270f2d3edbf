"""The yardstick: an echo tool on the SDK's lowlevel Server. Run as a file: `bare.py stdio|http [TOOLS]`.

TOOLS is how many copies of echo to list, or a JSON file with the tools themselves, as tools/list gave them.

It does nothing else. Over HTTP it says its port on stdout.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "Any text."},
        "times": {"type": "integer", "description": "How often to repeat it.", "default": 1},
    },
    "required": ["text"],
}
OUTPUT: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}


def echoes(count: int) -> list[types.Tool]:
    names = ["echo", *(f"echo_{n:05d}" for n in range(1, count))]
    return [
        types.Tool(
            name=name,
            description="Give the text back, repeated as often as asked.",
            input_schema=INPUT,
            output_schema=OUTPUT,
        )
        for name in names
    ]


def read_tools(path: str) -> list[types.Tool]:
    return [types.Tool.model_validate(tool) for tool in json.loads(Path(path).read_text())]


def build(tools: list[types.Tool]) -> Server[Any]:
    async def list_tools(ctx: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools)

    async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        arguments = params.arguments or {}
        text = arguments["text"] * arguments.get("times", 1)
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], structured_content={"text": text}
        )

    return Server("bare", on_list_tools=list_tools, on_call_tool=call_tool, get_tool_input_schema=lambda name: INPUT)


async def serve_stdio(server: Server[Any]) -> None:
    async with stdio_server() as (requests, answers):
        await server.run(requests, answers, server.create_initialization_options())


def serve_http(server: Server[Any]) -> None:
    import uvicorn

    # asyncio turns Nagle's delay off only where the protocol is named, as it is when uvicorn opens the port itself
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    sock.listen(2048)
    sys.stdout.write(f"http://127.0.0.1:{sock.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(server.streamable_http_app(), log_level="error", access_log=False, timeout_keep_alive=75)
    uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    wanted = sys.argv[2] if len(sys.argv) > 2 else "1"
    bare = build(echoes(int(wanted)) if wanted.isdigit() else read_tools(wanted))
    if sys.argv[1] == "http":
        serve_http(bare)
    else:
        anyio.run(serve_stdio, bare)
