"""How good a ranking is: nDCG@10, recall, MRR, each with its interval, and by how much one ranking is better than another."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

_RESAMPLES = 2_000
_SEED = 7


@dataclass(frozen=True)
class Quality:
    """Per query."""

    ndcg: tuple[float, ...]
    mrr: tuple[float, ...]
    recall: Mapping[int, tuple[float, ...]]

    def told(self) -> str:
        """The means with their 95 % intervals."""
        recalls = [f"R@{k} {_with_interval(values)}" for k, values in self.recall.items()]
        return ", ".join([f"nDCG {_with_interval(self.ndcg)}", f"MRR {_with_interval(self.mrr)}", *recalls])


def _with_interval(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{fmean(values):.3f} [{low:.3f}, {high:.3f}]"


def quality(rankings: Sequence[Sequence[str]], wanted: Sequence[frozenset[str]]) -> Quality:
    """Of rankings from the best on; what is not in one was not found."""
    pairs = list(zip(rankings, wanted, strict=True))
    recall = {k: tuple(len({*found[:k]} & good) / min(len(good), k) for found, good in pairs) for k in (1, 5, 10)}
    return Quality(tuple(_ndcg(*pair) for pair in pairs), tuple(_mrr(*pair) for pair in pairs), recall)


def _ndcg(found: Sequence[str], good: frozenset[str]) -> float:
    gain = sum(1 / math.log2(place + 2) for place, name in enumerate(found[:10]) if name in good)
    return gain / sum(1 / math.log2(place + 2) for place in range(min(10, len(good))))


def _mrr(found: Sequence[str], good: frozenset[str]) -> float:
    return next((1 / (place + 1) for place, name in enumerate(found) if name in good), 0.0)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % of the mean, by resampling the queries; the same every time."""
    chance = random.Random(_SEED)
    means = sorted(fmean(chance.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    return means[int(0.025 * _RESAMPLES)], means[int(0.975 * _RESAMPLES)]


def difference(values: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """Interval of the mean paired difference."""
    return interval([value - other for value, other in zip(values, others, strict=True)])
