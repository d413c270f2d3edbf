"""Words of a text, for comparing a query with what a workflow says of itself: lower case, without endings, without those that say
nothing."""

from __future__ import annotations

import re
from functools import lru_cache

WORD = re.compile(r"[^\W_]+")
STOP_WORDS = frozenset(
    """a an and any are as at be but by can could do does for from get give had has have how i if in into is it its let like
    make me my need of on or our please should so some that the their them then there these they this those to us use want was
    we what when where which who will with would you your""".split()  # noqa: SIM905  ninety quoted words are no list to read
)
"""Words that nearly every description and query hold: alone they would make anything match."""
_ENDINGS = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("ions", ""), ("ion", ""), ("ers", ""), ("er", ""), ("es", ""),
            ("s", ""), ("e", ""))  # fmt: skip
_SHORTEST_STEM = 3


def words(text: str) -> dict[str, str]:
    """Stems of the telling words, in order, each with the word as it was written first."""
    found: dict[str, str] = {}
    for word in WORD.findall(text.lower()):
        if word not in STOP_WORDS:
            found.setdefault(stem(word), word)
    return found


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The word without its commonest English ending: `files` and `file`, `merging` and `merge` become one."""
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and not word.endswith("ss"):
            short = word[: len(word) - len(ending)] + instead
            if len(short) >= _SHORTEST_STEM:
                return short
    return word
