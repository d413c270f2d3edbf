"""Blog posts from a folder of documents: a searcher, a reader and a writer, each an agent, with a cache for every stage.

A workflow file of the class style, as people write it: it catches what goes wrong with its searcher. Used by tests/agents.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, Field

from repertoire import Agent, RunEvent, RunResponse, SqliteStorage, Workflow
from repertoire.agents.models import OpenAIChat
from repertoire.classes.logging import logger

DOCUMENTS = Path(os.environ.get("DOCUMENTS", "."))


class Source(BaseModel):
    title: str = Field(description="The document's first line")
    file: str = Field(description="Its name")


class Sources(BaseModel):
    sources: list[Source]


class Excerpt(BaseModel):
    file: str
    text: str = Field(description="The sentences that matter")


def find_documents(words: str) -> str:
    """Find documents that contain one of the words.

    Args:
        words: Words with spaces between them.
    """
    asked = set(words.lower().split())
    found = [file for file in sorted(DOCUMENTS.glob("*.md")) if asked & set(file.read_text().lower().split())]
    return json.dumps([{"file": file.name, "title": file.read_text().splitlines()[0]} for file in found])


def read_document(file: str) -> str:
    """Read a document.

    Args:
        file: The name that find_documents gave.
    """
    return (DOCUMENTS / Path(file).name).read_text()


class BlogPosts(Workflow):
    """Write a blog post from the documents at hand."""

    description = "Writes a blog post on a topic from a folder of documents, with what it has found and read kept for the next time."

    searcher = Agent(
        model=OpenAIChat(id="gpt-4o-mini"),
        tools=[find_documents],
        description="You find the documents that fit a topic.",
        instructions=["Search with several words.", "Give only documents that you have found."],
        response_model=Sources,
    )
    reader = Agent(
        model=OpenAIChat(id="gpt-4o-mini"),
        tools=[read_document],
        description="You read one document and keep what matters.",
        response_model=Excerpt,
        structured_outputs=True,
    )
    writer = Agent(
        model=OpenAIChat(id="gpt-4o"),
        description="You write posts that people read to the end.",
        instructions="Use the excerpts and nothing else.",
        expected_output="# A headline\n\nA text of a few paragraphs\n\n## Sources",
        markdown=True,
    )

    def run(
        self, topic: str, use_found: bool = True, use_read: bool = True, use_post: bool = True
    ) -> Iterator[RunResponse]:
        post = self.session_state.get("posts", {}).get(topic) if use_post else None
        if post:
            yield RunResponse(content=post, event=RunEvent.workflow_completed)
            return
        found = self.find(topic, use_found)
        if found is None or not found.sources:
            yield RunResponse(content=f"There is nothing on {topic}.", event=RunEvent.workflow_completed)
            return
        excerpts = self.read_all(topic, found, use_read)
        material = {"topic": topic, "excerpts": [one.model_dump() for one in excerpts.values()]}
        yield from self.writer.run(json.dumps(material, indent=1), stream=True)
        self.session_state.setdefault("posts", {})[topic] = self.writer.run_response.content

    def find(self, topic: str, use_found: bool) -> Sources | None:
        kept = self.session_state.get("found", {}).get(topic) if use_found else None
        if kept is not None:
            return Sources.model_validate(kept)
        for attempt in range(3):
            try:
                response = self.searcher.run(topic)
                if isinstance(response.content, Sources):
                    self.session_state.setdefault("found", {})[topic] = response.content
                    return response.content
                logger.warning(f"attempt {attempt + 1}: no sources")
            except Exception as error:
                logger.warning(f"attempt {attempt + 1}: {error}")
        return None

    def read_all(self, topic: str, found: Sources, use_read: bool) -> dict[str, Excerpt]:
        kept = self.session_state.get("read", {}).get(topic) if use_read else None
        if kept:
            return kept  # type: ignore[no-any-return]
        read: dict[str, Excerpt] = {}
        for source in found.sources:
            response = self.reader.run(source.file)
            if isinstance(response.content, Excerpt):
                read[response.content.file] = response.content
        self.session_state.setdefault("read", {})[topic] = read
        return read


if __name__ == "__main__":
    posts = BlogPosts(session_id="posts", storage=SqliteStorage("posts", db_file="posts.db"))
    print(json.dumps([str(one.content) for one in posts.run(topic="tea")]))
