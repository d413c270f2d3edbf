"""When search gives no match: of queries that a library serves (whose answer then has to be among the nearest), and of those that it
does not serve (rightly).

A curve for libraries of several sizes, since the nearest of many is nearer by chance: parts of the own-words workflows drawn at random,
and of the public set whole fields of work, so that queries of the others, and everyday ones, are out of domain.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from repertoire.encoder.scoring import Shelf
from repertoire.encoder.vectors import Floats

from .figures import Figure, Target
from .search_sets import SearchSet

_LISTED = 5
_PARTS = 60
"""Libraries drawn of each size."""
_SIZES = (5, 20)
_FIELDS = (1, 3, 10, 30)
_MOVED = (-0.04, -0.02, 0.0, 0.02, 0.04, 0.08)
"""By how much the bound is moved, for the curve."""
_LEAST_TOLD = Target(0.95, "value", True)
_LEAST_EMPTY = Target(0.9, "value", True)


class Measured:
    """What each query finds in a whole set; a part of it is a choice of columns, as `Shelf.find(within=...)` has it."""

    def __init__(self, data: SearchSet, shelf: Shelf, queries: Floats, unanswerable: Floats) -> None:
        self.data, self.shelf = data, shelf
        names = {name: place for place, name in enumerate(data.workflows)}
        self.fields = [data.fields.get(name) for name in names]
        self.wanted = [sorted(names[name] for name in query.wanted) for query in data.queries]
        self.served = _All(shelf, [query.text for query in data.queries], queries)
        self.foreign = _All(shelf, list(data.unanswerable), unanswerable)


class _All:
    """Score, best cosine and share of words of every query (rows) with every workflow."""

    def __init__(self, shelf: Shelf, texts: Sequence[str], vectors: Floats) -> None:
        found = [shelf.scores(text, vector) for text, vector in zip(texts, vectors, strict=True)]
        self.scores, self.meaning, self.shares = (np.asarray([one[part] for one in found]) for part in range(3))

    def margin(self, query: int, part: Sequence[int], shelf: Shelf) -> float:
        """By how much the bound could be higher until no workflow fits; without limit where one has all words."""
        recipe = shelf._recipe
        meaning, shares = self.meaning[query, part], self.shares[query, part]
        if shares.max() >= recipe.all_words:
            return float("inf")
        slack = np.where(shares >= recipe.words_suffice, recipe.words_slack, 0.0)
        return float((meaning + slack).max()) - recipe.bound.among(len(part))


@dataclass
class Tally:
    """Margins: of queries that are served, of those of them whose answer is among the first five, and of what nothing serves."""

    served: list[float] = field(default_factory=list)
    found: list[float] = field(default_factory=list)
    foreign: list[float] = field(default_factory=list)
    elsewhere: list[float] = field(default_factory=list)
    """Of queries that another field of work serves."""
    sizes: list[int] = field(default_factory=list)

    def lost(self, moved: float = 0.0) -> float:
        return _below(self.served, moved)

    def answers_lost(self, moved: float = 0.0) -> float:
        return sum(margin < moved for margin in self.found) / len(self.served)

    def add(self, measured: Measured, part: Sequence[int]) -> None:
        """The queries against this part of the library."""
        columns = list(part)
        kept, known = {*columns}, {measured.fields[place] for place in columns}
        self.sizes.append(len(columns))
        for query, wanted in enumerate(measured.wanted):
            good = [place for place in wanted if place in kept]
            if not good and not _foreign(measured, wanted, known):
                continue
            margin = measured.served.margin(query, columns, measured.shelf)
            if not good:
                self.elsewhere.append(margin)
                continue
            self.served.append(margin)
            scores = measured.served.scores[query]
            if (scores[columns] > scores[good].max()).sum() < _LISTED:
                self.found.append(margin)
        for query in range(len(measured.foreign.scores)):
            self.foreign.append(measured.foreign.margin(query, columns, measured.shelf))


def _foreign(measured: Measured, wanted: Sequence[int], known: set[str | None]) -> bool:
    """Whether all that serves it belongs to known fields of work, and to none of these."""
    fields = {measured.fields[place] for place in wanted}
    return None not in fields and not fields & known


def _below(margins: Sequence[float], moved: float) -> float:
    return sum(margin < moved for margin in margins) / len(margins) if margins else 0.0


def abstention(data: SearchSet, shelf: Shelf, queries: Floats, unanswerable: Floats) -> list[Figure]:
    measured = Measured(data, shelf, queries, unanswerable)
    figures: list[Figure] = []
    for parts in _libraries(measured, random.Random(11)):
        tally = Tally()
        for part in parts:
            tally.add(measured, part)
        figures += _figures(data.name, tally)
    return [*figures, *_whole(measured, queries)]


def _libraries(measured: Measured, chance: random.Random) -> list[list[Sequence[int]]]:
    """Of each size, some."""
    if measured.data.fields:
        return [[_of_fields(measured, chance, count) for _ in range(_PARTS)] for count in _FIELDS]
    every = range(len(measured.data.workflows))
    drawn: list[list[Sequence[int]]] = [[chance.sample(every, size) for _ in range(_PARTS)] for size in _SIZES]
    return [*drawn, [every]]


def _of_fields(measured: Measured, chance: random.Random, count: int) -> Sequence[int]:
    kept = {*chance.sample(sorted({of for of in measured.fields if of}), count)}
    return [place for place, of in enumerate(measured.fields) if of in kept]


def _figures(name: str, tally: Tally) -> list[Figure]:
    about = f"{name}, {sorted(tally.sizes)[len(tally.sizes) // 2]} workflows"
    lost = " ".join(f"{moved:+.2f}: {tally.lost(moved):.3f} ({tally.answers_lost(moved):.3f})" for moved in _MOVED)
    figures = [
        Figure(
            f"{about}: served, without matches", "share", tally.lost(), pairs=len(tally.served),
            note=f"(with a right one among the first five) by bound {lost}",
        ),
        Figure(
            f"{about}: nothing serves it, without matches", "share", _below(tally.foreign, 0.0),
            pairs=len(tally.foreign), target=_LEAST_EMPTY, note=f"by bound {_curve(tally.foreign)}",
        ),
    ]  # fmt: skip
    if tally.elsewhere:
        what, share = f"{about}: another field's, without matches", _below(tally.elsewhere, 0.0)
        figures.append(
            Figure(what, "share", share, pairs=len(tally.elsewhere), note=f"by bound {_curve(tally.elsewhere)}")
        )
    return figures


def _whole(measured: Measured, queries: Floats) -> list[Figure]:
    """Against the whole set: as a caller sees it; and each query without the workflows that serve it."""
    data, shelf = measured.data, measured.shelf
    texts = [query.text for query in data.queries]
    found = [shelf.find(text, vector, _LISTED, outcome=0.0) for text, vector in zip(texts, queries, strict=True)]
    matches = [{hit.doc for hit in fitting[:_LISTED]} for fitting, _ in found]
    told = [listed | {hit.doc for hit in nearest} for listed, (_, nearest) in zip(matches, found, strict=True)]
    hits, tolds = (
        fmean(bool(one & {*wanted}) for one, wanted in zip(listed, measured.wanted, strict=True))
        for listed in (matches, told)
    )
    count, pairs = len(data.workflows), len(texts)
    rests = [[place for place in range(count) if place not in wanted] for wanted in measured.wanted]
    without = [measured.served.margin(query, rest, shelf) for query, rest in enumerate(rests)]
    return [
        Figure(f"{data.name}: without matches", "share", fmean(not one for one in matches), pairs=pairs),
        Figure(f"{data.name}: a right one among five matches", "share", hits, pairs=pairs),
        Figure(f"{data.name}: a right one in matches or nearest", "share", tolds, pairs=pairs, target=_LEAST_TOLD),
        Figure(f"{data.name}: its answers taken away, without matches", "share", _below(without, 0.0), pairs=pairs,
               note=f"by bound {_curve(without)}; near duplicates stay, and are true answers"),
    ]  # fmt: skip


def _curve(margins: Sequence[float]) -> str:
    return " ".join(f"{moved:+.2f}: {_below(margins, moved):.3f}" for moved in _MOVED)
