"""The door `model` with the caller's own model, in this process: parking, restarts, secrets, the budget; and Agent over it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from repertoire.service import client_model
from support.services import opened
from support.shells import Shell, shell

pytestmark = pytest.mark.anyio
ME = Caller()

TALK = '''"""Ask the caller's model some questions, one after the other."""
from repertoire.authoring.durable import in_a_run

def run(prompts: list[str]) -> list[str]:
    replies = []
    for prompt in prompts:
        part = {"part_kind": "user-prompt", "content": prompt}
        request = {"model": "client", "messages": [{"kind": "request", "parts": [part]}]}
        reply = in_a_run("model").call("model", request, "client")
        replies.append(reply["response"]["parts"][0]["content"])
    return replies
'''
WRITE = '''"""Write a line about a subject, as it comes."""
from repertoire import Agent

def run(subject: str, with_pieces: bool = True) -> list[str]:
    agent = Agent(model="client", instructions="Write one line.")
    if with_pieces:
        return [piece.content for piece in agent.run(subject, stream=True)]
    return [agent.run(subject).content]
'''
FILES = {"talk": TALK, "write_line": WRITE}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "workflows"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    for name, source in FILES.items():
        (folder / f"{name}.py").write_text(source)
    return tmp_path / "home"


async def start(app: App, name: str, **arguments: Any) -> str:
    return (await app.service.runs.start(ME, name, arguments)).run.id


async def asked(app: App, run_id: str, *, parked: bool = False) -> Any:
    """The open question of a run."""
    with anyio.fail_after(30):
        while True:
            run = await app.service.runs.find(ME, run_id)
            assert not run.is_final, run
            if run.questions and (not parked or app.runner.live(run_id) is None):
                (question,) = run.questions
                return question
            await anyio.sleep(0.01)


async def replied(app: App, run_id: str, text: str, **options: Any) -> None:
    question = await asked(app, run_id, **options)
    await app.service.runs.answer(ME, run_id, text, question.id)


async def ended(app: App, run_id: str) -> dict[str, Any]:
    with anyio.fail_after(30):
        while not (run := await app.service.runs.find(ME, run_id)).is_final:
            await anyio.sleep(0.01)
    return app.service.runs.envelope(run)


async def test_a_run_that_waits_for_long_is_parked_and_asks_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_model, "_PATIENCE_S", 0.05)
    async with opened(home) as app:
        run_id = await start(app, "talk", prompts=["one", "two"])
        first = await asked(app, run_id, parked=True)
        await replied(app, run_id, "1", parked=True)
        with anyio.fail_after(30):
            while (second := await asked(app, run_id, parked=True)).id == first.id:
                await anyio.sleep(0.01)
        await replied(app, run_id, "2", parked=True)
        assert (await ended(app, run_id))["result"] == ["1", "2"]
        events = [one for one in await app.service.runs._store.events(run_id, 0, 100) if one.type == "ask"]
        assert [one.data["kind"] for one in events] == ["model", "model"] and first.id != second.id


async def test_a_restart_between_two_rounds_asks_the_same_question(home: Path) -> None:
    """The worker still waits when the server ends. The next server begins the body again, and the question is the same."""
    async with opened(home) as app:
        run_id = await start(app, "talk", prompts=["one", "two"])
        await replied(app, run_id, "1")
        question = await asked(app, run_id)
        while question.question.endswith("one"):
            question = await asked(app, run_id)
    async with opened(home) as app:
        assert (await asked(app, run_id)).id == question.id
        await replied(app, run_id, "2")
        assert (await ended(app, run_id))["result"] == ["1", "2"]


async def test_secrets_are_masked_and_the_budget_counts(home: Path) -> None:
    async with opened(home) as app:
        app.runner.doors["model"].__self__._masks.add("very-secret-value", "KEY")  # type: ignore[attr-defined]
        run_id = await start(app, "talk", prompts=[f"very-secret-value {'x' * 4_000}"])
        question = await asked(app, run_id)
        assert "very-secret-value" not in json.dumps(question.schema) + question.question
        await replied(app, run_id, "fine")
        await ended(app, run_id)
        usage = (await app.service.runs.get(ME, run_id))["usage"]
        assert usage["model_requests"] == 1 and 1_000 < usage["input_tokens"] < 1_100 and usage["output_tokens"] > 0


@pytest.mark.parametrize("with_pieces", [True, False])
async def test_an_agent_of_the_facade_streams_a_whole_reply(home: Path, with_pieces: bool) -> None:
    async with opened(home) as app:
        run_id = await start(app, "write_line", subject="Leases", with_pieces=with_pieces)
        question = await asked(app, run_id)
        assert "Write one line." in question.question and question.question.endswith("# User\nLeases")
        await replied(app, run_id, "A lease ends.")
        end = await ended(app, run_id)
        assert "".join(end["result"]) == "A lease ends.", end


def test_a_person_replies_at_the_command_line(shell: Shell) -> None:
    (shell.home / "workflows" / "talk.py").write_text(TALK)
    try:
        started = shell("run", "talk", 'prompts=["Say hello."]')
        assert started.returncode == 3 and "Say hello." in started.stderr and "OPENAI_API_KEY" in started.stderr
        (row,) = shell.json("inbox")["questions"]
        assert row["text"].startswith("An agent asks its caller's own model: ") and row["text"].endswith("Say hello.")
        assert shell.ok("answer", "last", "Hello!") == "answered\n"
        shell("logs", "last", "--follow")
        assert shell.json("show", "last")["result"] == ["Hello!"]
    finally:
        shell("stop")


__all__ = ["shell"]
