"""Agents in runs of a server, with a scripted model behind HTTP: records and replay, streams, sessions, refusals, threads and loops."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from repertoire.model.session import Caller
from support import agent_house
from support.agent_house import House
from support.model_server import Asked, Reply, call, structured
from support.survivals import effects

house, anyio_backend = agent_house.house, agent_house.anyio_backend
pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_traces(house: House) -> None:
    for name in ("died", "effects"):
        (house.folder / name).unlink(missing_ok=True)


def echo(asked: Asked) -> str:
    return f"re: {asked.prompt}"


def calls(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["data"]["op"], one["data"]["path"]) for one in answer["events"] if one["type"] == "call_end"]


TOOLS = '''
def look(what: str) -> str:
    """Looks something up.

    Args:
        what: The thing.
    """
    effect(f"look {what}")
    return f"found {what}"

agent = Agent(model=MODEL, tools=[look], instructions="Be brief.")

def run(topic: str) -> dict:
    first = agent.run(f"Look up {topic}").content
    die()
    second = agent.run(f"Say more on {first}").content
    return {"first": first, "second": second}
'''


async def test_requests_and_tool_calls_are_recorded_and_a_replay_makes_none_again(house: House) -> None:
    ended = await house.run(TOOLS, [call("look", what="tea"), "about tea", "more"], topic="tea")
    assert ended["result"] == {"first": "about tea", "second": "more"}, ended["error"]
    assert effects(house.folder) == ["look tea"] and (house.folder / "died").exists()
    assert len(house.model.asked) == 3, "the replay asked again"
    assert [op for op, _ in calls(ended)] == ["model", "step", "model", "model"]
    assert house.model.asked[1].results == ("found tea",)


HOW = {
    "gather": """
async def run() -> list:
    async def one(n):
        return (await agent.arun(f"{n}")).content
    found = await asyncio.gather(*(one(n) for n in range(3)))
    die()
    return [*found, (await agent.arun("last")).content]
""",
    "threads": """
def run() -> list:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda n: agent.run(f"{n}").content, range(3)))
    die()
    return [*found, agent.run("last").content]
""",
    "asyncio.run": """
def run() -> list:
    async def main():
        return await asyncio.gather(*(agent.arun(f"{n}") for n in range(3)))
    found = [one.content for one in asyncio.run(main())]
    die()
    return [*found, agent.run("last").content]
""",
    "sync in async": """
async def run() -> list:
    found = [agent.run(f"{n}").content for n in range(3)]
    die()
    return [*found, agent.run("last").content]
""",
    "streams": """
def run() -> list:
    found = ["".join(piece.content for piece in agent.run(f"{n}", stream=True)) for n in range(3)]
    die()
    return [*found, agent.run("last").content]
""",
    "async streams": """
async def run() -> list:
    found = ["".join([piece.content async for piece in agent.arun(f"{n}", stream=True)]) for n in range(3)]
    die()
    return [*found, (await agent.arun("last")).content]
""",
}


@pytest.mark.parametrize("how", HOW)
async def test_a_replay_finds_every_request_whatever_the_body_does_with_its_agent(house: House, how: str) -> None:
    ended = await house.run(f"agent = Agent(model=MODEL, instructions='x')\n{HOW[how]}", echo)
    assert ended["result"] == ["re: 0", "re: 1", "re: 2", "re: last"], ended["error"]
    assert (house.folder / "died").exists() and len(house.model.asked) == 4


async def test_tools_in_parallel_survive_too(house: House) -> None:
    source = '''
async def slow(n: int) -> str:
    """Slow."""
    await asyncio.sleep(0.01 * (3 - n))
    effect(f"slow {n}")
    return f"s{n}"

def quick(n: int) -> str:
    """Quick."""
    effect(f"quick {n}")
    return f"q{n}"

agent = Agent(model=MODEL, tools=[slow, quick])

async def run() -> str:
    said = (await agent.arun("go")).content
    die()
    return said + (await agent.arun("end")).content
'''
    both = Reply(calls=tuple(one for n in range(3) for one in (*call("slow", n=n).calls, *call("quick", n=n).calls)))
    ended = await house.run(source, [both, "done", "!"])
    assert ended["result"] == "done!", ended["error"]
    assert sorted(effects(house.folder)) == sorted(f"{name} {n}" for n in range(3) for name in ("slow", "quick"))
    assert house.model.asked[1].results == ("s0", "q0", "s1", "q1", "s2", "q2")


async def test_a_structured_answer_is_corrected_and_given_up_with_the_last_reply(house: House) -> None:
    source = """
