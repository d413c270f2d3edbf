"""Search weights: every weight and threshold of semantic search, in one frozen value; used by `scoring`, and sent by the host.

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


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """The best cosine of a query with a workflow's name, description or parameters that is enough for a match.

    It was set on own words, public queries and queries for nothing, so that nine of ten of the last are without a match. A right
    answer below it is not lost: it stands among the nearest.
    """

    least: float = 0.185
    """In a library of up to five."""
    growth: float = 0.041
    """Added for each doubling beyond five: among more texts, the nearest one is nearer by chance."""
    most: float = 0.55
    slack: float = 0.08
    """If the best match fits, further ones may be worse by this much."""

    def among(self, count: int) -> float:
        """The bound among `count` workflows."""
        return min(self.least + self.growth * math.log2(max(count, _FEW) / _FEW), self.most)


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    views: tuple[float, ...] = (1.0, 1.0, 0.5)
    """Weight of each view's cosine. A higher weight of the source helps the first five ranks, and harms the first rank."""
    mean_at: float = 20.0
    """The shelf's mean vector is subtracted from every vector, because all workflows resemble each other. It is subtracted in full only
    with many more workflows than this: the mean of a few is noise."""
    words: float = 1.0
    """Weight of the squared share of the query's words that the workflow's text has. Rare words count more. The share is squared, so that
    one word that agrees by chance has little effect on a query in other words."""
    bound: Bound = Bound()
    other_bound: Bound = Bound(least=0.16, growth=0.018, most=0.33, slack=0.08)
    """Of a model without the adapter. It was set for all-MiniLM-L6-v2 as its makers published it; other models' cosines lie elsewhere."""
    words_suffice: float = 0.6
    """A workflow with this share of the query's words fits with a cosine below the bound by at most `words_slack`."""
    words_slack: float = 0.15
    all_words: float = 0.95
    """With this share it fits with any cosine: people search for names too."""
    words_alone: float = 0.5
    """A workflow that is not indexed, or any without a model, fits with this share of the query's words."""
    near: float = 0.15
    """If nothing fits, the nearest are told, if their cosine is below the bound by at most this. Farther ones are noise."""
    outcome: float = 0.03
    """Success, use and recency add at most this to a score. It can order near ties, but not lift a workflow that does not fit."""
    exact_up_to: int = 50_000
    """With more workflows than this, the signs of the vectors choose candidates, and only these are scored exactly."""
    candidates: int = 500
    """Candidates of each kind (by signs, by words) that are scored exactly."""
