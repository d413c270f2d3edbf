"""Tokens: words of a text in lower case, without stop words and endings, to compare a query with a workflow's text; used by `scoring` and by
the text search of `registry`."""

from __future__ import annotations

import re
from functools import lru_cache

WORD = re.compile(r"[^\W_]+")
STOP_WORDS = frozenset(
    """a an and any are as at be but by can could do does for from get give had has have how i if in into is it its let like
    make me my need of on or our please should so some that the their them then there these they this those to us use want was
    we what when where which who will with would you your""".split()  # noqa: SIM905  ninety quoted words would be hard to read
)
"""Words of nearly every description and query. With them, every text would match."""
_ENDINGS = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("ions", ""), ("ion", ""), ("ers", ""), ("er", ""), ("es", ""),
            ("s", ""), ("e", ""))  # fmt: skip
_SHORTEST_STEM = 3


def words(text: str) -> dict[str, str]:
    """Stems of all words but stop words, in order, each with its first spelling in the text."""
    found: dict[str, str] = {}
    for word in WORD.findall(text.lower()):
        if word not in STOP_WORDS:
            found.setdefault(stem(word), word)
    return found


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The word without a common English ending: `files` and `file` have one stem, and so have `merging` and `merge`."""
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and not word.endswith("ss"):
            short = word[: len(word) - len(ending)] + instead
            if len(short) >= _SHORTEST_STEM:
                return short
    return word