class Summary(BaseModel):
    title: str
    words: int

agent = Agent(name="Summariser", model=MODEL, response_model=Summary)

def run() -> Summary:
    return agent.run("go").content
"""
    ended = await house.run(source, ["no JSON", structured(title="x"), structured(title="x", words=2)])
    assert ended["result"] == {"title": "x", "words": 2}, ended["error"]
    assert "Field required" in str(house.model.asked[2].body)
    failed = await house.again(["never"])
    assert failed["status"] == "failed" and len(house.model.asked) == 4
    assert (
        "summariser: the model's reply is no Summary" in failed["error"]["message"]
        and "never" in failed["error"]["message"]
    )


HISTORY = """
class Talks(Workflow):
    agent = Agent(model=MODEL, add_history_to_messages=True, num_history_runs=2)

    def run(self, text: str) -> RunResponse:
        return RunResponse(content={"said": self.agent.run(text).content, "state": dict(self.session_state), "session": self.agent.session_id})
"""


async def test_history_is_stored_with_the_session_and_no_body_sees_it(house: House) -> None:
    first = await house.run(HISTORY, echo, "new", text="a")
    session = first["session_id"]
    assert first["result"] == {"said": "re: a", "state": {}, "session": session}, first["error"]
    for text in ("b", "c"):
        said = await house.again(echo, session, text=text)
        assert said["result"]["state"] == {}
    assert [text for _, text in house.model.asked[0].messages] == ["a", "re: a", "b", "re: b", "c"]
    await house.again(echo, "new", text="d")
    assert [text for _, text in house.model.asked[0].messages] == ["d"]


SWALLOWS = """
class Finds(Workflow):
    searcher = Agent(model=@MODEL@)

    def run(self, topic: str) -> RunResponse:
        for attempt in range(3):
            try:
                return RunResponse(content=self.searcher.run(topic).content)
            except Exception:
                continue
        self.session_state[topic] = "nothing"
        return RunResponse(content="Sorry, could not find anything")
"""


MISSING = """
def missing() -> str:
    raise ImportError("pip install it")
"""
CATCHES = """
from repertoire.authoring.unavailable import deps

def run(topic: str) -> str:
    try:
        @CALL@
    except Exception:
        pass
    return "fine"
"""
REFUSED = {
    "no model": (SWALLOWS.replace("@MODEL@", "'nobody:unknown'"), "nobody:unknown"),
    "a tool's package": (MISSING + SWALLOWS.replace("@MODEL@", "MODEL, tools=[missing]"), "pip install it"),
    "deps": (CATCHES.replace("@CALL@", "deps.add('x')"), "deps"),
    "terminal": (CATCHES.replace("@CALL@", "Agent(model=MODEL).cli_app()"), "terminal"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_swallowed_refusal_fails_the_run(house: House, what: str) -> None:
    source, says = REFUSED[what]
    ended = await house.run(source, [call("missing")], topic="tea")
    assert ended["status"] == "failed" and ended["result"] is None, ended
    assert says in ended["error"]["message"], ended["error"]
    assert ended["error"]["code"] in ("not_available", "no_model")


async def test_tools_of_the_host_are_an_agents_tools(house: House) -> None:
    source = """
agent = Agent(model=MODEL, tools=[tools.fetch])

def run(url: str) -> str:
    said = agent.run("go").content
    die()
    return said + agent.run("end").content
"""
    ended = await house.run(source, [call("fetch", url="http://127.0.0.1:1/x"), "read", "!"], url="x")
    assert ended["result"] == "read!", ended["error"]
    assert house.model.asked[0].tools["fetch"]["properties"].keys() >= {"url"}
    assert house.model.asked[1].results[0].startswith("Error: ")
    named = [one["data"].get("name") for one in ended["events"] if one["type"] == "call_start"]
    assert [name for name in named if "fetch" in name] == ["fetch.describe", "fetch"]


async def test_a_team_routes_coordinates_and_collaborates(house: House) -> None:
    source = """
