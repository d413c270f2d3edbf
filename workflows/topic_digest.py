"""Write a digest of what local documents say about a topic, passage by passage, and keep it for the next time.

A class workflow, as Agno v1 has them: three stages, each with a cache in `self.session_state`, so that asking again costs nothing.
Finds passages by the topic's words; no network and no model.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

from repertoire import RunResponse, Workflow

__workflow__ = {"tags": ["documents", "text", "example"], "timeout_s": 120, "read_only": True}

KINDS = {".md", ".rst", ".txt"}
MOST_FILES = 2_000
MOST_BYTES = 2_000_000
"""Larger files are data, not documents."""
MOST_SOURCES = 8
PASSAGES = 2
"""From each source."""


class TopicDigest(Workflow):
    description = (
        "Write a digest of what the documents in a folder say about a topic, with their names. Kept for the session."
    )

    def run(
        self, topic: str, folder: str = ".", use_found: bool = True, use_passages: bool = True, use_digest: bool = True
    ) -> Iterator[RunResponse]:
        """Digest the documents.

        Args:
            topic: What to look for; its words count one by one.
            folder: Where the documents are, with all folders below it: Markdown, reStructuredText and plain text.
            use_found: Take the documents found earlier for this topic and folder.
            use_passages: Take the passages read earlier.
            use_digest: Take the finished digest of an earlier run.

        Raises:
            ValueError: The topic has no word, or the folder does not exist.
        """
        root = Path(folder).expanduser().resolve()
        if not root.is_dir():
            raise ValueError(f"There is no folder {folder!r}.")
        words = sorted(set(re.findall(r"\w{3,}", topic.lower())))
        if not words:
            raise ValueError("The topic needs a word of three letters or more.")
        key = f"{root}\n{' '.join(words)}"

        digests: dict[str, str] = self.session_state.setdefault("digests", {})
        if use_digest and key in digests:
            yield RunResponse(content=digests[key])
            return

        sources = self._found(key, root, words, use_found)
        if not sources:
            yield RunResponse(content=f"No document below {folder} speaks of {topic}.\n")
            return
        parts: list[str] = []
        for part in self._written(topic, root, self._passages(key, sources, words, use_passages)):
            parts.append(part)
            yield RunResponse(content=part)
        digests[key] = "".join(parts)

    def _found(self, key: str, root: Path, words: list[str], use_cache: bool) -> list[str]:
        """Paths of the documents that speak most of the topic, best first."""
        found: dict[str, list[str]] = self.session_state.setdefault("found", {})
        if not use_cache or key not in found:
            scores = {str(path): _score(_text(path), words) for path in _documents(root)}
            best = sorted((path for path, score in scores.items() if score > 0), key=lambda path: (-scores[path], path))
            found[key] = best[:MOST_SOURCES]
        return found[key]

    def _passages(self, key: str, sources: list[str], words: list[str], use_cache: bool) -> dict[str, list[str]]:
        """The paragraphs of each source that speak most of the topic, in their order."""
        read: dict[str, dict[str, list[str]]] = self.session_state.setdefault("passages", {})
        if not use_cache or key not in read:
            read[key] = {source: _best_paragraphs(_text(Path(source)), words) for source in sources}
        return read[key]

    def _written(self, topic: str, root: Path, passages: dict[str, list[str]]) -> Iterator[str]:
        yield f"# {topic}\n\nFrom {len(passages)} document{'s' if len(passages) != 1 else ''}.\n"
        for source, paragraphs in passages.items():
            quoted = "\n>\n".join("> " + paragraph.replace("\n", "\n> ") for paragraph in paragraphs)
            yield f"\n## {Path(source).relative_to(root)}\n\n{quoted}\n"


def _documents(root: Path) -> Iterator[Path]:
    count = 0
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.suffix.lower() in KINDS and not hidden and path.is_file() and path.stat().st_size <= MOST_BYTES:
            count += 1
            if count > MOST_FILES:
                raise ValueError(f"More than {MOST_FILES} documents below {root}: name a smaller folder.")
            yield path


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # gone or not ours to read: as if it said nothing


def _score(text: str, words: list[str]) -> float:
    """Each word counts, but less each time; a document with all words is before one with a single word often."""
    lower = text.lower()
    counts = [lower.count(word) for word in words]
    return sum(math.sqrt(count) for count in counts) * sum(1 for count in counts if count) / len(words)


def _best_paragraphs(text: str, words: list[str]) -> list[str]:
    paragraphs = [
        part.strip() for part in re.split(r"\n\s*\n", text) if part.strip() and not part.lstrip().startswith("#")
    ]
    ranked = sorted(range(len(paragraphs)), key=lambda n: (-_score(paragraphs[n], words), n))[:PASSAGES]
    return [paragraphs[n][:600] for n in sorted(ranked) if _score(paragraphs[n], words) > 0]
