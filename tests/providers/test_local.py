"""Agents in a plain script: the request is made in the script's own process, with the keys of its environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.model_server import Reply, error, model_server
from support.shells import Shell

SCRIPT = """
import asyncio, sys
from pydantic_ai import Agent
from repertoire.agents.door_model import DoorModel

async def main():
    agent = Agent(DoorModel(sys.argv[1] or None))
    print((await agent.run("Hello?")).output)
    async with agent.run_stream("Say it.") as stream:
        print([piece async for piece in stream.stream_text(delta=True, debounce_by=None)])

for _ in range(2):  # each in a loop of its own
    asyncio.run(main())
"""
ASKER = """
from pydantic_ai import Agent
from repertoire.agents.door_model import DoorModel

async def run(prompt: str) -> str:
    \"\"\"Asks a model.\"\"\"
    return (await Agent(DoorModel("mine")).run(prompt)).output
"""


def script(model: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_BASE_URL"))}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, model], capture_output=True, text=True, timeout=90, env={**own, **environ}
    )


def test_a_script_asks_and_streams() -> None:
    streamed = Reply("One two three.", pieces=3)
    with model_server(["Hello.", streamed, "Hello.", streamed]) as server:
        done = script("openai:gpt-4o-mini", server.environ("openai"))
    assert done.stdout.splitlines() == ["Hello.", str(streamed.parts())] * 2, done.stderr


@pytest.mark.parametrize(
    ("model", "says"), [("groq:llama", "GROQ_API_KEY"), ("client", "no client"), ("", "no client")]
)
def test_a_model_that_cannot_be_asked_says_why(model: str, says: str) -> None:
    done = script(model, {})
    assert done.returncode == 1
    assert "CallError" in done.stderr
    assert says in done.stderr


def test_debug_asks_with_the_settings_aliases(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "workflows").mkdir(parents=True)
    home.chmod(0o700)
    (home / "workflows" / "asker.py").write_text(ASKER)
    (home / "repertoire.toml").write_text('[model_aliases]\nmine = "openai:gpt-4o-mini"\n')
    shell = Shell(home)
    with model_server(["Hello.", error(400, "not this one")]) as server:
        shell.environ |= server.environ("openai")
        assert '"Hello."' in shell.ok("debug", "asker", "prompt=Hello?")
        failed = shell("debug", "asker", "prompt=Hello?")
    assert "not this one" in failed.stderr
    shell("stop", "--force")
