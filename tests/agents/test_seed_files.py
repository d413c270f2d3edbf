"""Workflows of the class style that use agents, of every kind that the style's documents show, written anew and run with a scripted model."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support import agent_house, class_style
from support.agent_house import House
from support.model_server import KEY, Asked, Reply, call, model_server

house, anyio_backend = agent_house.house, agent_house.anyio_backend
pytestmark = pytest.mark.anyio

AGNO = """
from typing import Iterator
from agno.agent import Agent, RunResponse
from agno.models.openai import OpenAIChat
from agno.utils.log import logger
from agno.workflow import Workflow
"""
BUDDY = """
from buddy import Agent
from buddy.models.openai import OpenAIChat
from buddy.run.workflow import WorkflowCompletedEvent
from buddy.workflow import RunResponse, Workflow
"""


class File(NamedTuple):
    """A workflow file, its arguments, its result, and how many requests two runs of one session make."""

    source: str
    arguments: dict[str, Any]
    result: Any
    requests: int
    texts: list[str] | None = None
    """The texts that watchers of the first run are told; None: not compared."""


FILES = {
    "a stream that is cached": File(
        AGNO
        + '''
class Replies(Workflow):
    description: str = "Keeps what it has said."
    voice = Agent(model=OpenAIChat(id="gpt-4o-mini"))

    def run(self, message: str) -> Iterator[RunResponse]:
        if self.session_state.get(message):
            logger.info("known")
            yield RunResponse(run_id=self.run_id, content=self.session_state.get(message))
            return
        yield from self.voice.run(message, stream=True)
        self.session_state[message] = self.voice.run_response.content
''',
        {"message": "say something"},
        "re: say something",
        1,
        ["re: say something"],
    ),
    "one answer": File(
        BUDDY
        + '''
class Shortens(Workflow):
    description = "Makes a text shorter."
    editor = Agent(model=OpenAIChat(id="gpt-4o-mini"))

    def run(self, text: str, most_words: int = 50) -> RunResponse:
        answer = self.editor.run(f"At most {most_words} words: {text}")
        return RunResponse(content=answer.content)
''',
        {"text": "t"},
        "re: At most 50 words: t",
        2,
    ),
    "an answer that is cached": File(
        BUDDY
        + '''
class Looks(Workflow):
    finder = Agent(model=OpenAIChat(id="gpt-4o-mini"))

    def run(self, topic: str) -> RunResponse:
        kept = self.session_state.setdefault("looked", {})
        if topic not in kept:
            kept[topic] = self.finder.run(f"Look at {topic}").content
        return RunResponse(content=kept[topic])
''',
        {"topic": "tea"},
        "re: Look at tea",
        1,
    ),
    "events of its own": File(
        BUDDY
        + '''
class Drafts(Workflow):
    author = Agent(model=OpenAIChat(id="gpt-4o"))

    def run(self, topic: str):
        draft = self.author.run(f"On {topic}").content
        yield RunResponse(content=draft)
        yield WorkflowCompletedEvent(run_id=self.run_id, content=draft)
''',
        {"topic": "tea"},
        "re: On tea",
        2,
        ["re: On tea"],
    ),
    "an async answer": File(
        BUDDY
        + '''
class Waits(Workflow):
    author = Agent(model=OpenAIChat(id="gpt-4o"))

    async def arun(self, topic: str) -> RunResponse:
        answer = await self.author.arun(f"On {topic}")
        return RunResponse(content=answer.content)
''',
        {"topic": "tea"},
        "re: On tea",
        2,
    ),
    "an async stream": File(
        BUDDY
        + '''
class Flows(Workflow):
    author = Agent(model=OpenAIChat(id="gpt-4o"))

    async def arun(self, topic: str):
        async for piece in await self.author.arun(f"On {topic}", stream=True):
            yield piece
''',
        {"topic": "tea"},
        "re: On tea",
        2,
        ["re: On tea"],
    ),
}  # fmt: skip


def echo(asked: Asked) -> str:
    return f"re: {asked.prompt}"


@pytest.mark.parametrize("kind", FILES)
async def test_a_file_of_this_kind_runs_unchanged(house: House, kind: str) -> None:
    file = FILES[kind]
    first = await house.publish_and_run(file.source, echo, "new", **file.arguments)
    assert first["result"] == file.result, first["error"]
    made = len(house.model.asked)
    again = await house.again(echo, first["session_id"], **file.arguments)
    assert again["result"] == file.result, again["error"]
    assert made + len(house.model.asked) == file.requests
    if file.texts is not None:
        told = "".join(one["data"]["text"] for one in first["events"] if one["type"] == "text")
        assert told == "".join(file.texts), "each piece of text is told once"


# The generator of blog posts: three agents, a cache for each of their stages, and a body that swallows its searcher's errors.

POSTS = (Path(__file__).parents[1] / "support" / "blog_post_generator.py").read_text()
POST = "# Tea is leaves\n\nAnd water.\n\n## Sources\n- tea.md"


@pytest.fixture(scope="module")
async def posts(house: House) -> AsyncIterator[House]:
    folder = house.folder / "documents"
    folder.mkdir()
    (folder / "tea.md").write_text("Tea\nTea is leaves in water.\n")
    (folder / "milk.md").write_text("Milk\nMilk is white.\n")
    await house.publish(POSTS.replace('os.environ.get("DOCUMENTS", ".")', repr(str(folder))), approved=True)
    yield house


def blogger(asked: Asked) -> str | Reply:
    """Plays all three agents."""
    if "find the documents" in asked.system:
        if not asked.results:
            return call("find_documents", words=asked.prompt)
        found = [{"title": one["title"], "file": one["file"]} for one in json.loads(asked.results[-1])]
        return call("final_result", sources=found)
    if "read one document" in asked.system:
        if not asked.results:
            return call("read_document", file=asked.prompt)
        return call("final_result", file=asked.prompt, text=asked.results[-1].splitlines()[1])
    assert "Tea is leaves in water." in asked.prompt
    return Reply(POST, pieces=3)


async def test_a_post_is_found_read_written_and_kept(posts: House) -> None:
    first = await posts.again(blogger, "new", topic="tea leaves")
    assert first["result"] == POST, first
    assert [asked.results != () for asked in posts.model.asked] == [False, True, False, True, False]
    assert "".join(one["data"]["text"] for one in first["events"] if one["type"] == "text") == POST
    session = first["session_id"]
    again = await posts.again(blogger, session, topic="tea leaves")
    assert again["result"] == POST and posts.model.asked == []
    anew = await posts.again(blogger, session, topic="tea leaves", use_post=False)
    assert anew["result"] == POST and len(posts.model.asked) == 1, "found and read before"


async def test_nothing_found_is_said_and_replies_of_another_form_are_tried_three_times(posts: House) -> None:
    nothing = await posts.again(lambda asked: call("final_result", sources=[]), "new", topic="coffee")
    assert nothing["result"] == "There is nothing on coffee."
    other = await posts.again(["prose"], "new", topic="coffee")
    assert other["result"] == "There is nothing on coffee." and len(posts.model.asked) == 3 * 4
    warned = [one["data"]["message"] for one in other["events"] if one["type"] == "log"]
    assert [text[:10] for text in warned] == ["attempt 1:", "attempt 2:", "attempt 3:"], "its own warnings"
    assert "no Sources" in warned[0]


async def test_a_wrong_key_is_no_empty_result(posts: House) -> None:
    failed = await posts.again(blogger, "new", topic="tea leaves", _key="sk-wrong")
    assert failed["status"] == "failed" and failed["error"]["code"] == "no_model", failed
    assert failed["result"] is None


def test_the_same_file_runs_as_a_script_and_its_next_process_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tea.md").write_text("Tea\nTea is leaves in water.\n")
    path = tmp_path / "posts.py"
    path.write_text(POSTS)
    for name in ("DOCUMENTS", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with model_server(blogger) as model:
        for name, value in model.environ("openai").items():
            monkeypatch.setenv(name, value)
        assert os.environ["OPENAI_API_KEY"] == KEY
        first = class_style.run(path)
        assert "".join(first) == POST and len(first) > 1 and len(model.asked) == 5
        assert class_style.run(path) == [POST] and len(model.asked) == 5
        for name in model.environ("openai"):
            monkeypatch.delenv(name)
        (tmp_path / "posts.db").unlink()
        process = class_style.start(path)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 1 and "OPENAI_API_KEY" in said and "There is nothing" not in said
