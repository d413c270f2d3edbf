# /// script
# requires-python = ">=3.11"
# dependencies = ["langchain>=1.4.7,<2", "langchain-mcp-adapters>=0.3.2,<0.4", "langchain-openai>=1.7.3,<2"]
# ///
"""A LangChain agent that keeps its Python in Repertoire.

    export OPENAI_API_KEY=...
    uv run clients/agents/langchain_agent.py "Which words are the most frequent in: the cat and the dog and the bird"

OPENAI_BASE_URL and OPENAI_MODEL choose another server and model; any that speaks chat completions and calls tools will do.

It starts `repertoire serve`, found on the PATH; REPERTOIRE_HOME says where its data lives. Set REPERTOIRE_URL
(http://127.0.0.1:8080/mcp) to use a server that is there already.
"""

import asyncio
import os
import sys

from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from langchain_openai import ChatOpenAI

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")
STDIO = {
    "transport": "stdio",
    "command": "repertoire",
    "args": ["serve", "--session", "langchain"],
    "env": dict(os.environ),
}


async def main(task: str) -> None:
    url = os.environ.get("REPERTOIRE_URL")
    client = MultiServerMCPClient({"repertoire": {"transport": "http", "url": url} if url else STDIO})
    # One session for all calls: without it the adapters connect anew for each.
    async with client.session("repertoire", auto_initialize=False) as session:
        greeting = await session.initialize()
        # The server says itself when to search, to create and to run. LangChain lists the tools once, so a workflow that the
        # agent creates is run with run_workflow; the next agent has it as a tool of its own.
        tools = await load_mcp_tools(session)
        agent = create_agent(ChatOpenAI(model=MODEL), tools, system_prompt=greeting.instructions)
        answer = await agent.ainvoke({"messages": [{"role": "user", "content": task}]})
    print(answer["messages"][-1].text)


if __name__ == "__main__":
    asyncio.run(
        main(" ".join(sys.argv[1:]) or "Which words are the most frequent in: the cat and the dog and the bird")
    )
