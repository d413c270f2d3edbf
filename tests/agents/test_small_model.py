"""Agents with a real language model, small and local: a summary, a structured answer, a call of a tool. Answers have a form, not a sense."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from repertoire.model.session import Caller
from support.services import opened, run
from support.small_model import small_model

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

SOURCE = '''"""Three tasks for a model."""

from typing import Literal

from pydantic import BaseModel

from repertoire import Agent

__workflow__ = {"timeout_s": 800}


class Ticket(BaseModel):
    title: str
    priority: Literal["low", "high"]
    people: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


summary = Agent(model="openai:smollm2", instructions="Answer in one short sentence.")
reader = Agent(model="openai:smollm2", response_model=Ticket)
clerk = Agent(model="openai:smollm2", tools=[add])


def run(text: str) -> dict[str, object]:
    """Give a model a summary to write, a form to fill in, and a tool to call."""
    ticket = reader.run(f"Fill in a ticket: {text}").content
    sum_up = clerk.run("Add 2 and 3.")
    return {
        "summary": summary.run(f"Summarise: {text}").content,
        "ticket": {"kind": type(ticket).__name__, **ticket.model_dump()},
        "answer": sum_up.content,
    }
'''


@pytest.fixture(scope="module")
def model() -> Iterator[dict[str, str]]:
    with small_model() as environ:
        yield environ


async def test_a_real_model_summarises_fills_in_a_form_and_calls_a_tool(
    tmp_path: Path, model: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in model.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "tasks.py").write_text(SOURCE)
    async with opened(tmp_path, ready_workflows="false", search_model="off", run_timeout_s="900") as app:
        done = await run(
            app, Caller(), "tasks", text="The printer on the second floor is on fire. Two people wait for it."
        )
        assert done["status"] == "completed", done
        calls = [
            event.data["op"] async for event in app.service.runs.follow(done["run_id"], 0) if event.type == "call_end"
        ]
    result = done["result"]
    assert isinstance(result["summary"], str) and result["summary"].strip()
    assert isinstance(result["answer"], str) and result["answer"].strip()
    ticket = result["ticket"]
    assert ticket["kind"] == "Ticket" and ticket["priority"] in ("low", "high")
    assert isinstance(ticket["title"], str) and type(ticket["people"]) is int
    assert calls.count("model") >= 4 and "step" in calls, calls