members = [Agent(name="Tea Expert", role="knows tea", model=MODEL), Agent(name="Milk Expert", role="knows milk", model=MODEL)]

def run(mode: str) -> dict:
    team = Team(members=members, mode=mode, model=MODEL, instructions="Lead well.")
    response = team.run("Which tea?")
    die()
    return {"content": response.content, "members": [one.content for one in response.member_responses]}
"""

    def reply(asked: Asked) -> str | Reply:
        if "Lead well." not in asked.system:
            return f"member on {asked.prompt}"
        if asked.results:
            return f"team: {asked.results[0]}"
        if "forward_task_to_member" in asked.tools:
            return call("forward_task_to_member", member_id="milk_expert")
        if "run_member_agents" in asked.tools:
            return call("run_member_agents", task="T")
        return call("transfer_task_to_member", member_id="tea_expert", task="T", expected_output="a line")

    told = "member on T\n\n<expected_output>\na line\n</expected_output>"
    ended = await house.run(source, reply, mode="coordinate")
    assert ended["result"] == {"content": f"team: {told}", "members": [told]}, ended["error"]
    assert "member_id: tea_expert\n  role: knows tea" in house.model.asked[0].system
    assert len(house.model.asked) == 3
    ended = await house.again(reply, mode="route")
    assert ended["result"] == {"content": "member on Which tea?", "members": ["member on Which tea?"]}, ended["error"]
    ended = await house.again(reply, mode="collaborate")
    assert ended["result"]["content"] == "team: tea_expert: member on T\n\nmilk_expert: member on T", ended["error"]


async def test_a_stream_that_is_not_read_on_is_dropped_and_the_body_goes_on(house: House) -> None:
    source = """
agent = Agent(model=MODEL)

def run() -> list:
    first = []
    for piece in agent.run("long", stream=True):
        first.append(piece.content)
        if len(first) == 2:
            break
    second = agent.run("short").content
    die()
    return ["".join(first), second, agent.run("end").content]
"""
    ended = await house.run(source, [Reply("one two three four ", pieces=4, pause_s=0.3), "short", "end"])
    assert ended["result"] is not None and ended["result"][1:] == ["short", "end"], ended["error"]
    assert ended["result"][0] and "one two three four ".startswith(ended["result"][0])
    assert len(house.model.asked) == 3


async def test_a_run_that_is_cancelled_in_the_middle_of_a_stream_ends_its_request(house: House) -> None:
    source = """
class Tells(Workflow):
    agent = Agent(model=MODEL)

    def run(self) -> RunResponse:
        yield from self.agent.run("go", stream=True)
"""
    await house.run(source, ["x"])
    house.model.script = [Reply("word " * 400, pieces=400, pause_s=0.05)]
    house.model.asked.clear()
    house.model.broken.clear()
    runs, caller = house.app.service.runs, Caller(provider_env=house.model.environ())
    live = await runs.start(caller, "flow", {})
    with anyio.fail_after(30):
        async for event in runs.follow(live.run.id):
            if event.public()["type"] == "text":
                break
        await runs.cancel(caller, live.run.id)
        ended = await runs.wait_for_end(live)
        assert runs.envelope(ended)["status"] == "cancelled"
        while not house.model.broken:
            await anyio.sleep(0.02)
    assert len(house.model.asked) == 1


async def test_halves_of_characters_in_a_stream_are_joined_and_a_replay_hears_the_same(house: House) -> None:
    source = """
agent = Agent(model=MODEL)

def run() -> list:
    heard = [piece.content for piece in agent.run("go", stream=True)]
    die()
    return [heard, agent.run_response.content]
"""
    deltas = [{"content": text} for text in ("a\ud83d", "\ude42b", "\udc00", "z\ud83d")]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    whole = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said = "".join(f"data: {json.dumps({**whole, **chunk})}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    ended = await house.run(source, [Reply(body=said, headers={"Content-Type": "text/event-stream"})])
    assert ended["result"] == [["a", "🙂b", "\ufffd", "z", "\ufffd"], "a🙂b\ufffdz\ufffd"], ended["error"]
    assert (house.folder / "died").exists() and len(house.model.asked) == 1
    shown = "".join(one["data"]["text"] for one in ended["events"] if one["type"] == "text")
    assert shown == "a🙂b\ufffdz\ufffd"
