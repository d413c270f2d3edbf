"""Recipe: every weight and threshold of semantic search, in one frozen value; used by `scoring`, and sent by the host.

The values were tuned on public tool-retrieval queries, and then checked on queries in a user's own words (benchmarks/own_words). The two
kinds pull in opposite directions, and these values hold on both. The public tools have no source, so the weight of the source was chosen
on the second kind. `python -m benchmarks search` measures it again.
"""

from __future__ import annotations

import math

import msgspec

VIEWS = ("name and description", "with parameters", "source")
"""The texts that are encoded for each workflow."""
_FEW = 5


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    views: tuple[float, ...] = (1.0, 1.0, 0.5)
    """Weight of each view's cosine. A higher weight of the source helps the first five ranks, and harms the first rank."""
    mean_at: float = 20.0
    """The shelf's mean vector is subtracted from every vector, because all workflows resemble each other. It is subtracted in full only
    with many more workflows than this: the mean of a few is noise."""
    words: float = 1.0
    """Weight of the squared share of the query's words that the workflow's text has. Rare words count more. The share is squared, so that
    one word that agrees by chance has little effect on a query in other words."""
    least: float = 0.16
    """A workflow does not fit if its best cosine with name, description or parameters is below this, in a library of up to five. It is so
    low that few answers are lost if the query has none of their words. Losing an answer is worse than showing a poor one."""
    least_growth: float = 0.018
    """Added to `least` for each doubling beyond five: among more texts, the nearest one is nearer by chance."""
    least_most: float = 0.33
    words_suffice: float = 0.6
    """A workflow with this share of the query's words fits with any cosine: people search for names too."""
    slack: float = 0.08
    """If the best match fits, further ones may be worse than `least` by this much."""
    outcome: float = 0.03
    """Success, use and recency add at most this to a score. It can order near ties, but not lift a workflow that does not fit."""
    exact_up_to: int = 50_000
    """With more workflows than this, the signs of the vectors choose candidates, and only these are scored exactly."""
    candidates: int = 500
    """Candidates of each kind (by signs, by words) that are scored exactly."""

    def fits_from(self, count: int) -> float:
        """The least cosine of a match among `count` workflows."""
        return min(self.least + self.least_growth * math.log2(max(count, _FEW) / _FEW), self.least_most)
