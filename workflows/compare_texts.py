"""Compare two texts or text files: how similar they are, what was added, removed, changed or moved, and a diff.

Takes time in proportion to the texts, not to their product: lines that occur once in both are matched first (a
"patience" diff), and only the short stretches between them are searched more closely.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from repertoire import progress

__workflow__ = {
    "title": "Compare texts",
    "tags": ["text", "diff", "documents"],
    "timeout_s": 120,
    "read_only": True,
}

MAX_BYTES = 20_000_000
"""Of each text. Larger ones take more memory than a worker has by default."""
SEARCH_BUDGET = 4_000_000
"""Pairs of lines looked at in stretches without a unique common line; beyond it a stretch counts as replaced."""
STRETCH_PAIRS = 250_000
"""The largest such stretch, as old lines times new lines, that is searched at all."""
LISTED_MOVES = 20
MAX_SHOWN = 500
"""Characters of a line in the diff, and of a paragraph that moved."""


@dataclass(frozen=True)
class TextSize:
    """How large one text is. Words are separated by white space."""

    lines: int
    words: int
    characters: int


@dataclass(frozen=True)
class Move:
    """A paragraph that stands in both texts but elsewhere: how it begins, and its first line in each."""

    text: str
    old_line: int
    new_line: int


@dataclass(frozen=True)
class Comparison:
    """`similarity` is the share of lines that stayed, `word_similarity` the share of words in common, both 0 to 1.

    Lines may end in LF, CRLF or CR, which is not compared; only `identical` regards whether the last one ends at all.
    A changed line is one that was replaced by another. `approximate` says that some stretches were too long to search
    closely, so that lines may be counted as changed although they stayed. A moved paragraph also counts as added and
    removed.
    """

    identical: bool
    similarity: float
    word_similarity: float
    old: TextSize
    new: TextSize
    added_lines: int
    removed_lines: int
    changed_lines: int
    moved_paragraphs: list[Move]
    diff: str
    diff_truncated: bool
    approximate: bool


Span = tuple[int, int, int, int]
"""Old start and end, new start and end, of lines that differ."""


def run(
    old: str | None = None,
    new: str | None = None,
    old_path: str | None = None,
    new_path: str | None = None,
    context: int = 3,
    max_diff_lines: int = 300,
) -> Comparison:
    """Compare two texts. Give each as text or as the path of a file.

    Args:
        old: The first text.
        new: The second text.
        old_path: The file of the first text, instead of `old`; an absolute path is safest.
        new_path: The file of the second text, instead of `new`.
        context: Unchanged lines shown around each difference, 0 to 100.
        max_diff_lines: The most lines that the diff may have, 0 to 5000; the counts cover everything all the same.

    Returns:
        Similarities, sizes, counts of changed lines, moved paragraphs and a unified diff.

    Raises:
        FileNotFoundError: There is no file at a given path.
        ValueError: A side is given twice or not at all, is too large or not text, or a number is out of range.
    """
    if not (0 <= context <= 100 and 0 <= max_diff_lines <= 5000):
        raise ValueError("`context` must be between 0 and 100 and `max_diff_lines` between 0 and 5000.")
    old_text, new_text = _text("old", old, old_path), _text("new", new, new_path)
    old_lines, new_lines = _lines(old_text), _lines(new_text)
    progress(0, 3, f"comparing {len(old_lines)} with {len(new_lines)} lines")

    differ = _Differ(old_lines, new_lines)
    spans = differ.spans()
    progress(1, 3, f"{len(spans)} places differ")
    moves = _moves(old_lines, new_lines)
    progress(2, 3, f"{len(moves)} paragraphs moved")
    diff, diff_truncated = _take(_unified(old_lines, new_lines, spans, context), max_diff_lines)

    removed = sum(old_end - old_start for old_start, old_end, _, _ in spans)
    added = sum(new_end - new_start for _, _, new_start, new_end in spans)
    changed = sum(min(old_end - old_start, new_end - new_start) for old_start, old_end, new_start, new_end in spans)
    total = len(old_lines) + len(new_lines)
    old_words, new_words = Counter(old_text.split()), Counter(new_text.split())
    progress(3, 3, "done")
    return Comparison(
        identical=old_text == new_text,
        similarity=_share(total - removed - added, total),
        word_similarity=_share(2 * (old_words & new_words).total(), old_words.total() + new_words.total()),
        old=TextSize(len(old_lines), old_words.total(), len(old_text)),
        new=TextSize(len(new_lines), new_words.total(), len(new_text)),
        added_lines=added - changed,
        removed_lines=removed - changed,
        changed_lines=changed,
        moved_paragraphs=moves[:LISTED_MOVES],
        diff="\n".join(diff),
        diff_truncated=diff_truncated,
        approximate=differ.approximate,
    )


def _text(side: str, text: str | None, path: str | None) -> str:
    """One of the two texts, its line ends as newlines."""
    if (text is None) == (path is None):
        raise ValueError(f"Give either `{side}` (a text) or `{side}_path` (a file).")
    if path is not None:
        file = Path(path).expanduser().absolute()
        if not file.is_file():
            raise FileNotFoundError(
                f"There is no file at {file}. Give the absolute path of a text file as `{side}_path`."
            )
        with file.open("rb") as handle:
            text = _decode(file, handle.read(MAX_BYTES + 1))
    assert text is not None
    if len(text) > MAX_BYTES:
        raise ValueError(f"The {side} text is larger than {MAX_BYTES} bytes. Compare it in parts.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _lines(text: str) -> list[str]:
    """The lines without their ends. Not `splitlines`: form feeds and the like stay within a line."""
    lines = text.split("\n")
    return lines[:-1] if not lines[-1] else lines


def _decode(file: Path, data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data:
        raise ValueError(f"{file} holds NUL bytes, so it is not text. Convert it to text first.")
    if len(data) > MAX_BYTES:
        raise ValueError(f"{file} is larger than {MAX_BYTES} bytes. Compare it in parts.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


class _Differ:
    """Finds where two sequences of lines differ, in a time that is bounded."""

    def __init__(self, old: list[str], new: list[str]) -> None:
        self.old, self.new = old, new
        self.budget = SEARCH_BUDGET
        self.approximate = False

    def spans(self) -> list[Span]:
        """The places that differ, in order and not touching one another."""
        found: list[Span] = []
        stack: list[Span] = [(0, len(self.old), 0, len(self.new))]
        while stack:
            span = self._trim(stack.pop())
            old_start, old_end, new_start, new_end = span
            if old_start == old_end or new_start == new_end:
                found += [span] if span[0] < span[1] or span[2] < span[3] else []
            elif anchors := self._anchors(span):
                stack.extend(reversed(list(_between(span, anchors))))
            else:
                found.extend(self._search(span))
        return _joined(found)

    def _trim(self, span: Span) -> Span:
        """The span without the lines that its beginnings and its ends have in common."""
        old_start, old_end, new_start, new_end = span
        while old_start < old_end and new_start < new_end and self.old[old_start] == self.new[new_start]:
            old_start, new_start = old_start + 1, new_start + 1
        while old_start < old_end and new_start < new_end and self.old[old_end - 1] == self.new[new_end - 1]:
            old_end, new_end = old_end - 1, new_end - 1
        return old_start, old_end, new_start, new_end

    def _anchors(self, span: Span) -> list[tuple[int, int]]:
        """Lines that occur once on both sides of the span, as many as stand in the same order."""
        old_start, old_end, new_start, new_end = span
        pairs = _unique_pairs(self.old[old_start:old_end], self.new[new_start:new_end])
        kept = _longest_increasing([new for _, new in pairs])
        return [(old_start + pairs[i][0], new_start + pairs[i][1]) for i in kept]

    def _search(self, span: Span) -> Iterator[Span]:
        """The differences within a stretch that has no unique common line; all of it when it is too long to search."""
        old_start, old_end, new_start, new_end = span
        pairs = (old_end - old_start) * (new_end - new_start)
        old, new = self.old[old_start:old_end], self.new[new_start:new_end]
        if set(old).isdisjoint(new):
            yield span
        elif pairs > min(STRETCH_PAIRS, self.budget):
            self.approximate = True
            yield span
        else:
            self.budget -= pairs
            for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
                if tag != "equal":
                    yield old_start + i1, old_start + i2, new_start + j1, new_start + j2


def _unique_pairs(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Positions of what occurs exactly once in each, in the order of `old`."""
    old_counts, new_counts = Counter(old), Counter(new)
    new_places = {text: place for place, text in enumerate(new) if new_counts[text] == 1}
    return [(place, new_places[text]) for place, text in enumerate(old) if old_counts[text] == 1 and text in new_places]


