"""The upstream server of `codemode`: one tool that describes a repository as code hosts do, on the SDK's lowlevel Server."""

from __future__ import annotations

import sys
from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

_PARTS = ("forks", "keys", "teams", "hooks", "events", "branches", "tags", "commits", "issues", "labels", "releases")
TOOL = types.Tool(
    name="get_repository",
    description="Get a repository: its description, owner, language, stars, forks and links.",
    input_schema={
        "type": "object",
        "properties": {"name": {"type": "string", "description": "Name of the repository."}},
        "required": ["name"],
        "additionalProperties": False,
    },
    output_schema={"type": "object"},
)


def repository(name: str) -> dict[str, Any]:
    number = int(name.rpartition("-")[2])
    url = f"https://api.forge.example/repos/ada/{name}"
    return {
        "id": 100_000 + number,
        "name": name,
        "full_name": f"ada/{name}",
        "description": f"The {number + 1}th of ten repositories that a benchmark asks for",
        "owner": {"login": "ada", "id": 7, "type": "User", "url": "https://api.forge.example/users/ada"},
        "stargazers_count": 110 * number + 20,
        "forks_count": number,
        "open_issues_count": 3 * number,
        "language": "Python",
        "license": {"key": "mit", "name": "MIT License"},
        "created_at": "2024-02-03T04:05:06Z",
        "updated_at": "2026-10-11T12:13:14Z",
        "topics": ["example", "benchmark", "repository"],
        **{f"{part}_url": f"{url}/{part}" for part in _PARTS},
    }


async def _list(ctx: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[TOOL])


async def _call(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    found = repository((params.arguments or {})["name"])
    return types.CallToolResult(content=[types.TextContent(type="text", text=found["name"])], structured_content=found)


async def main() -> None:
    server = Server("forge", on_list_tools=_list, on_call_tool=_call)
    async with stdio_server() as (requests, answers):
        await server.run(requests, answers, server.create_initialization_options())


if __name__ == "__main__":
    sys.exit(anyio.run(main))
