"""Shelf: scores the workflows that one caller sees for a query; used by the encoder's loop. All arithmetic of semantic search is here.

1. Each view of a workflow has a vector. The shelf's mean is subtracted from it, and it is scaled to length one.
2. The workflow's vector is the weighted mean of these vectors. The query's vector is centred and scaled in the same way. So the product
   of both is the mean of the views' cosines.
3. Words are counted with an inverted index of the same shelf.

`Documents` holds the rows and words of all workflows, of which a shelf is a selection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .messages import Hit
from .search_weights import Recipe
from .tokens import words
from .vectors import Floats, Numbers, Vectors, unit

Places: TypeAlias = npt.NDArray[np.intp]

_NEAR_TIES = 50
"""Near ties that are returned after the limit, at most: the outcome of their runs may lift them."""
NEAREST = 3
"""Workflows that are named if nothing fits, at most."""
_CHUNK = 8192
"""Rows that are computed at once while a shelf is built: 12 MiB for each view."""


class Documents:
    """For every workflow the rows of its views, and its words as numbers."""

    def __init__(self) -> None:
        self.vocabulary: dict[str, int] = {}
        self.rows: list[tuple[int, ...]] = []
        self.terms: list[Numbers] = []

    def add(self, rows: tuple[int, ...], text: str) -> None:
        numbers = [self.vocabulary.setdefault(word, len(self.vocabulary)) for word in words(text)]
        self.rows.append(rows)
        self.terms.append(np.asarray(numbers, np.int32))


class Shelf:
    """Built once for a set of workflows. A changed set needs a new shelf."""

    def __init__(self, docs: Numbers, documents: Documents, vectors: Vectors, recipe: Recipe) -> None:
        self.docs = docs
        self._recipe = recipe
        self._vectors = vectors
        self._vocabulary = documents.vocabulary
        self._rows = np.asarray([documents.rows[doc] for doc in docs], np.int32).reshape(len(docs), len(recipe.views))
        self._mean = self._mean_of_views()
        self._matrix = self._combine_views()
        self._signs = np.packbits(self._matrix > 0, axis=1) if len(docs) > recipe.exact_up_to else None
        self._build_index([documents.terms[doc] for doc in docs])

    def find(
        self, query: str, vector: Floats, limit: int, within: Numbers | None = None, outcome: float | None = None
    ) -> tuple[list[Hit], list[Hit]]:
        """Fitting workflows, best first, with equal scores in the shelf's order; after the first `limit` come near ties. If there are
        none: the nearest."""
        if not len(self.docs):
            return [], []
        allowed = None if within is None else np.isin(self.docs, within)
        shares, holders_of = self._shares(query)
        places, scores = self._best(self._candidates(vector, shares, allowed), vector, shares)
        among = len(self.docs) if allowed is None else int(allowed.sum())
        meaning = self._meaning(places, vector)

        def hits(chosen: npt.NDArray[np.bool_], most: int) -> list[Hit]:
            return [
                Hit(
                    int(self.docs[places[at]]),
                    float(scores[at]),
                    round(float(meaning[at]), 4),
                    [written for written, holders in holders_of if _holds(holders, int(places[at]))],
                )
                for at in np.flatnonzero(chosen)[:most]
            ]

        bound = self._recipe.bound.among(among)
        fits = self._fitting(meaning, shares[places], bound)
        if not fits.any():
            return [], hits(meaning >= bound - self._recipe.near, NEAREST)
        return self._with_near_ties(hits(fits, limit + _NEAR_TIES), limit, outcome), []

    def _with_near_ties(self, hits: list[Hit], limit: int, outcome: float | None) -> list[Hit]:
        """The first `limit`, and those after them that the outcome of their runs may lift."""
        if len(hits) <= limit:
            return hits
        least = hits[limit - 1].score - (self._recipe.outcome if outcome is None else outcome)
        return [hit for at, hit in enumerate(hits) if at < limit or hit.score >= least]

    def scores(self, query: str, vector: Floats) -> tuple[Floats, Floats, Floats]:
        """For benchmarks: every workflow's score, best cosine and share of words."""
        shares, _ = self._shares(query)
        places = np.arange(len(self.docs))
        scores = self._matrix @ self._centre(vector) + self._recipe.words * shares**2
        return scores, self._meaning(places, vector), shares

    def _best(self, chosen: Places | None, vector: Floats, shares: Floats) -> tuple[Places, Floats]:
        """The best of the chosen places with their scores, in the order of score and then of the shelf."""
        own = shares if chosen is None else shares[chosen]
        matrix = self._matrix if chosen is None else self._matrix[chosen]
        scores = (matrix @ self._centre(vector) + self._recipe.words * own**2).round(6)
        most = self._recipe.candidates
        if len(scores) > most:
            least = np.partition(scores, -most)[-most]
            above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
            kept = np.sort(np.concatenate([above, equal[: most - len(above)]]))
        else:
            kept = np.arange(len(scores))
        order = kept[np.argsort(-scores[kept], kind="stable")]
        return (order if chosen is None else chosen[order]), scores[order]

    def _fitting(self, meaning: Floats, shares: Floats, bound: float) -> npt.NDArray[np.bool_]:
        """A mask of the places that fit. If no place reaches the bound, none does."""
        recipe = self._recipe
        by_words = (shares >= recipe.words_suffice) & (meaning >= bound - recipe.words_slack)
        by_words |= shares >= recipe.all_words
        if not (np.any(meaning >= bound) or np.any(by_words)):
            return np.zeros(len(meaning), bool)
        return np.asarray((meaning >= bound - recipe.bound.slack) | by_words, bool)

    def _meaning(self, places: Places, vector: Floats) -> Floats:
        """Best cosine with name, description or parameters. The vectors are not centred, so it means the same in every library."""
        best = np.full(len(places), -1.0, np.float32)
        for view in range(min(2, self._rows.shape[1])):
            best = np.maximum(best, self._vectors[self._rows[places, view]] @ vector)
        return best

    def _candidates(self, vector: Floats, shares: Floats, allowed: npt.NDArray[np.bool_] | None) -> Places:
        """Places to be scored exactly, in order: all of them, or on a large shelf the candidates by signs and by words."""
        every = np.arange(len(self.docs)) if allowed is None else np.flatnonzero(allowed)
        most = self._recipe.candidates
        if self._signs is None or len(every) <= 2 * most:
            return every
        query = np.packbits(self._centre(vector) > 0)
        signs = self._signs if allowed is None else self._signs[every]
        distances = np.bitwise_count(signs ^ query).sum(axis=1, dtype=np.int32)
        near = every[np.argpartition(distances, most)[:most]]
        worded = every[np.argpartition(-shares[every], most)[:most]]
        return np.union1d(near, worded)

    def _shares(self, query: str) -> tuple[Floats, list[tuple[str, Numbers]]]:
        """For each workflow the share of the query's words that it has, weighted by rarity; and for each word the places that have it."""
        total, found = 0.0, np.zeros(len(self.docs), np.float32)
        holders_of: list[tuple[str, Numbers]] = []
        for word, written in words(query).items():
            places = self._places(word)
            rarity = float(np.log(1 + (len(self.docs) - len(places) + 0.5) / (len(places) + 0.5)))
            total += rarity
            if len(places):
                found[places] += rarity
                holders_of.append((written, places))
        return (found / total if total else found), holders_of

    def _places(self, word: str) -> Numbers:
        term = self._vocabulary.get(word)
        if term is None or term + 1 >= len(self._starts):  # unknown, or first seen after this shelf was built
            return self._term_places[:0]
        return self._term_places[self._starts[term] : self._starts[term + 1]]

    def _build_index(self, terms: Sequence[Numbers]) -> None:
        """Inverted index: for each word the places of the workflows that have it, one after the other, and the start of each word's part."""
        sizes = np.asarray([len(one) for one in terms], np.int64)
        flat = np.concatenate(terms) if len(terms) else np.zeros(0, np.int32)
        order = np.argsort(flat, kind="stable")
        self._term_places = np.repeat(np.arange(len(terms), dtype=np.int32), sizes)[order]
        self._starts = np.searchsorted(flat[order], np.arange(len(self._vocabulary) + 1))

    def _mean_of_views(self) -> Floats:
        count = len(self.docs)
        total = np.zeros(self._vectors.dimension, np.float64)
        weight = 0.0
        for view, share in enumerate(self._recipe.views):
            for start in range(0, count, _CHUNK):
                total += share * self._vectors[self._rows[start : start + _CHUNK, view]].sum(axis=0, dtype=np.float64)
            weight += share * count
        mean = total / weight if weight else total
        return np.asarray(mean * count / (count + self._recipe.mean_at), np.float32)

    def _centre(self, vector: Floats) -> Floats:
        return unit(vector - self._mean)

    def _combine_views(self) -> Floats:
        matrix = np.empty((len(self.docs), self._vectors.dimension), np.float32)
        weights = np.asarray(self._recipe.views, np.float32) / sum(self._recipe.views)
        for start in range(0, len(matrix), _CHUNK):
            rows = self._rows[start : start + _CHUNK]
            matrix[start : start + _CHUNK] = sum(
                weight * unit(self._vectors[rows[:, view]] - self._mean) for view, weight in enumerate(weights)
            )
        return matrix


def _holds(places: Numbers, place: int) -> bool:
    at = int(np.searchsorted(places, place))
    return at < len(places) and int(places[at]) == place
