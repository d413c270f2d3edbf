"""Measuring in pairs: each figure is the median of ratios whose two halves were taken one right after the other.

Machines are noisy and differ; a ratio within one pair holds on all of them. Absolute values stand beside it for the reader.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

BARE = "bare"
BUDGET_S = 150.0
"""A benchmark takes no new pair after this, but always one."""


@dataclass(frozen=True)
class Plan:
    """What the command line asked for."""

    pairs: int = 5
    quick: bool = False
    fastmcp: str | None = None
    """A Python that can import fastmcp."""
    agno: Mapping[str, str | None] = field(default_factory=dict)
    """Pythons that can import Agno 1 (`agno1`) and Agno 3 (`agno3`)."""
    dbos: str | None = None
    """A Python that can import dbos."""
    redis: str | None = None
    """The program redis-server."""
    search_set: str | None = None
    """A folder with corpus.jsonl and queries.jsonl."""


@dataclass(frozen=True)
class Target:
    """At most this, or at least: of the ratio, of what is measured itself, or of its difference from bare."""

    bound: float
    of: Literal["ratio", "value", "difference"] = "ratio"
    at_least: bool = False

    def met_by(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


@dataclass(frozen=True)
class Figure:
    """One row. `value` and `bare` are medians in `unit`; `ratio` is the median of the pairs' ratios, not value / bare."""

    what: str
    unit: str
    value: float
    bare: float | None = None
    ratio: float | None = None
    pairs: int = 1
    target: Target | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        if self.target.of == "value":
            return self.target.met_by(self.value)
        if self.target.of == "difference":
            return self.bare is not None and self.target.met_by(self.value - self.bare)
        return self.ratio is not None and self.target.met_by(self.ratio)


Measures = Mapping[str, Callable[[], Mapping[str, float]]]
"""Per subject, a function that measures once and gives named values. One subject is BARE."""

Series = dict[str, dict[str, list[float]]]
"""Values by subject and name, one per pair."""


class Budget:
    """Time for one part of a benchmark."""

    def __init__(self, seconds: float = BUDGET_S) -> None:
        self._end = time.monotonic() + seconds

    @property
    def spent(self) -> bool:
        return time.monotonic() > self._end


def interleave(pairs: int, measures: Measures, budget: Budget) -> Series:
    """Measure every subject once per round, in turning order, so that none is always first."""
    series: Series = {subject: {} for subject in measures}
    subjects = list(measures)
    for number in range(pairs):
        if number and budget.spent:
            break
        turn = number % len(subjects)
        for subject in subjects[turn:] + subjects[:turn]:
            for name, value in measures[subject]().items():
                series[subject].setdefault(name, []).append(value)
    return series


def against_bare(
    series: Series, subject: str, name: str, *, what: str = "", unit: str = "ms", target: Target | None = None,
    note: str = "", base: str = BARE,
) -> Figure:  # fmt: skip
    values, bare = series[subject][name], series[base][name]
    ratios = [value / other for value, other in zip(values, bare, strict=True)]
    return Figure(
        what or f"{subject}, {name}", unit, median(values), median(bare), median(ratios), len(ratios), target, note
    )


def percentile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def latencies(seconds: list[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    return {"p50": percentile(seconds, 0.5) * 1e3, "p99": percentile(seconds, 0.99) * 1e3}
