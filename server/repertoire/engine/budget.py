"""What a run and everything below it may use. One budget for a whole tree of runs, each of which may be given a smaller share."""

from __future__ import annotations

from collections import Counter

from ..errors import OverBudget
from ..model.workflow import BudgetOptions
from ..settings import Limits


class Budget:
    """`calls` door calls, `tokens` of models, `fan_out` calls at once, `depth` runs above each other. `above` is the parent's."""

    def __init__(self, limits: BudgetOptions, above: Budget | None = None, *, calls: int = 0) -> None:
        self._limits = limits
        self._above = above
        self.calls = calls
        self.tokens = 0
        self._open = 0
        self._used: Counter[str] = Counter()

    @classmethod
    def of(
        cls, declared: BudgetOptions | None, limits: Limits, above: Budget | None = None, *, calls: int = 0
    ) -> Budget:
        """What the workflow declares, capped by the settings."""
        caps = BudgetOptions(
            calls=limits.max_calls, tokens=limits.max_tokens, fan_out=limits.max_fan_out, depth=limits.max_depth
        )
        return cls(_lower(declared, caps), above, calls=calls)

    def begin_call(self, what: str) -> None:
        """Raises OverBudget, and counts nothing then."""
        budget: Budget | None = self
        while budget is not None:
            budget._check(what)
            budget = budget._above
        budget = self
        while budget is not None:
            budget.calls += 1
            budget._open += 1
            budget._used[what] += 1
            budget = budget._above

    def end_call(self) -> None:
        budget: Budget | None = self
        while budget is not None:
            budget._open -= 1
            budget = budget._above

    def spend_tokens(self, tokens: int) -> None:
        """Raises OverBudget when they are more than were left; they are counted all the same."""
        budget: Budget | None = self
        while budget is not None:
            budget.tokens += tokens
            if budget._limits.tokens is not None and budget.tokens > budget._limits.tokens:
                raise budget._over("tokens", f"{budget.tokens} model tokens", budget._limits.tokens)
            budget = budget._above

    def check_depth(self, depth: int, path: str) -> None:
        """Raises OverBudget for a run below too many others."""
        if self._limits.depth is not None and depth > self._limits.depth:
            message = f"Workflows call each other {depth} deep ({path}); at most {self._limits.depth} are allowed."
            raise OverBudget(
                message, "A workflow that calls itself must come to an end: check what ends the recursion."
            )

    def _check(self, what: str) -> None:
        if self._limits.calls is not None and self.calls >= self._limits.calls:
            raise self._over("calls", f"{what} would be call {self.calls + 1}", self._limits.calls)
        if self._limits.fan_out is not None and self._open >= self._limits.fan_out:
            raise self._over("fan_out", f"{what} would be the {self._open + 1}th call at once", self._limits.fan_out)

    def _over(self, which: str, used: str, limit: int) -> OverBudget:
        spent = ", ".join(f"{what} {count} times" for what, count in self._used.most_common(5))
        return OverBudget(
            f"The run's budget is used up: {used}; its budget is {which} = {limit}. Used by: {spent or 'nothing'}.",
            f'Do less in one run, or declare __workflow__ = {{"budget": {{"{which}": ...}}}} up to what the settings allow.',
        )


def _lower(declared: BudgetOptions | None, caps: BudgetOptions) -> BudgetOptions:
    def lower(name: str) -> int | None:
        given = [
            value for source in (declared, caps) if source is not None and (value := getattr(source, name)) is not None
        ]
        return min(given, default=None)

    return BudgetOptions(calls=lower("calls"), tokens=lower("tokens"), fan_out=lower("fan_out"), depth=lower("depth"))