def _longest_increasing(numbers: Sequence[int]) -> list[int]:
    """The indices of a longest increasing subsequence."""
    tails: list[int] = []
    tail_indices: list[int] = []
    before: list[int] = []
    for index, number in enumerate(numbers):
        place = bisect_left(tails, number)
        before.append(tail_indices[place - 1] if place else -1)
        tails[place : place + 1] = [number]
        tail_indices[place : place + 1] = [index]
    kept: list[int] = []
    index = tail_indices[-1] if tail_indices else -1
    while index >= 0:
        kept.append(index)
        index = before[index]
    return kept[::-1]


def _between(span: Span, anchors: list[tuple[int, int]]) -> Iterator[Span]:
    """The stretches of `span` before, between and after the anchors."""
    old_start, old_end, new_start, new_end = span
    for old, new in anchors:
        yield old_start, old, new_start, new
        old_start, new_start = old + 1, new + 1
    yield old_start, old_end, new_start, new_end


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Spans that touch made one."""
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1][1] == span[0] and joined[-1][3] == span[2]:
            joined[-1] = (joined[-1][0], span[1], joined[-1][2], span[3])
        else:
            joined.append(span)
    return joined


def _moves(old: list[str], new: list[str]) -> list[Move]:
    """Paragraphs that occur once in each text, and out of the order that most of them keep."""
    old_paragraphs, new_paragraphs = list(_paragraphs(old)), list(_paragraphs(new))
    pairs = _unique_pairs([text for _, text in old_paragraphs], [text for _, text in new_paragraphs])
    stayed = set(_longest_increasing([new_place for _, new_place in pairs]))
    return [
        Move(old_paragraphs[i][1][:MAX_SHOWN], old_paragraphs[i][0], new_paragraphs[j][0])
        for index, (i, j) in enumerate(pairs)
        if index not in stayed
    ]


def _paragraphs(lines: list[str]) -> Iterator[tuple[int, str]]:
    """The stretches between blank lines, each with the number of its first line."""
    start: int | None = None
    for number, line in enumerate([*lines, ""]):
        if line.strip():
            start = number if start is None else start
        elif start is not None:
            yield start + 1, "\n".join(lines[start:number])
            start = None


def _unified(old: list[str], new: list[str], spans: list[Span], context: int) -> Iterator[str]:
    """The lines of a unified diff, without the two lines that name the files."""
    for group in _groups(spans, context):
        old_start, new_start = max(group[0][0] - context, 0), max(group[0][2] - context, 0)
        old_end, new_end = min(group[-1][1] + context, len(old)), min(group[-1][3] + context, len(new))
        yield f"@@ -{_range(old_start, old_end)} +{_range(new_start, new_end)} @@"
        place = old_start
        for span in group:
            yield from (" " + line[:MAX_SHOWN] for line in old[place : span[0]])
            yield from ("-" + line[:MAX_SHOWN] for line in old[span[0] : span[1]])
            yield from ("+" + line[:MAX_SHOWN] for line in new[span[2] : span[3]])
            place = span[1]
        yield from (" " + line[:MAX_SHOWN] for line in old[place:old_end])


def _groups(spans: list[Span], context: int) -> Iterator[list[Span]]:
    """Differences so close that they share their context."""
    group: list[Span] = []
    for span in spans:
        if group and span[0] - group[-1][1] > 2 * context:
            yield group
            group = []
        group.append(span)
    if group:
        yield group


def _range(start: int, end: int) -> str:
    """A range of lines as unified diffs write it: an empty one is named by the line before it."""
    length = end - start
    return f"{start + 1}" if length == 1 else f"{start if not length else start + 1},{length}"


def _take(lines: Iterator[str], most: int) -> tuple[list[str], bool]:
    taken: list[str] = []
    for line in lines:
        if len(taken) == most:
            return taken, True
        taken.append(line)
    return taken, False


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 1.0
