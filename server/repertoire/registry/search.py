"""Lexical search: FTS5 over name, description and parameters. Empty when no word of the query means anything here."""

from __future__ import annotations

import re

from ..store import Store
from .view import View

_WORD = re.compile(r"[^\W_]+")
_MAX_WORDS = 64
_STOP_WORDS = frozenset(
    """a an and any are as at be but by can could do does for from get give had has have how i if in into is it its let like
    make me my need of on or our please should so some that the their them then there these they this those to us use want was
    we what when where which who will with would you your""".split()  # noqa: SIM905  ninety quoted words are no list to read
)
"""Words that nearly every description and query hold: alone they would make anything match."""


async def search(store: Store, view: View, query: str, limit: int) -> list[tuple[str, float]]:
    """Names of visible workflows, best first, ties in alphabetical order; the score is relative to the best one's, which has 1."""
    expression = match_expression(query)
    if not expression:
        return []
    wanted = limit
    while True:
        rows = await store.match(expression, wanted)
        visible = [(view.by_hash[hash], score) for hash, score in rows if hash in view.by_hash]
        if len(visible) >= limit or len(rows) < wanted:
            best = max((score for _, score in visible), default=1.0) or 1.0
            return sorted(((name, score / best) for name, score in visible), key=lambda row: (-row[1], row[0]))[:limit]
        wanted *= 8  # old versions and other folders' files took the places


def match_expression(query: str) -> str:
    """The query's words as an FTS5 OR of quoted strings, so that nothing in it is syntax."""
    words = dict.fromkeys(word.lower() for word in _WORD.findall(query[:10_000]))
    telling = [word for word in words if word not in _STOP_WORDS][:_MAX_WORDS]
    return " OR ".join(f'"{word}"' for word in telling)
