# /// script
# requires-python = ">=3.11"
# dependencies = ["mcp>=2.3,<3"]
# ///
"""Repertoire from the client of the MCP Python SDK: find a workflow by what it does, create it where there is none, run it.

    uv run clients/agents/mcp_sdk.py "the cat and the dog and the bird"

It starts `repertoire serve`, found on the PATH; REPERTOIRE_HOME says where its data lives. Set REPERTOIRE_URL
(http://127.0.0.1:8080/mcp) to use a server that is there already.
"""

import asyncio
import json
import os
import sys
from typing import Any

from mcp import Client, StdioServerParameters

WORD_COUNT = '''"""Count how often each word occurs in a text."""

from collections import Counter


def run(text: str, most: int = 3) -> dict[str, int]:
    """Count how often each word occurs in a text.

    Args:
        text: Any text.
        most: How many words to give, the most frequent first.
    """
    return dict(Counter(text.lower().split()).most_common(most))
'''


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    answer = await client.call_tool(tool, arguments)
    if answer.is_error:
        raise RuntimeError(f"{tool}: {answer.structured_content}")
    return answer.structured_content


async def main(text: str) -> None:
    url = os.environ.get("REPERTOIRE_URL")
    stdio = StdioServerParameters(command="repertoire", args=["serve", "--session", "mcp-sdk"], env=dict(os.environ))
    async with Client(url or stdio) as client:
        found = await call(client, "search_workflows", query="how often does each word occur in a text")
        names = [match["name"] for match in found["matches"]]
        if "word_count" not in names:
            created = await call(client, "create_workflow", name="word_count", source=WORD_COUNT)
            print("created", created["name"], created["version"])
        run = await call(client, "run_workflow", name="word_count", arguments={"text": text})
        while run["status"] == "working":  # a run of more than 45 s goes on without the call
            run = await call(client, "get_run", run_id=run["run_id"], wait_s=30)
        print(run["run_id"], json.dumps(run["result"]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "the cat and the dog and the bird"))
