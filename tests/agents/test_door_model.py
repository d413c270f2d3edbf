"""DoorModel: requests of agents in runs, through the door `model`, to a scripted provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from support.model_server import ModelServer, Reply, call, model_server, structured
from support.services import opened, run

PLAIN = '''
from pydantic import BaseModel
from pydantic_ai import Agent
from repertoire.agents.door_model import DoorModel

class Sum(BaseModel):
    total: int

async def run(prompt: str, model: str | None = None, shape: bool = False) -> dict:
    """Asks a model."""
    agent = Agent(DoorModel(model), output_type=Sum if shape else str, instructions="Be brief.")

    @agent.tool_plain
    def add(a: int, b: int) -> int:
        return a + b

    end = await agent.run(prompt)
    return {"output": end.output.total if shape else end.output, "requests": end.usage.requests, "tokens": end.usage.total_tokens}
'''


async def asked(app: App, server: ModelServer, **arguments: Any) -> dict[str, Any]:
    return await run(app, Caller(provider_env=server.environ()), "asker", **arguments)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "workflows"
    folder.mkdir(parents=True)
    (folder / "asker.py").write_text(PLAIN)
    return tmp_path / "home"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "model", ["openai:gpt-4o-mini", "anthropic/claude-haiku-4-5", "groq:llama-3.3-70b-versatile", None]
)
async def test_a_plain_request_is_answered(home: Path, model: str | None) -> None:
    with model_server(["It is blue."]) as server:
        async with opened(home) as app:
            ended = await asked(app, server, prompt="Which colour?", model=model)
    assert ended["result"] == {"output": "It is blue.", "requests": 1, "tokens": 15}
    assert [(one.prompt, one.system) for one in server.asked] == [("Which colour?", "Be brief.")]


@pytest.mark.anyio
async def test_tools_and_structured_output(home: Path) -> None:
    with model_server([call("add", a=1, b=2), structured(total=3)]) as server:
        async with opened(home) as app:
            ended = await asked(app, server, prompt="1 + 2?", model="openai:gpt-4o-mini", shape=True)
    assert ended["result"] == {"output": 3, "requests": 2, "tokens": 30}, ended
    assert server.asked[1].results == ("3",)


@pytest.mark.anyio
async def test_no_key_ends_the_run_with_what_to_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with opened(home) as app:
        ended = await run(app, Caller(), "asker", prompt="?", model="openai:gpt-4o-mini")
    assert ended["error"]["code"] == "no_model"
    assert "OPENAI_API_KEY" in ended["error"]["hint"]


STREAMED = '''
from pydantic_ai import Agent
from repertoire.agents.door_model import DoorModel

async def run(prompt: str) -> list[str]:
    """Streams a model's text."""
    said = []
    async with Agent(DoorModel("openai:gpt-4o-mini")).run_stream(prompt) as stream:
        async for piece in stream.stream_text(delta=True, debounce_by=None):
            said.append(piece)
    return said
'''


@pytest.mark.anyio
async def test_text_is_streamed_to_the_body_and_to_the_watchers(home: Path) -> None:
    (home / "workflows" / "streamer.py").write_text(STREAMED)
    text = "All that glitters is not gold."
    with model_server([Reply(text, pieces=5, pause_s=0.15)]) as server:
        async with opened(home) as app:
            ended = await run(app, Caller(provider_env=server.environ()), "streamer", prompt="Say it.")
            events = await app.store.events(ended["run_id"], 0, 1000)
    assert ended["result"] == Reply(text, pieces=5).parts(), ended
    told = [one.data for one in events if one.type == "text"]
    assert "".join(one["text"] for one in told) == text
    assert len(told) > 1
    assert {(one["call"], one["attempt"]) for one in told} == {(told[0]["call"], 1)}
