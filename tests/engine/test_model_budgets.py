"""Budgets of requests to models: of created code, of the runs above, and after a resume."""

from __future__ import annotations

import msgspec
import pytest

from repertoire.engine.budget import Budget
from repertoire.errors import OverBudget
from repertoire.limits import Limits
from repertoire.model.usage import Usage
from support.versions import a_version

CREATED = a_version()
OWN = msgspec.structs.replace(CREATED, origin="operator")


def requests_left(budget: Budget) -> int:
    for count in range(2_000):
        try:
            budget.begin_request()
        except OverBudget:
            return count
    raise AssertionError("no bound")


def test_created_code_has_less() -> None:
    assert requests_left(Budget.of(CREATED, Limits())) == 50
    assert requests_left(Budget.of(OWN, Limits())) == 1_000
    with pytest.raises(OverBudget, match="tokens = 200000"):
        Budget.of(CREATED, Limits()).spend_tokens(200_001)


def test_a_run_counts_for_the_runs_above_it() -> None:
    above = Budget.of(CREATED, Limits(untrusted_model_requests=5))
    assert requests_left(Budget.of(OWN, Limits(), above)) == 5
    assert requests_left(above) == 0


def test_the_use_before_a_resume_counts() -> None:
    assert requests_left(Budget.of(CREATED, Limits(), used=Usage(requests=48))) == 2
    assert requests_left(Budget.of(CREATED, Limits(), used=Usage(input_tokens=150_000, output_tokens=50_000))) == 0
