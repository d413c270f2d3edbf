"""Prose check: counts sentences in docstrings and pages that are hard to read; used by CI's tests; not a grammar checker.

    python scripts/prose.py           # both parts
    python scripts/prose.py docs      # README.md, CONTRIBUTING.md and docs/
    python scripts/prose.py server    # docstrings of server/, by package

1. Docstrings: at most 2 % of the sentences open with a free relative ("What a source uses ...", "Whoever has it ...").
2. Pages: the mean sentence has at most 16 words, and no sentence opens with a free relative. A question may open so.

Code blocks, tables, headings and HTML comments are not counted. A code span or a link counts as its words do.
The exit status is 1 where a figure is above its target.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MAX_FREE_RELATIVES: Final = 0.02
"""Share of docstring sentences that may open with a free relative. Projects that read well have 0 to 1.7 %."""
MAX_MEAN_WORDS: Final = 16.0
"""Words in the mean sentence of a page. Documentation that reads well has 13 to 15."""

_FREE_RELATIVE: Final = re.compile(r"\W*(?:What|Whatever|Who|Whoever|Which|Whichever|Whether)\b")
_SENTENCE_END: Final = re.compile(r"""(?<!\be\.g)(?<!\bi\.e)[.!?][)"'*_”]*(?=\s+[("'*_“`\[]*[A-Z0-9`])""")
_BLOCK_START: Final = re.compile(r"^\s*(?:[-*+]|\d+\.)\s+")


@dataclass(frozen=True)
class Figures:
    sentences: int = 0
    words: int = 0
    free_relatives: tuple[str, ...] = ()

    @property
    def mean_words(self) -> float:
        return self.words / self.sentences if self.sentences else 0.0

    @property
    def share(self) -> float:
        return len(self.free_relatives) / self.sentences if self.sentences else 0.0

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.sentences + other.sentences,
            self.words + other.words,
            self.free_relatives + other.free_relatives,
        )


def prose_blocks(text: str) -> Iterator[str]:
    """Paragraphs and list items of a Markdown text, each on one line."""
    text = re.sub(r"^```.*?^```", "\n", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "\n", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    block: list[str] = []
    for line in [*text.splitlines(), ""]:
        skipped = not line.strip() or line.lstrip().startswith(("#", "|"))
        starts = _BLOCK_START.match(line)
        if block and (skipped or starts):
            yield " ".join(block)
            block = []
        if not skipped:
            block.append(line[starts.end() :].strip() if starts else line.strip())


def sentences(block: str) -> list[str]:
    ends = [0, *(end.end() for end in _SENTENCE_END.finditer(block)), len(block)]
    found = [block[start:end].strip() for start, end in pairwise(ends)]
    return [sentence for sentence in found if re.search(r"\w", sentence)]


def figures(text: str) -> Figures:
    found = [sentence for block in prose_blocks(text) for sentence in sentences(block)]
    return Figures(
        len(found),
        sum(len([word for word in sentence.split() if re.search(r"\w", word)]) for sentence in found),
        tuple(one for one in found if _FREE_RELATIVE.match(one) and not one.rstrip().endswith("?")),
    )


def docstrings(source: str) -> Iterator[str]:
    """Docstrings of modules, classes and functions, and texts that stand below an assignment."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield text


def pages(root: Path = ROOT) -> dict[str, Figures]:
    """Figures of each page, by its path."""
    files = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]
    return {str(file.relative_to(root)): figures(file.read_text()) for file in files}


def packages(root: Path = ROOT) -> dict[str, Figures]:
    """Figures of the docstrings of each package of the server, by its name."""
    found: dict[str, Figures] = {}
    base = root / "server" / "repertoire"
    for file in sorted(base.rglob("*.py")):
        package = file.relative_to(base).parts[0]
        for text in docstrings(file.read_text()):
            found[package] = found.get(package, Figures()) + figures(text)
    return found


def failures_of_pages(found: dict[str, Figures]) -> list[str]:
    long = [
        f"{page}: the mean sentence has {of.mean_words:.1f} words, target {MAX_MEAN_WORDS:g}"
        for page, of in found.items()
        if round(of.mean_words, 1) > MAX_MEAN_WORDS
    ]
    return long + [
        f"{page}: opens with a free relative: {one}" for page, of in found.items() for one in of.free_relatives
    ]


def failures_of_packages(found: dict[str, Figures]) -> list[str]:
    whole = sum(found.values(), Figures())
    if whole.share <= MAX_FREE_RELATIVES:
        return []
    share, target = 100 * whole.share, 100 * MAX_FREE_RELATIVES
    return [f"{share:.1f} % of the docstring sentences open with a free relative, target {target:g} %"]


def table(title: str, found: dict[str, Figures]) -> str:
    rows = [*found.items(), ("all", sum(found.values(), Figures()))]
    lines = [f"{title:34} {'sentences':>9} {'mean words':>10} {'free relatives':>14}"]
    for name, of in rows:
        lines.append(
            f"{name:34} {of.sentences:9} {of.mean_words:10.1f} {len(of.free_relatives):7} {100 * of.share:5.1f}%"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parts = arguments or ["server", "docs"]
    if unknown := set(parts) - {"server", "docs"}:
        print(f"unknown part {min(unknown)!r}; there are: server, docs", file=sys.stderr)
        return 2
    failures: list[str] = []
    if "server" in parts:
        by_package = packages()
        print(table("package", by_package), end="\n\n")
        failures += failures_of_packages(by_package)
    if "docs" in parts:
        by_page = pages()
        print(table("page", by_page), end="\n\n")
        failures += failures_of_pages(by_page)
    print("\n".join(failures) or "every figure is within its target")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
