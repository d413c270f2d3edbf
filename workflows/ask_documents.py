"""Answer a question from the text documents of a folder, with quotes that are checked against the files.

Needs a language model. The server takes the default one of the providers that have a key: set OPENAI_API_KEY, ANTHROPIC_API_KEY,
GEMINI_API_KEY or GROQ_API_KEY where the server runs, and `pip install 'repertoire-mcp[agents]'`. `repertoire doctor` says which it has.
"""

import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import BaseModel, Field

from repertoire import Agent

__workflow__ = {
    "title": "Ask documents",
    "tags": ["documents", "questions", "agent", "example"],
    "timeout_s": 300,
    "read_only": True,
}

KINDS = {".md", ".txt", ".rst", ".adoc"}
MOST_FILES = 500
MOST_BYTES = 1_000_000
"""Of one document. Larger ones are not read."""
PAGE_CHARS = 12_000
"""Of a document, in one reading."""
MOST_FOUND = 12


class Quote(BaseModel):
    file: str = Field(description="The name of the document, as search gave it")
    text: str = Field(description="A sentence of the document, word for word")


class Answer(BaseModel):
    """The answer, and the sentences that it rests on. Without a quote, the documents do not say."""

    answer: str
    quotes: list[Quote]


@dataclass(frozen=True)
class Documents:
    """`answer` rests on `quotes`, which stand in the files. `unconfirmed` are quotes of the model that do not."""

    answer: str
    quotes: list[Quote]
    unconfirmed: list[Quote]
    documents: int


def run(question: str, folder: str = ".") -> Documents:
    """Answer a question from the documents of a folder.

    Args:
        question: What to find out.
        folder: The folder; documents are its .md, .txt, .rst and .adoc files, also in folders below.

    Returns:
        The answer with quotes from the documents.

    Raises:
        ValueError: There is no such folder, or it has no documents.
    """
    root = Path(folder).expanduser().resolve()
    if not root.is_dir():
        raise ValueError(f"There is no folder {root}.")
    files = read_all(root)
    if not files:
        raise ValueError(f"{root} has no documents ({', '.join(sorted(KINDS))}).")
    agent = Agent(
        name="Librarian",
        description="You answer questions from documents and from nothing else.",
        instructions=[
            "Search with several single words, then read the documents that fit.",
            "Quote the sentences that your answer rests on, word for word.",
            "If the documents do not say, answer so, without quotes.",
        ],
        tools=[partial(search, files), partial(read, files)],
        tool_call_limit=12,
        response_model=Answer,
    )
    answer: Answer = agent.run(question).content
    stands = {id(quote): squeezed(quote.text) in squeezed(files.get(quote.file, "")) for quote in answer.quotes}
    return Documents(
        answer=answer.answer,
        quotes=[quote for quote in answer.quotes if stands[id(quote)]],
        unconfirmed=[quote for quote in answer.quotes if not stands[id(quote)]],
        documents=len(files),
    )


def read_all(root: Path) -> dict[str, str]:
    """The text of each document by its path below the folder."""
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.suffix.lower() in KINDS and not hidden and path.is_file() and path.stat().st_size <= MOST_BYTES:
            found[str(path.relative_to(root))] = path.read_text(errors="replace")
        if len(found) == MOST_FILES:
            break
    return found


def search(files: dict[str, str], words: str) -> str:
    """Find documents that contain one of these words, those with most of them first.

    Args:
        words: Words with spaces between them.
    """
    asked = set(re.findall(r"\w+", words.lower()))
    counted = {name: sum(word in asked for word in re.findall(r"\w+", text.lower())) for name, text in files.items()}
    best = sorted((name for name in counted if counted[name]), key=lambda name: -counted[name])[:MOST_FOUND]
    return json.dumps([{"file": name, "hits": counted[name], "begins": files[name].strip()[:80]} for name in best])


def read(files: dict[str, str], file: str, page: int = 1) -> str:
    """Read a page of a document.

    Args:
        file: Its name, as search gave it.
        page: From 1.
    """
    if file not in files:
        raise ValueError(f"there is no document {file!r}; search gives the names")
    pages = max(1, -(-len(files[file]) // PAGE_CHARS))
    text = files[file][(page - 1) * PAGE_CHARS : page * PAGE_CHARS]
    return text if pages == 1 else f"Page {page} of {pages}.\n{text}"


def squeezed(text: str) -> str:
    """The text with single spaces and without marks of Markdown, in which a quote is looked for."""
    return " ".join(re.sub(r"[*_`]", "", text).split()).lower()
