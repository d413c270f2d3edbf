"""The door `model`: plain requests, tools, structured output, streams, budgets, and what happens when the provider, its key or its name is
wrong."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from support.model_server import (
    KEY,
    RATE_LIMIT,
    ModelServer,
    Reply,
    Script,
    call,
    error,
    html,
    model_server,
    structured,
)
from support.services import opened, run

ASKER = '''
def agent(model):
    from pydantic_ai import Agent
    from repertoire.agents.door_model import DoorModel

    made = Agent(DoorModel(model), instructions="Be brief.")

    @made.tool_plain
    def again() -> str:
        return "once more"

    return made

async def run(prompt: str = "Hello?", model: str = "openai:gpt-4o-mini") -> dict:
    """Asks a model, and swallows what goes wrong."""
    try:
        end = await agent(model).run(prompt)
    except Exception as error:
        return {"error": type(error).__name__, "code": getattr(error, "code", None), "message": str(error)}
    return {"output": end.output}
'''
STREAMER = '''
async def run(model: str = "openai:gpt-4o-mini") -> list[str]:
    """Streams a text."""
    from pydantic_ai import Agent
    from repertoire.agents.door_model import DoorModel

    said = []
    async with Agent(DoorModel(model)).run_stream("Say it.") as stream:
        async for piece in stream.stream_text(delta=True, debounce_by=None):
            said.append(piece)
    return said
'''
SUMS = '''
from pydantic import BaseModel

class Sum(BaseModel):
    total: int

async def run(prompt: str, model: str | None = None, shape: bool = False) -> dict:
    """Asks a model."""
    from pydantic_ai import Agent
    from repertoire.agents.door_model import DoorModel

    agent = Agent(DoorModel(model), output_type=Sum if shape else str, instructions="Be brief.")

    @agent.tool_plain
    def add(a: int, b: int) -> int:
        return a + b

    end = await agent.run(prompt)
    return {"output": end.output.total if shape else end.output, "requests": end.usage.requests, "tokens": end.usage.total_tokens}
'''
LIMITED = ASKER + '\n__workflow__ = {"budget": {"requests": 2}}\n'
THRIFTY = ASKER + '\n__workflow__ = {"budget": {"tokens": 20}}\n'
LOOKER = '''
import os

async def run() -> list[str]:
    """Looks for keys."""
    return sorted(name for name in os.environ if name.endswith(("_API_KEY", "_BASE_URL")))
'''
FILES = {"sums": SUMS, "looker": LOOKER, "asker": ASKER, "streamer": STREAMER, "limited": LIMITED, "thrifty": THRIFTY}


class House(NamedTuple):
    app: App
    server: ModelServer

    async def run(self, script: Script, name: str = "asker", key: str = KEY, **arguments: Any) -> dict[str, Any]:
        self.server.script = script
        self.server.asked.clear()
        return await run(self.app, Caller(provider_env=self.server.environ(key=key)), name, **arguments)

    async def events(self, ended: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        return [(one.type, one.data) for one in await self.app.store.events(ended["run_id"], 0, 1000)]


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    home = tmp_path_factory.mktemp("models") / "home"
    (home / "workflows").mkdir(parents=True)
    for name, source in FILES.items():
        (home / "workflows" / f"{name}.py").write_text(source)
    with model_server(["Hello."]) as server:
        async with opened(home, None, model_timeout_s="8", workers="1", ready_workflows="false") as app:
            yield House(app, server)


pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "model", ["openai:gpt-4o-mini", "anthropic/claude-haiku-4-5", "groq:llama-3.3-70b-versatile", None]
)
async def test_a_plain_request_is_answered(house: House, model: str | None) -> None:
    ended = await house.run(["It is blue."], "sums", prompt="Which colour?", model=model)
    assert ended["result"] == {"output": "It is blue.", "requests": 1, "tokens": 15}
    assert [(one.prompt, one.system) for one in house.server.asked] == [("Which colour?", "Be brief.")]


async def test_tools_and_structured_output(house: House) -> None:
    script: Script = [call("add", a=1, b=2), structured(total=3)]
    ended = await house.run(script, "sums", prompt="1 + 2?", model="openai:gpt-4o-mini", shape=True)
    assert ended["result"] == {"output": 3, "requests": 2, "tokens": 30}, ended
    assert house.server.asked[1].results == ("3",)


async def test_text_is_streamed_to_the_body_and_to_the_watchers(house: House) -> None:
    reply = Reply("All that glitters is not gold.", pieces=5, pause_s=0.15)
    ended = await house.run([reply], "streamer")
    assert ended["result"] == reply.parts()
    told = [data for kind, data in await house.events(ended) if kind == "text"]
    assert "".join(one["text"] for one in told) == reply.text
    assert len(told) > 1
    assert {(one["call"], one["attempt"]) for one in told} == {(told[0]["call"], 1)}


@pytest.mark.parametrize(
    "first",
    [RATE_LIMIT, error(429, retry_after="0"), error(500), error(503), html(502)],
    ids=lambda one: str(one.status),
)
async def test_a_failure_that_passes_is_asked_again(house: House, first: Reply) -> None:
    ended = await house.run([first, "At last."])
    assert ended["result"] == {"output": "At last."}
    assert len(house.server.asked) == 2


async def test_retry_after_is_waited_for(house: House) -> None:
    began = time.monotonic()
    ended = await house.run([error(429, retry_after="1"), "At last."])
    assert ended["result"] == {"output": "At last."}
    assert time.monotonic() - began >= 1


async def test_a_longer_wait_than_the_time_limit_fails_at_once(house: House) -> None:
    ended = await house.run([error(429, "in a minute", retry_after="60")])
    assert ended["result"]["code"] == "model_failed"
    assert "in a minute" in ended["result"]["message"]
    assert len(house.server.asked) == 1


async def test_a_provider_that_hangs_is_given_up(house: House) -> None:
    ended = await house.run([Reply("late", hang_s=60)])
    assert ended["result"]["code"] == "model_failed"
    assert "within 8 s" in ended["result"]["message"]


@pytest.mark.parametrize("answer", [html(200), error(400, "bad request"), error(404, "no such model")])
async def test_an_answer_that_stays_wrong_is_asked_once(house: House, answer: Reply) -> None:
    ended = await house.run([answer])
    assert ended["result"]["code"] == "model_failed", ended
    assert "openai:gpt-4o-mini" in ended["result"]["message"]
    assert len(house.server.asked) == 1


async def test_a_wrong_key_ends_the_run_and_is_shown_nowhere(house: House) -> None:
    ended = await house.run(["never"], key="sk-wrong-key-1234567890")
    assert ended["status"] == "failed"
    assert ended["error"]["code"] == "no_model"
    assert "OPENAI_API_KEY" in ended["error"]["hint"]
    assert "sk-wrong" not in json.dumps([ended, await house.events(ended)])


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("nonsense", "names no model whose provider is known"),
        ("made-up:model", "the providers are openai, anthropic"),
        ("deepseek:chat", "there is no key of DeepSeek"),
    ],
)
async def test_a_model_that_cannot_be_asked_ends_the_run_although_the_body_swallows_errors(
    house: House, model: str, says: str
) -> None:
    ended = await house.run(["never"], model=model)
    assert ended["status"] == "failed"
    assert ended["error"]["code"] == "no_model"
    assert says in ended["error"]["message"]


async def test_nobody_listens(house: House) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    caller = Caller(provider_env={"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": address})
    ended = await run(house.app, caller, "asker")
    assert ended["result"]["code"] == "model_failed"


async def test_long_and_strange_texts_arrive_as_they_are(house: House) -> None:
    prompt = "\N{SLIGHTLY SMILING FACE} é " * 25_000
    ended = await house.run([lambda asked: str(len(asked.prompt))], prompt=prompt)
    assert ended["result"] == {"output": str(len(prompt))}
    ended = await house.run([lambda asked: asked.prompt + "\ud83d"], prompt="half \ud83d of a character")
    assert ended["result"] == {"output": "half \ufffd of a character\ufffd"}


async def test_the_budget_of_requests_ends_an_endless_tool_loop(house: House) -> None:
    ended = await house.run([call("again")], "limited")
    assert ended["error"]["code"] == "over_budget"
    assert "it would be model request 3; its budget is requests = 2" in ended["error"]["message"]
    assert len(house.server.asked) == 2


async def test_the_budget_of_tokens_counts_what_the_provider_says(house: House) -> None:
    ended = await house.run([call("again")], "thrifty")
    assert ended["error"]["code"] == "over_budget"
    assert "30 model tokens; its budget is tokens = 20" in ended["error"]["message"]


async def test_usage_and_cost_of_a_run_are_shown(house: House) -> None:
    ended = await house.run([call("again"), "Done."])
    shown = await house.app.service.runs.get(Caller(), ended["run_id"])
    assert shown["usage"]["model_requests"] == 2
    assert (shown["usage"]["input_tokens"], shown["usage"]["output_tokens"]) == (20, 10)
    assert 0 < shown["usage"]["cost_usd"] < 0.001


async def test_a_stream_that_is_cut_goes_on_where_the_text_is_the_same(house: House) -> None:
    whole = Reply("One two three four five six.", pieces=6, pause_s=0.12)
    ended = await house.run([Reply(whole.text, pieces=6, pause_s=0.12, cut_after=3), whole], "streamer")
    assert "".join(ended["result"]) == whole.text
    assert not ended.get("resumed")
    assert watched_text(await house.events(ended)) == whole.text
    assert [kind for kind, _ in await house.events(ended)].count("stream_reset") == 1


async def test_a_stream_that_goes_on_with_another_text_begins_the_body_again(house: House) -> None:
    first = Reply("One two three four five six.", pieces=6, pause_s=0.12, cut_after=3)
    ended = await house.run([first, "Something else."], "streamer")
    assert "".join(ended["result"]) == "Something else."
    assert ended["resumed"] == 1
    assert watched_text(await house.events(ended)) == "Something else."


def watched_text(events: list[tuple[str, dict[str, Any]]]) -> str:
    """The text of the one streamed call, as a watcher has it at the end."""
    text = ""
    for kind, data in events:
        if kind == "stream_reset":
            text = ""
        elif kind == "text":
            text += data["text"]
    return text


async def test_no_worker_has_a_key(house: House) -> None:
    ended = await house.run([], "looker")
    assert ended["result"] == []
