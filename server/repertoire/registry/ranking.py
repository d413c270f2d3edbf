"""How a workflow's runs went, as a small part of its score: between near-ties the one that works, is used and is fresh comes first."""

from __future__ import annotations

import math

from ..store.search_facts import Standing

_PRIOR_RUNS = 2.0
"""Runs, half of them good, that every workflow is thought to have had: one success is no proof."""
_MANY_RUNS = 50.0
_FRESH_S = 30 * 24 * 3600.0
"""Recency falls to a third in this time."""


def worth(standing: Standing, now: float) -> float:
    """Between 0 and 1: half for success, a quarter each for use and recency. What never ran has half of the success and nothing else."""
    runs = standing.completed + standing.failed
    success = (standing.completed + _PRIOR_RUNS / 2) / (runs + _PRIOR_RUNS)
    use = min(math.log1p(standing.completed) / math.log1p(_MANY_RUNS), 1.0)
    recency = math.exp(-max(now - standing.last_at, 0.0) / _FRESH_S) if standing.completed else 0.0
    return 0.5 * success + 0.25 * use + 0.25 * recency
