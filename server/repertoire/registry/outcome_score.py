"""Ranking: the answer of the encoder by names; and the outcome score of a workflow, from its past runs; used by `Finder`.

An outcome score is made of success, use and recency. It is a small part of a search score. Between near-ties, a workflow that succeeds,
is used and ran lately comes first.
"""

from __future__ import annotations

import math

import msgspec

from ..store.search_facts import Standing

_PRIOR_RUNS = 2.0
"""Imaginary runs added to every workflow, half of them successful: one success is no proof."""
_MANY_RUNS = 50.0
_FRESH_S = 30 * 24 * 3600.0
"""Recency falls to a third in this time."""


class Ranked(msgspec.Struct, frozen=True):
    """A match by name, with its reasons: `meaning` is a cosine, `words` are the words of the query that it contains."""

    name: str
    score: float
    meaning: float
    words: tuple[str, ...]


class Ranking(msgspec.Struct, frozen=True):
    """`fitting` best first, with near-ties beyond the limit; if there are none, the `nearest`. `unindexed` were not looked at."""

    fitting: list[Ranked]
    nearest: list[Ranked]
    unindexed: tuple[str, ...] = ()


def outcome_score(standing: Standing, now: float) -> float:
    """Between 0 and 1: half for success, a quarter each for use and recency. A workflow that never ran has half of the success part."""
    runs = standing.completed + standing.failed
    success = (standing.completed + _PRIOR_RUNS / 2) / (runs + _PRIOR_RUNS)
    use = min(math.log1p(standing.completed) / math.log1p(_MANY_RUNS), 1.0)
    recency = math.exp(-max(now - standing.last_at, 0.0) / _FRESH_S) if standing.completed else 0.0
    return 0.5 * success + 0.25 * use + 0.25 * recency
