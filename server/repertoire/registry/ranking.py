"""Outcome score of a workflow, from its past runs: success, use and recency; used by `Finder`.

It is a small part of a search score. Between near-ties, a workflow that succeeds, is used and ran lately comes first.
"""

from __future__ import annotations

import math

from ..store.search_facts import Standing

_PRIOR_RUNS = 2.0
"""Imaginary runs added to every workflow, half of them successful: one success is no proof."""
_MANY_RUNS = 50.0
_FRESH_S = 30 * 24 * 3600.0
"""Recency falls to a third in this time."""


def outcome_score(standing: Standing, now: float) -> float:
    """Between 0 and 1: half for success, a quarter each for use and recency. A workflow that never ran has half of the success part."""
    runs = standing.completed + standing.failed
    success = (standing.completed + _PRIOR_RUNS / 2) / (runs + _PRIOR_RUNS)
    use = min(math.log1p(standing.completed) / math.log1p(_MANY_RUNS), 1.0)
    recency = math.exp(-max(now - standing.last_at, 0.0) / _FRESH_S) if standing.completed else 0.0
    return 0.5 * success + 0.25 * use + 0.25 * recency
