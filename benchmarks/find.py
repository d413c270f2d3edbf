"""Does search find what is meant, give no match when nothing fits, and how much does it cost beside encoding?

Quality is measured in this process, on the encoder's own code with the real model, beside SQLite's FTS5 (BM25) alone, MiniLM over
descriptions and over name and description, and the formula .7 description + .3 source. Runs of workflows are left out of it. Needs the
extra `model`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import anyio
import numpy as np
from threadpoolctl import threadpool_limits

from repertoire.encoder.minilm import SentenceModel, load
from repertoire.encoder.models import candidates, problem
from repertoire.encoder.scoring import Documents, Shelf
from repertoire.encoder.search_weights import Recipe
from repertoire.encoder.vectors import Floats, Vectors
from repertoire.registry.search import search
from repertoire.registry.search_texts import texts_of
from repertoire.store import open_store

from .figures import Figure, Plan, Target
from .find_cost import cost, first_answer
from .find_empty import abstention
from .ranking import Quality, difference, quality
from .search_sets import SearchSet, own_sets, public_set

_DEEP = 100
"""Places of each ranking that count for MRR."""
_LEAST_NDCG = {"own words": 0.89, "public": 0.79}
_RIVALS = ("FTS5", "MiniLM of descriptions", ".7 description + .3 source")
"""To be beaten everywhere; on the public set so that the interval of the paired difference is above zero."""


def measure(plan: Plan) -> list[Figure]:
    model = _model()
    sets = [*own_sets(), *([public_set(Path(plan.search_set))] if plan.search_set else [])]
    figures: list[Figure] = []
    known: dict[str, Floats] = {}
    for one in sets:
        bench = Bench(one, model, known)
        figures += [*_quality(bench), *abstention(one, bench.shelf, bench.queries, bench.unanswerable)]
    with threadpool_limits(1):  # as the child has it
        figures += cost(model, sets[0], plan)
    return figures + first_answer(sets[0], 1 if plan.quick else min(plan.pairs, 3))


def _model() -> SentenceModel:
    chosen = next(one for one in candidates("", download=False) if problem(one) is None)
    return load(chosen)


class Bench:
    """A set with its vectors and rankers. A ranker gives names from the best on. `known`: vectors of texts encoded before."""

    def __init__(self, data: SearchSet, model: SentenceModel, known: dict[str, Floats]) -> None:
        self.data = data
        self.names = list(data.workflows)
        self._model, self._known = model, known
        texts = [texts_of(version) for version in data.workflows.values()]
        self.views = [self._encoded([one.views[view] for one in texts]) for view in range(3)]
        vectors, documents = Vectors(model.dimension), Documents()
        for view in self.views:
            vectors.append(view)
        for place, one in enumerate(texts):
            documents.add(tuple(view * len(texts) + place for view in range(3)), one.words)
        self.shelf = Shelf(np.arange(len(texts), dtype=np.int32), documents, vectors, Recipe())
        self.described = self._encoded([version.description for version in data.workflows.values()])
        self.queries = self._encoded([query.text for query in data.queries])
        self.unanswerable = self._encoded(list(data.unanswerable))

    def _encoded(self, texts: list[str]) -> Floats:
        new = sorted({text for text in texts if text not in self._known}, key=len)
        if new:
            self._known.update(zip(new, self._model.encode(new), strict=True))
        return np.asarray([self._known[text] for text in texts], np.float32)

    def rivals(self) -> Mapping[str, list[list[str]]]:
        said, _, source = self.views
        found = [
            self.by_words(),
            self.by_vectors(self.described),
            self.by_vectors(0.7 * self.described + 0.3 * source),
            self.by_vectors(said),
        ]
        return dict(zip([*_RIVALS, "MiniLM of name and description"], found, strict=True))

    def ours(self) -> list[list[str]]:
        pairs = zip(self.data.queries, self.queries, strict=True)
        return [self._named(self.shelf.scores(query.text, vector)[0]) for query, vector in pairs]

    def by_vectors(self, matrix: Floats) -> list[list[str]]:
        return [self._named(matrix @ vector) for vector in self.queries]

    def _named(self, scores: Floats) -> list[str]:
        return [self.names[int(place)] for place in np.argsort(-scores, kind="stable")[:_DEEP]]

    def by_words(self) -> list[list[str]]:
        return anyio.run(self._by_words)

    async def _by_words(self) -> list[list[str]]:
        with tempfile.TemporaryDirectory() as folder:
            async with open_store(f"{folder}/search.db") as store:
                for version in self.data.workflows.values():
                    await store.keep_version(version)
                by_hash = {version.hash: name for name, version in self.data.workflows.items()}
                rows = [await search(store, by_hash, query.text, _DEEP) for query in self.data.queries]
        return rows


def _quality(bench: Bench) -> list[Figure]:
    wanted = [query.wanted for query in bench.data.queries]
    ours = quality(bench.ours(), wanted)
    name = bench.data.name
    least = _LEAST_NDCG.get(name)
    target = None if least is None else Target(least, "value", True)
    first = Figure(
        f"{name}: Repertoire", "nDCG@10", fmean(ours.ndcg), pairs=len(wanted), target=target, note=ours.told()
    )
    rest = [
        figure
        for other, found in bench.rivals().items()
        for figure in _beside(name, other, ours, quality(found, wanted))
    ]
    return [first, *rest]


def _beside(name: str, other: str, ours: Quality, theirs: Quality) -> list[Figure]:
    low, high = difference(ours.ndcg, theirs.ndcg)
    value, base, count = fmean(ours.ndcg), fmean(theirs.ndcg), len(ours.ndcg)
    note = f"difference [{low:+.3f}, {high:+.3f}]; theirs: {theirs.told()}"
    figure = Figure(
        f"{name}: beside {other}", "nDCG@10", value, base, value / base, count, Target(1.0, "ratio", True), note
    )
    if name != "public" or other not in _RIVALS:
        return [figure]
    what = f"{name}: the difference from {other} is at least"
    return [figure, Figure(what, "nDCG@10", low, pairs=count, target=Target(0.0, "value", True))]
