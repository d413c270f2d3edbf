"""The ready workflow with an agent, in a real home with a scripted model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from support.model_server import Asked, Reply, call, model_server
from support.services import opened, run

pytestmark = pytest.mark.anyio
TEA = "# Tea\n\nTea is *leaves* in\nwater. Milk is another matter.\n"


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    async with opened(
        tmp_path_factory.mktemp("agent") / "home", ready_workflows="true", search_model="off", workers="1"
    ) as app:
        yield app


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "drinks").mkdir()
    (tmp_path / "drinks" / "tea.md").write_text(TEA)
    (tmp_path / "long.txt").write_text("word " * 5_000)
    (tmp_path / ".hidden.md").write_text("tea tea")
    return tmp_path


def librarian(asked: Asked) -> Reply:
    turns: list[Reply] = [
        call("search", words="tea leaves"),
        call("read", file="drinks/tea.md"),
        call("read", file="gone.md"),
        call("read", file="long.txt", page=2),
        call(
            "final_result",
            answer="Leaves in water.",
            quotes=[
                {"file": "drinks/tea.md", "text": "Tea is leaves in water."},
                {"file": "drinks/tea.md", "text": "Tea is coffee."},
            ],
        ),
    ]
    return turns[len(asked.results)]


async def test_ask_documents_answers_with_quotes_that_stand_in_the_files(app: App, folder: Path) -> None:
    with model_server(librarian) as model:
        answer = await run(
            app,
            Caller(provider_env=model.environ("openai")),
            "ask_documents",
            question="What is tea?",
            folder=str(folder),
        )
    assert answer["status"] == "completed", answer
    result: dict[str, Any] = answer["result"]
    assert result["answer"] == "Leaves in water." and result["documents"] == 2
    assert [one["text"] for one in result["quotes"]] == ["Tea is leaves in water."]
    assert [one["text"] for one in result["unconfirmed"]] == ["Tea is coffee."]
    found, read, gone, long = model.asked[-1].results
    assert '"drinks/tea.md"' in found and "hidden" not in found and read == TEA
    assert gone.startswith("Error: ValueError: there is no document 'gone.md'") and long.startswith("Page 2 of 3.")


async def test_ask_documents_says_what_is_missing(app: App, tmp_path: Path) -> None:
    unreachable = {"OPENAI_API_KEY": "sk-wrong", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    refused = await run(app, Caller(), "ask_documents", question="?", folder=str(tmp_path))
    assert "has no documents" in refused["error"]["message"]
    (tmp_path / "a.md").write_text("a")
    wrong = await run(app, Caller(provider_env=unreachable), "ask_documents", question="?", folder=str(tmp_path))
    assert wrong["status"] == "failed" and wrong["error"]["code"] in ("no_model", "call_failed", "model_failed")
