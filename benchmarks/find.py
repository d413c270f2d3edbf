"""Does search find what is meant, say nothing when nothing fits, and how much does it cost beside encoding the query?

Quality is measured in this process, on the encoder's own code with the real model, beside three others: SQLite's FTS5 (BM25) alone,
MiniLM over descriptions, and the formula .7 description + .3 source. Runs of workflows are left out of it. Needs the extra `model`.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median

import anyio
import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from repertoire.encoder.minilm import SentenceModel, load
from repertoire.encoder.models import candidates, problem
from repertoire.encoder.recipe import Recipe
from repertoire.encoder.shelf import Catalogue, Shelf
from repertoire.encoder.vectors import Floats, Vectors
from repertoire.registry.search import search
from repertoire.registry.texts import texts_of
from repertoire.store import open_store

from .figures import Figure, Plan, Target
from .ranking import Quality, difference, interval, quality
from .search_sets import SearchSet, own_words, public_set

_DEEP = 100
"""Places of each ranking that count for MRR."""
_SIZES = (1_000, 10_000, 100_000)
_AT_MOST = {10_000: 1.5, 100_000: 2.5}
_WORDS_UP_TO = 10_000
_QUERIES = 40


def measure(plan: Plan) -> list[Figure]:
    model = _model()
    sets = [own_words(), *([public_set(Path(plan.search_set))] if plan.search_set else [])]
    figures: list[Figure] = []
    for one in sets:
        figures += _quality(Bench(one, model))
    with threadpool_limits(1):  # as the child has it
        return figures + _cost(model, sets[0], plan)


def _model() -> SentenceModel:
    chosen = next(one for one in candidates("", download=False) if problem(one) is None)
    return load(chosen)


class Bench:
    """A set with its vectors and rankers. A ranker gives names from the best on."""

    def __init__(self, data: SearchSet, model: SentenceModel) -> None:
        self.data = data
        self.names = list(data.workflows)
        texts = [texts_of(version) for version in data.workflows.values()]
        vectors, catalogue = Vectors(model.dimension), Catalogue()
        for view in range(3):
            vectors.append(model.encode([one.views[view] for one in texts]))
        for place, one in enumerate(texts):
            catalogue.add(tuple(view * len(texts) + place for view in range(3)), one.words)
        self.shelf = Shelf(np.arange(len(texts), dtype=np.int32), catalogue, vectors, Recipe())
        self.source = vectors[np.arange(2 * len(texts), 3 * len(texts), dtype=np.int32)]
        self.described = model.encode([version.description for version in data.workflows.values()])
        self.queries = model.encode([query.text for query in data.queries])
        self.impossible = model.encode(list(data.unanswerable)) if data.unanswerable else None

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
        return [[name for name, _ in row] for row in rows]

    def answered(self, text: str, vector: Floats) -> list[str]:
        """As a caller sees it: what does not fit left out."""
        return [self.names[hit.doc] for hit in self.shelf.find(text, vector, 5, outcome=0.0)[:5]]


def _quality(bench: Bench) -> list[Figure]:
    wanted = [query.wanted for query in bench.data.queries]
    ours = quality(bench.ours(), wanted)
    others = {
        "FTS5": quality(bench.by_words(), wanted),
        "MiniLM of descriptions": quality(bench.by_vectors(bench.described), wanted),
        ".7 description + .3 source": quality(bench.by_vectors(0.7 * bench.described + 0.3 * bench.source), wanted),
    }
    low, high = interval(ours.ndcg)
    name = bench.data.name
    told = f"[{low:.3f}, {high:.3f}] {ours.told()}"
    figures = [Figure(f"{name}: Repertoire", "nDCG@10", mean(ours.ndcg), pairs=len(wanted), note=told)]
    figures += [_beside(f"{name}: beside {other}", ours, theirs) for other, theirs in others.items()]
    return figures + _abstention(bench)


def _beside(what: str, ours: Quality, theirs: Quality) -> Figure:
    low, high = difference(ours.ndcg, theirs.ndcg)
    note = f"difference [{low:+.3f}, {high:+.3f}]; theirs {theirs.told()}"
    value, base = mean(ours.ndcg), mean(theirs.ndcg)
    return Figure(what, "nDCG@10", value, base, value / base, len(ours.ndcg), Target(1.0, "ratio", True), note)


def _abstention(bench: Bench) -> list[Figure]:
    found = [
        bench.answered(query.text, vector) for query, vector in zip(bench.data.queries, bench.queries, strict=True)
    ]
    lost = mean(not one for one in found)
    hits = mean(bool({*one} & query.wanted) for one, query in zip(found, bench.data.queries, strict=True))
    name, count = bench.data.name, len(found)
    figures = [
        Figure(f"{name}: answerable, answered empty", "share", lost, pairs=count),
        Figure(f"{name}: answerable, a right one among five", "share", hits, pairs=count),
    ]
    if bench.impossible is not None:
        texts = bench.data.unanswerable
        empty = mean(not bench.answered(text, vector) for text, vector in zip(texts, bench.impossible, strict=True))
        figures.append(Figure(f"{name}: nothing serves it, answered empty", "share", empty, pairs=len(texts)))
    return [*figures, _without_answers(bench)]


def _without_answers(bench: Bench) -> Figure:
    """Each query against the library without the workflows that serve it. Near duplicates of those stay and are true answers."""
    least, empty = bench.shelf._recipe.fits_from(len(bench.names)), 0
    for query, vector in zip(bench.data.queries, bench.queries, strict=True):
        _, meaning, shares = bench.shelf.scores(query.text, vector)
        others = [place for place, name in enumerate(bench.names) if name not in query.wanted]
        fits = (meaning[others] >= least) | (shares[others] >= bench.shelf._recipe.words_suffice)
        empty += not fits.any()
    name, count = bench.data.name, len(bench.data.queries)
    return Figure(f"{name}: its answers taken away, answered empty", "share", empty / count, pairs=count)


def _cost(model: SentenceModel, data: SearchSet, plan: Plan) -> list[Figure]:
    """CPU time of a warm query, encoded and searched, beside that of encoding it; and of building the shelf."""
    texts = [query.text for query in data.queries][:_QUERIES]
    model.encode(texts[:8])
    figures: list[Figure] = []
    for size in _SIZES[: 2 if plan.quick else 3]:
        shelf, built = _padded(model, data, size)
        whole: list[float] = []
        bare: list[float] = []
        for _ in range(plan.pairs):
            for text in texts:
                began = time.process_time()
                vector = model.encode([text])[0]
                encoded = time.process_time()
                shelf.find(text, vector, 5)
                ended = time.process_time()
                bare.append((encoded - began) * 1e3)
                whole.append((ended - began) * 1e3)
        ratio = median(one / other for one, other in zip(whole, bare, strict=True))
        target = Target(_AT_MOST[size]) if size in _AT_MOST else None
        note = f"search alone {median(whole) - median(bare):.2f} ms; shelf built in {built:.0f} ms"
        what = f"warm query, {size:,} workflows, beside its encoding"
        figures.append(Figure(what, "CPU ms", median(whole), median(bare), ratio, plan.pairs, target, note))
        if size <= _WORDS_UP_TO:
            by_words = anyio.run(_by_words_ms, data, size, texts)
            figures.append(
                Figure(f"the same by words (FTS5), {size:,} workflows", "CPU ms", by_words, pairs=plan.pairs)
            )
    return figures


async def _by_words_ms(data: SearchSet, size: int, texts: Sequence[str]) -> float:
    """Median CPU time of a query in a library of the set's workflows and copies of them with words from others."""
    chance = random.Random(size)
    words = sorted({word for one in data.workflows.values() for word in texts_of(one).words.lower().split()})
    known = dict(data.workflows)
    like = next(iter(known.values()))
    for number in range(size - len(known)):
        made = msgspec.structs.replace(
            like, name=f"made_{number}", hash=f"{number:064}", description=" ".join(chance.choices(words, k=20))
        )
        known[made.name] = made
    taken: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(f"{folder}/search.db") as store:
            async with anyio.create_task_group() as tasks:
                for version in known.values():
                    tasks.start_soon(store.keep_version, version)
            by_hash = {version.hash: name for name, version in known.items()}
            for text in texts:
                began = time.process_time()
                await search(store, by_hash, text, 5)
                taken.append((time.process_time() - began) * 1e3)
    return median(taken)


