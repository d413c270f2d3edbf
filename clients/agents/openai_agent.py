# /// script
# requires-python = ">=3.11"
# dependencies = ["openai-agents>=0.24,<0.25"]
# ///
"""An agent of the OpenAI Agents SDK that keeps its Python in Repertoire.

    export OPENAI_API_KEY=...
    uv run clients/agents/openai_agent.py "Which words are the most frequent in: the cat and the dog and the bird"

OPENAI_BASE_URL and OPENAI_MODEL choose another server and model; it must speak the Responses API and call tools.

It starts `repertoire serve`, found on the PATH; REPERTOIRE_HOME says where its data lives. Set REPERTOIRE_URL
(http://127.0.0.1:8080/mcp) to use a server that is there already.
"""

import asyncio
import os
import sys

from agents import Agent, Runner
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")
PATIENCE_S = 60  # the SDK gives up after 5 s; Repertoire answers every call within 45 s
INSTRUCTIONS = """Before you write code for a task, call search_workflows: a workflow may exist. If none fits and the task will come
again, write one with create_workflow and run it in the same turn. With status "working" a run goes on: call get_run."""


def server() -> MCPServerStdio | MCPServerStreamableHttp:
    if url := os.environ.get("REPERTOIRE_URL"):
        return MCPServerStreamableHttp({"url": url}, client_session_timeout_seconds=PATIENCE_S)
    stdio = {"command": "repertoire", "args": ["serve", "--session", "openai-agents"], "env": dict(os.environ)}
    return MCPServerStdio(stdio, client_session_timeout_seconds=PATIENCE_S)


async def main(task: str) -> None:
    async with server() as repertoire:  # its tools are listed anew for each turn, a workflow created meanwhile included
        agent = Agent(name="assistant", model=MODEL, instructions=INSTRUCTIONS, mcp_servers=[repertoire])
        answer = await Runner.run(agent, task)
    print(answer.final_output)


if __name__ == "__main__":
    asyncio.run(
        main(" ".join(sys.argv[1:]) or "Which words are the most frequent in: the cat and the dog and the bird")
    )
