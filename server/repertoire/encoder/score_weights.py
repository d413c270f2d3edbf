"""How a workflow's score is made of its parts: every weight and threshold of semantic search, in one frozen value.

Tuned on public tool-retrieval queries and then checked on queries in a user's own words (benchmarks/own_words): the two kinds pull in
opposite directions, and what is here holds on both. The public tools have no source, so the weight of that was chosen on the latter.
`python -m benchmarks search` measures it again.
"""

from __future__ import annotations

import math

import msgspec

VIEWS = ("name and description", "with parameters", "source")
"""What is encoded of each workflow, each as a text of its own."""
_FEW = 5


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    views: tuple[float, ...] = (1.0, 1.0, 0.5)
    """Weight of each view's cosine. More source helps the first five places and harms the first."""
    mean_at: float = 20.0
    """The library's mean vector is taken off every vector (all workflows resemble each other), in full only where there are many more
    than this: the mean of a few is noise."""
    words: float = 1.0
    """Weight of the squared share of the query's words, weighed by their rarity, that the workflow's text has. Squared, so that a query
    in other words is not led astray by the one word that happens to agree."""
    least: float = 0.16
    """Best cosine with name, description or parameters below which a workflow does not fit, in a library of up to five: so low that few
    answers are lost whose query has none of their words. Losing an answer is worse than showing a poor one."""
    least_growth: float = 0.018
    """Added to `least` for each doubling beyond five: among more texts the nearest is nearer by chance."""
    least_most: float = 0.33
    words_suffice: float = 0.6
    """A workflow that has this share of the query's words fits whatever its cosine: names are looked for too."""
    slack: float = 0.08
    """What is listed below a best match that fits may be so much worse than `least`."""
    outcome: float = 0.03
    """The most that success, use and recency may add to a score: enough to order near-ties, too little to lift what does not fit."""
    exact_up_to: int = 50_000
    """Beyond so many workflows, signs of the vectors choose the candidates, which are then scored exactly."""
    candidates: int = 500
    """Of each kind (by signs, by words) that are scored exactly then."""

    def fits_from(self, count: int) -> float:
        """The least cosine of a match among so many."""
        return min(self.least + self.least_growth * math.log2(max(count, _FEW) / _FEW), self.least_most)
