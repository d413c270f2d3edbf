# /// script
# requires-python = ">=3.11"
# dependencies = ["pydantic-ai-slim[mcp,openai]>=2.68,<3"]
# ///
"""A pydantic-ai agent that keeps its Python in Repertoire.

    export OPENAI_API_KEY=...
    uv run clients/agents/pydantic_ai_agent.py "Which words are the most frequent in: the cat and the dog and the bird"

OPENAI_BASE_URL and OPENAI_MODEL choose another server and model; any that speaks chat completions and calls tools will do.

It starts `repertoire serve`, found on the PATH; REPERTOIRE_HOME says where its data lives. Set REPERTOIRE_URL
(http://127.0.0.1:8080/mcp) to use a server that is there already.
"""

import asyncio
import os
import sys

from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")


async def main(task: str) -> None:
    url = os.environ.get("REPERTOIRE_URL")
    stdio = StdioTransport("repertoire", ["serve", "--session", "pydantic-ai"], env=dict(os.environ), keep_alive=False)
    repertoire = MCPToolset(
        url or stdio,
        id="repertoire",
        init_timeout=60,  # seconds; the first start of all loads Python and the registry, and the default is 5
        include_instructions=True,  # the server says itself when to search, to create and to run
        cache_tools=False,  # a workflow that the agent creates is among its tools from the next turn on
        tool_error_behavior="failed",  # the model reads what to correct as often as it takes; "retry" gives up at the second error
    )
    agent = Agent(f"openai-chat:{MODEL}", toolsets=[repertoire])
    async with agent:
        answer = await agent.run(task)
    print(answer.output)


if __name__ == "__main__":
    asyncio.run(
        main(" ".join(sys.argv[1:]) or "Which words are the most frequent in: the cat and the dog and the bird")
    )
