"""Sessions of a harness in runs, with a scripted provider behind HTTP: prompts, results, histories, tools, and what a crash repeats."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from support.model_server import ModelServer, Reply, Script, call, model_server, structured
from support.services import opened, run
from support.survivals import body, effects

pytestmark = pytest.mark.anyio

SUMMARY = '''"""Summarize a text."""
from pyflue import FlueContext, create_agent

agent = create_agent(lambda ctx: {"model": "anthropic/claude-haiku-4-5", "instructions": "Be brief."})

async def run(ctx: FlueContext) -> dict:
    ctx.log.info("summarization started", audience=ctx.payload.get("audience", "general"))
    harness = await ctx.init(agent)
    session = await harness.session()
    response = await session.prompt(f"Summarize this text: {ctx.payload['text']}")
    return {"summary": response.text, "tokens": response.usage.total_tokens, "model": response.model.id}
'''

REVIEW = '''"""Review a document."""
from pyflue import FlueContext, create_agent

reviewer = create_agent(lambda ctx: {"model": "openai:gpt-4o-mini", "cwd": "/workspace"})

async def run(ctx: FlueContext) -> dict:
    harness = await ctx.init(reviewer)
    await harness.fs.write_file("document.md", ctx.payload["document"])
    session = await harness.session()
    await session.prompt("Review document.md, and write what you find to review.md.")
    return {"review": await harness.fs.read_file("review.md")}
'''

CLASSIFY = '''"""Classify a ticket."""
from pydantic import BaseModel
from pyflue import FlueContext, create_agent

triage = create_agent({"model": "openai:gpt-4o-mini"})

class Classification(BaseModel):
    priority: str
    summary: str

async def run(ctx: FlueContext) -> dict:
    harness = await ctx.init(triage)
    session = await harness.session()
    result = await session.prompt(ctx.payload["ticket"], result=Classification)
    return {**result.model_dump(), "kind": type(result.result).__name__, "first": result.priority}
'''

BARE = '''"""Ask without await."""
from repertoire import create_agent
from repertoire.agents.definition import define_tool

def lookup(word: str) -> str:
    """Look a word up."""
    effect(word)
    return word.upper()

counted = define_tool("count", lambda args: len(args["text"]), description="Count.", parameters={
    "type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]})

def run(ctx):
    session = ctx.init(create_agent({"model": "openai:gpt-4o-mini", "tools": [lookup, counted]})).session()
    texts = [session.prompt("one").text, session.prompt("two").text]
    return texts + ["".join(event.data["text"] for event in session.stream("three") if event.type == "delta")]
'''

SEVERAL = '''"""Several sessions, and a child."""
import asyncio
from repertoire import create_agent, define_agent_profile

writer = define_agent_profile({"name": "writer", "description": "Writes.", "instructions": "You write."})
agent = create_agent({"model": "openai:gpt-4o-mini", "profile": {"instructions": "You lead."}, "subagents": [writer]})

async def run(ctx):
    harness = await ctx.init(agent)
    first, second = await harness.session("a"), await harness.session("b")
    said = [one.text for one in await asyncio.gather(first.prompt("a1"), second.prompt("b1"))]
    said.append((await first.prompt("a2")).text)
    said.append((await first.task("write", agent="writer")).text)
    handle = second.prompt("b2")
    try:
        second.prompt("b3")
    except RuntimeError as error:
        said.append(str(error))
    said.append((await handle).text)
    return said
'''

KILLED = """
from repertoire import create_agent

async def look(word: str) -> str:
    return effect(word)

async def run(ctx):
    harness = await ctx.init(create_agent({"model": "openai:gpt-4o-mini", "tools": [look]}))
    session = await harness.session()
    said = [(await session.prompt("one")).text]
    await harness.fs.write_file("a.txt", said[0])
    die()
    said.append((await session.prompt("two")).text)
    return [*said, await harness.fs.read_file("a.txt")]
