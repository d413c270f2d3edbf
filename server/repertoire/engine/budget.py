"""Budget: limits the calls and model tokens of a run and of all runs below it; used by the runner and by CallExecutor.

Each run has a budget of its own. A call counts in it and in the budgets of all runs above, so a run never uses more than its parent may.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from ..errors import OverBudget
from ..limits import Limits
from ..model.usage import Usage
from ..model.workflow_options import BudgetOptions
from ..model.workflow_version import WorkflowVersion

_NOTHING: Final = Usage()


class Budget:
    """Limits: `calls` to doors, `requests` to models and their `tokens`, `fan_out` calls at once, `depth` of runs. `above` is the parent's
    budget."""

    def __init__(
        self, limits: BudgetOptions, above: Budget | None = None, *, calls: int = 0, used: Usage = _NOTHING
    ) -> None:
        self._limits = limits
        self._above = above
        self.calls = calls
        self.requests = used.requests
        self.tokens = used.tokens
        self._open = 0
        self._used: Counter[str] = Counter()

    @classmethod
    def of(
        cls,
        version: WorkflowVersion | None,
        limits: Limits,
        above: Budget | None = None,
        *,
        calls: int = 0,
        used: Usage = _NOTHING,
    ) -> Budget:
        """A budget with the limits that the workflow declares, capped by the settings. `calls` and `used` were spent before."""
        caps = BudgetOptions(
            calls=limits.max_calls,
            requests=limits.max_model_requests,
            tokens=limits.max_tokens,
            fan_out=limits.max_fan_out,
            depth=limits.max_depth,
        )
        if version is not None and not version.is_trusted:
            own = BudgetOptions(
                requests=limits.untrusted_model_requests,
                tokens=limits.untrusted_tokens,
                fan_out=limits.untrusted_fan_out,
            )
            caps = _lower_of(own, caps)
        declared = None if version is None else version.options.budget
        return cls(_lower_of(declared, caps), above, calls=calls, used=used)

    def begin_call(self, name: str) -> None:
        """Count a call. Raises OverBudget, and then nothing is counted."""
        budget: Budget | None = self
        while budget is not None:
            budget._check(name)
            budget = budget._above
        budget = self
        while budget is not None:
            budget.calls += 1
            budget._open += 1
            budget._used[name] += 1
            budget = budget._above

    def end_call(self) -> None:
        budget: Budget | None = self
        while budget is not None:
            budget._open -= 1
            budget = budget._above

    def begin_request(self) -> None:
        """Count a request to a model. Raises OverBudget where no request or no token is left, and then nothing is counted."""
        budget: Budget | None = self
        while budget is not None:
            requests, tokens = budget._limits.requests, budget._limits.tokens
            if requests is not None and budget.requests >= requests:
                raise budget._over_budget("requests", f"it would be model request {budget.requests + 1}", requests)
            if tokens is not None and budget.tokens >= tokens:
                raise budget._over_budget("tokens", f"{budget.tokens} model tokens", tokens)
            budget = budget._above
        budget = self
        while budget is not None:
            budget.requests += 1
            budget = budget._above

    def spend_tokens(self, tokens: int) -> None:
        """Count tokens. Raises OverBudget if fewer were left. They are counted in that case too."""
        budget: Budget | None = self
        while budget is not None:
            budget.tokens += tokens
            if budget._limits.tokens is not None and budget.tokens > budget._limits.tokens:
                raise budget._over_budget("tokens", f"{budget.tokens} model tokens", budget._limits.tokens)
            budget = budget._above

    def check_depth(self, depth: int, path: str) -> None:
        """Raises OverBudget if a run has too many runs above it."""
        if self._limits.depth is not None and depth > self._limits.depth:
            message = f"Workflows call each other {depth} deep ({path}); at most {self._limits.depth} are allowed."
            raise OverBudget(
                message, "A workflow that calls itself must come to an end: check what ends the recursion."
            )

    def _check(self, name: str) -> None:
        if self._limits.calls is not None and self.calls >= self._limits.calls:
            raise self._over_budget("calls", f"{name} would be call {self.calls + 1}", self._limits.calls)
        if self._limits.fan_out is not None and self._open >= self._limits.fan_out:
            raise self._over_budget(
                "fan_out", f"{name} would be the {self._open + 1}th call at once", self._limits.fan_out
            )

    def _over_budget(self, limit_name: str, used: str, limit: int) -> OverBudget:
        spent = ", ".join(f"{name} {count} times" for name, count in self._used.most_common(5))
        return OverBudget(
            f"The run's budget is used up: {used}; its budget is {limit_name} = {limit}. Used by: {spent or 'nothing'}.",
            f'Do less in one run, or declare __workflow__ = {{"budget": {{"{limit_name}": ...}}}} up to what the settings allow.',
        )


def _lower_of(declared: BudgetOptions | None, caps: BudgetOptions) -> BudgetOptions:
    def lower(name: str) -> int | None:
        given = [
            value for source in (declared, caps) if source is not None and (value := getattr(source, name)) is not None
        ]
        return min(given, default=None)

    return BudgetOptions(**{name: lower(name) for name in BudgetOptions.__struct_fields__})
