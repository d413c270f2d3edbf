"""What search costs: CPU time of a warm query and of taking a library in, beside that of encoding, with up to 100,000 workflows."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from statistics import median

import anyio
import msgspec
import numpy as np

from repertoire.encoder.minilm import SentenceModel
from repertoire.encoder.scoring import Documents, Shelf
from repertoire.encoder.search_weights import Recipe
from repertoire.encoder.vectors import Floats, Vectors
from repertoire.registry.search import search
from repertoire.registry.search_texts import texts_of
from repertoire.store import open_store

from .figures import Figure, Plan, Target
from .search_sets import SearchSet
from .servers import a_home
from .wire import Client, call

_SIZES = (1_000, 10_000, 100_000)
_AT_MOST = {10_000: 1.5, 100_000: 2.5}
_WORDS_UP_TO = 10_000
_QUERIES = 40


def cost(model: SentenceModel, data: SearchSet, plan: Plan) -> list[Figure]:
    """CPU time of a warm query, encoded and searched, beside that of encoding it; the same of taking workflows in."""
    texts = [query.text for query in data.queries][:_QUERIES]
    model.encode(texts[:8])
    encoding = _encoding_ms(model, data)
    figures: list[Figure] = []
    for size in _SIZES[: 2 if plan.quick else 3]:
        shelf, built = _padded(model, data, size)
        figures.append(_warm(model, shelf, texts, plan.pairs))
        value = encoding + built / size
        what, note = f"taking in, {size:,} workflows, beside encoding their texts", f"all but encoding {built:.0f} ms"
        figures.append(Figure(what, "CPU ms each", value, encoding, value / encoding, note=note))
        if size <= _WORDS_UP_TO:
            by_words = anyio.run(_by_words_ms, data, size, texts)
            figures.append(
                Figure(f"the same query by words (FTS5), {size:,} workflows", "CPU ms", by_words, pairs=len(texts))
            )
    return figures


def first_answer(data: SearchSet, pairs: int) -> list[Figure]:
    """Of a server that has just been started on an indexed library, after tools/list: the host's view, wall time."""
    text = data.queries[0].text
    first: list[float] = []
    semantic: list[float] = []
    with a_home() as home:
        for name, version in data.workflows.items():
            home.add(name, version.source)
        rankings: list[str] = []
        for _ in range(pairs + 1):  # the first of them indexes the library
            with home.front() as client:
                client.ask("tools/list")
                if not rankings:
                    _until(lambda: {*data.workflows} <= _names(client))
                began = time.perf_counter()
                rankings.append(call(client, "search_workflows", query=text)["ranking"])
                first.append((time.perf_counter() - began) * 1e3)
                _until(lambda: call(client, "search_workflows", query=text)["ranking"] == "semantic")
                semantic.append((time.perf_counter() - began) * 1e3)
            home.stop()
    what = f"first answer of a started server, {len(data.workflows)} indexed workflows"
    note = f"by words ({', '.join(sorted({*rankings[1:]}))}); by meaning after {median(semantic[1:]):.0f} ms"
    return [Figure(what, "ms", median(first[1:]), pairs=pairs, target=Target(1000, "value"), note=note)]


def _names(client: Client) -> set[str]:
    return {one["name"] for one in call(client, "list_workflows", limit=1000)["workflows"]}


def _until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("the server did not get so far")
        time.sleep(0.05)


def _warm(model: SentenceModel, shelf: Shelf, texts: Sequence[str], pairs: int) -> Figure:
    whole: list[float] = []
    bare: list[float] = []
    for text in [*texts] * pairs:
        began = time.process_time()
        vector = model.encode([text])[0]
        encoded = time.process_time()
        shelf.find(text, vector, 5)
        ended = time.process_time()
        bare.append((encoded - began) * 1e3)
        whole.append((ended - began) * 1e3)
    size = len(shelf.docs)
    ratio = median(one / other for one, other in zip(whole, bare, strict=True))
    target = Target(_AT_MOST[size]) if size in _AT_MOST else None
    note = f"search alone {median(whole) - median(bare):.2f} ms"
    what = f"warm query, {size:,} workflows, beside its encoding"
    return Figure(what, "CPU ms", median(whole), median(bare), ratio, pairs, target, note)


def _encoding_ms(model: SentenceModel, data: SearchSet) -> float:
    """CPU time of encoding all texts of a workflow, in batches of texts of one length, as the host sends them."""
    texts = sorted({view for version in data.workflows.values() for view in texts_of(version).views}, key=len)
    began = time.process_time()
    for start in range(0, len(texts), 16):
        model.encode(texts[start : start + 16])
    return (time.process_time() - began) * 1e3 / len(data.workflows)


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
    """Invented workflows: vectors near real ones, words drawn from real texts; the same every time. And the CPU ms of taking them in."""
    chance = np.random.default_rng(size)
    texts = [texts_of(version) for version in data.workflows.values()]
    real = model.encode([one.views[1] for one in texts])
    words = sorted({word for one in texts for word in one.words.lower().split()})
    vectors, documents, spent = Vectors(model.dimension), Documents(), 0.0
    for start in range(0, size, 10_000):
        count = min(10_000, size - start)
        made = [_near(real, chance, count) for _ in range(3)]
        said = [" ".join(words[int(number)] for number in row) for row in chance.integers(0, len(words), (count, 20))]
        began = time.process_time()
        for view in made:
            vectors.append(view)
        for place, text in enumerate(said):
            first = 3 * start + place
            documents.add((first, first + count, first + 2 * count), text)
        spent += time.process_time() - began
    began = time.process_time()
    shelf = Shelf(np.arange(size, dtype=np.int32), documents, vectors, Recipe())
    return shelf, (spent + time.process_time() - began) * 1e3


def _near(real: Floats, chance: np.random.Generator, count: int) -> Floats:
    made = real[chance.integers(0, len(real), count)] + chance.normal(0, 0.05, (count, real.shape[1]))
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)