def _padded(model: SentenceModel, data: SearchSet, size: int) -> tuple[Shelf, float]:
    """The set with invented workflows up to `size`: vectors near real ones, words drawn from real texts; the same every time."""
    chance = np.random.default_rng(size)
    texts = [texts_of(version) for version in data.workflows.values()]
    real = model.encode([one.views[1] for one in texts])
    words = sorted({word for one in texts for word in one.words.lower().split()})
    vectors, catalogue = Vectors(model.dimension), Catalogue()
    for start in range(0, size, 10_000):
        count = min(10_000, size - start)
        noise = chance.normal(0, 0.05, (count, model.dimension)).astype(np.float32)
        made = real[chance.integers(0, len(real), count)] + noise
        vectors.append(made / np.linalg.norm(made, axis=1, keepdims=True))
        picked = chance.integers(0, len(words), (count, 20))
        for place in range(count):
            _add(catalogue, start + place, [words[int(number)] for number in picked[place]])
    began = time.process_time()
    shelf = Shelf(np.arange(size, dtype=np.int32), catalogue, vectors, Recipe())
    return shelf, (time.process_time() - began) * 1e3


def _add(catalogue: Catalogue, row: int, words: Sequence[str]) -> None:
    catalogue.add((row, row, row), " ".join(words))