"""

KEPT = '''"""Go on with a conversation."""
from repertoire import create_agent

async def run(ctx, text: str, keep: bool = True):
    harness = await ctx.init(create_agent({"model": "openai:gpt-4o-mini", "persist": keep}))
    return (await (await harness.session("chat")).prompt(text)).text
'''

HANDLER = '''"""Answer as an agent of PyFlue."""
triggers = {"webhook": True}

async def default(context):
    agent = await context.init(model="openai:gpt-4o-mini", harness="deepagents")
    session = await agent.session(context.agent_id)
    result = await session.prompt(context.payload["prompt"])
    return {"text": result.text, "metadata": result.metadata, "id": context.agent_id}
'''

ABORTED = '''"""Abort a prompt."""
import asyncio
from repertoire import create_agent

async def run(ctx):
    session = (await ctx.init(create_agent({"model": "openai:gpt-4o-mini"}))).session()
    handle = session.prompt("slow")
    await asyncio.sleep(0.3)
    handle.abort("too slow")
    try:
        await handle
    except asyncio.CancelledError:
        return [handle.reason, handle.signal.is_set(), (await session.prompt("fast")).text, await session.abort()]
'''

COMPACTED = '''"""Shorten a history."""
from repertoire import create_agent

async def run(ctx):
    small = {"context_window_tokens": 100, "reserve_tokens": 10, "keep_recent_tokens": 40}
    session = (await ctx.init(create_agent({"model": "openai:gpt-4o-mini", "compaction": small}))).session()
    for n in range(5):
        await session.prompt(f"{n} " + "x" * 150)
    return len(session.messages)
'''

SKILLED = '''"""Use a skill and a shell."""
from repertoire import create_agent
from pyflue import Skill

async def run(ctx):
    skill = Skill("greet", "Greets.", "Say hello.")
    agent = create_agent({"model": "openai:gpt-4o-mini", "skills": [skill], "thinking_level": "high"})
    harness = await ctx.init(agent, allow_shell=True, allowed_commands=["echo"])
    session = await harness.session()
    await session.skill("greet", args={"name": "Ada"})
    return (await session.prompt("run it")).text
'''

FILES = {
    "summary": SUMMARY, "review": REVIEW, "classify": CLASSIFY, "several": SEVERAL, "kept": KEPT, "handler": HANDLER,
    "aborted": ABORTED, "compacted": COMPACTED, "skilled": SKILLED,
}  # fmt: skip


class House(NamedTuple):
    app: App
    server: ModelServer
    traces: Path

    async def run(self, script: Script, name: str, session_id: str | None = None, **arguments: Any) -> dict[str, Any]:
        self.server.script = script
        self.server.asked.clear()
        (self.traces / "effects").unlink(missing_ok=True)
        return await run(self.app, Caller(provider_env=self.server.environ()), name, session_id, **arguments)


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    traces = tmp_path_factory.mktemp("sessions")
    folder = traces / "home" / "workflows"
    folder.mkdir(parents=True)
    for name, source in {**FILES, "bare": body(traces, BARE), "killed": body(traces, KILLED)}.items():
        (folder / f"{name}.py").write_text(source)
    with model_server([]) as server:
        async with opened(traces / "home", ready_workflows="false") as app:
            yield House(app, server, traces)


async def test_a_prompt_of_a_file_of_pyflue(house: House) -> None:
    ended = await house.run(["Short."], "summary", text="Long.")
    assert ended["result"] == {"summary": "Short.", "tokens": 15, "model": "claude-haiku-4-5"}, ended
    (asked,) = house.server.asked
    assert asked.prompt == "Summarize this text: Long." and "Be brief." in asked.system
    assert {"read", "write", "edit", "grep"} <= set(asked.tools) and "bash" not in asked.tools


async def test_the_model_works_on_the_files_of_the_run(house: House) -> None:
    script: Script = [
        call("read", path="document.md"),
        call("read", path="none.md"),
        call("write", path="review.md", content="Good."),
        "Done.",
    ]
    ended = await house.run(script, "review", document="Some text")
    assert ended["result"] == {"review": "Good."}, ended
    assert house.server.asked[1].results == ("Some text",)
    assert "FileNotFoundError" in house.server.asked[2].results[-1]


async def test_b34_a_prompt_for_a_model_is_repaired_or_fails(house: House) -> None:
    good = structured(priority="high", summary="It burns.")
    ended = await house.run([structured(priority=1), "no JSON", good], "classify", ticket="Fire!")
    expected = {"priority": "high", "summary": "It burns.", "kind": "Classification", "first": "high"}
    assert ended["result"] == expected, ended
    failed = await house.run([structured(wrong=1)], "classify", ticket="Fire!")
    assert failed["status"] == "failed" and "Structured output validation failed" in failed["error"]["message"], failed
    assert "wrong" in failed["error"]["message"] and len(house.server.asked) == 4


async def test_bare_prompts_tools_and_streams_in_a_sync_body(house: House) -> None:
    script: Script = [
        call("lookup", word="cat"),
        call("count", text="four"),
        "First",
        "Second",
        Reply("Third piece", pieces=3),
    ]
    ended = await house.run(script, "bare")
    assert ended["result"] == ["First", "Second", "Third piece"], ended
    assert effects(house.traces) == ["cat"] and house.server.asked[1].results == ("CAT",)
    assert house.server.asked[2].results[-1] == "4"
    assert [role for role, _ in house.server.asked[3].messages].count("user") == 2


async def test_sessions_have_histories_of_their_own(house: House) -> None:
    def script(asked: Any) -> Any:
        return f"{asked.prompt} after {json.dumps(asked.body).count('after')} as {asked.system}"

    ended = await house.run(script, "several")
    said = ended["result"]
    assert said[0].startswith("a1 after 0") and said[1].startswith("b1 after 0"), ended
    assert said[2].startswith("a2 after 1") and said[3].startswith("write after 0") and "You write." in said[3]
    assert "answers another" in said[4] and said[5].startswith("b2 after 1") and "You lead." in said[5]


async def test_a_killed_worker_repeats_no_request_and_no_tool(house: House) -> None:
    ended = await house.run([call("look", word="cat"), "One", "Two"], "killed")
    assert ended["result"] == ["One", "Two", "One"], ended
    assert len(house.server.asked) == 3 and effects(house.traces) == ["cat"]


async def test_a_kept_session_goes_on_in_the_next_run(house: House) -> None:
    def script(asked: Any) -> Any:
        return f"heard {json.dumps(asked.body).count('heard')}"

    first = await house.run(script, "kept", "new", text="one")
    session = first["session_id"]
    again = await house.run(script, "kept", session, text="two")
    assert [first["result"], again["result"]] == ["heard 0", "heard 1"], again
    assert (await house.run(script, "kept", session, text="three", keep=False))["result"] == "heard 0"
    assert (await house.run(script, "kept", "new", text="four"))["result"] == "heard 0"
    assert (await house.run(script, "kept", session, text="five"))["result"] == "heard 2"


async def test_a_file_with_default_of_context_is_an_agent_that_goes_on(house: House) -> None:
    def script(asked: Any) -> Any:
        return f"heard {json.dumps(asked.body).count('heard')}"

    first = await house.run(script, "handler", "new", prompt="one")
    assert first["result"]["text"] == "heard 0" and first["result"]["id"] == first["session_id"], first
    again = await house.run(script, "handler", first["session_id"], prompt="two")
    assert again["result"]["text"] == "heard 1", again


async def test_an_aborted_prompt_ends_and_the_session_goes_on(house: House) -> None:
    def script(asked: Any) -> Any:
        return Reply("late", hang_s=20) if asked.prompt == "slow" else "Fast"

    ended = await house.run(script, "aborted")
    assert ended["result"] == ["too slow", True, "Fast", False], ended


async def test_a_long_history_becomes_a_summary(house: House) -> None:
    def script(asked: Any) -> Any:
        return "Earlier: numbers." if "Summarize the conversation" in asked.system else "ok"

    ended = await house.run(script, "compacted")
    assert ended["status"] == "completed", ended
    systems = [asked.system for asked in house.server.asked]
    assert sum("Summarize the conversation" in system for system in systems) >= 1
    assert "Earlier: numbers." in json.dumps(house.server.asked[-1].body)


async def test_skills_the_shell_tool_and_thinking(house: House) -> None:
    script: Script = [
        call("skill", name="greet"),
        "Hello Ada",
        call("bash", command="echo hi"),
        call("bash", command="rm -rf x; echo"),
        "Ran",
    ]
    ended = await house.run(script, "skilled")
    assert ended["result"] == "Ran", ended
    asked = house.server.asked
    assert (
        '"name": "Ada"' in asked[0].prompt
        and "greet: Greets." in asked[0].system
        and asked[1].results[-1] == "Say hello."
    )
    assert asked[3].results[-1] == "hi\n" and "PermissionError" in asked[4].results[-1]


async def test_without_a_key_the_run_says_what_to_set(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    ended = await run(house.app, Caller(), "review", document="x")
    assert ended["status"] == "failed" and "OPENAI_API_KEY" in str(ended["error"]), ended
