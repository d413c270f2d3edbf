"""Findings as a list for a reader: few, in order, nothing twice. And all rules of ours with how much they weigh."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from ...model.workflow import Finding

Severity = Literal["warning", "info"]

RULES: Final[dict[str, Severity]] = {
    "untyped_parameter": "warning", "untyped_result": "warning", "unnamed_arguments": "info",
    "no_docstring": "warning", "undescribed_parameter": "info", "undescribed_result": "info", "undescribed_error": "info",
    "unclear_name": "warning", "abbreviated_name": "info", "swallowed_parameter": "warning",
    "bare_except": "warning", "hidden_failure": "warning", "error_as_result": "warning", "lost_change": "warning",
    "secret_in_source": "warning", "only_a_wrapper": "info", "long_body": "info",
    "unknown_workflow": "warning", "unknown_argument": "warning", "missing_argument": "warning",
}  # fmt: skip
"""docs/publishing.md says what each is about."""

MOST_FINDINGS: Final = 20
_MOST_NAMES: Final = 8
_OURS: Final = {
    "ruff:E722": ("bare_except", "hidden_failure"),
    "ruff:S110": ("hidden_failure",),
    "ruff:S112": ("hidden_failure",),
}
"""What our own rules say with a better form."""


def finding(
    node: ast.stmt | ast.expr | ast.arg | ast.ExceptHandler | ast.keyword,
    rule: str,
    message: str,
    hint: str,
    *,
    is_minor: bool = False,
) -> Finding:
    """Its column is the parser's, a byte offset. `is_minor`: it weighs less here than elsewhere."""
    return Finding(rule, "info" if is_minor else RULES[rule], message, node.lineno, node.col_offset, hint)


def chosen(found: Iterable[Finding]) -> list[Finding]:
    """One for each rule in a line, in their order; where there are many, the serious ones."""
    first: dict[tuple[str, int | None], Finding] = {}
    for one in found:
        first.setdefault((one.rule, one.line), one)
    worst = sorted(first.values(), key=lambda one: (one.severity == "info", _place(one)))
    return sorted(worst[:MOST_FINDINGS], key=_place)


def merge(own: list[Finding], ruff: list[Finding]) -> list[Finding]:
    """Both in the order of their lines, without what ruff says of a line in which one of our own rules says it."""
    said = {(one.rule, one.line) for one in own}
    new = [one for one in ruff if not any((rule, one.line) in said for rule in _OURS.get(one.rule, ()))]
    return sorted([*own, *new], key=_place)


def distinct(said: Sequence[Finding], more: Sequence[Finding]) -> tuple[Finding, ...]:
    """Both, without what loading says again by a rule of the review: that one saw all parameters and shows a better line.

    By the rule alone, as the lines differ where a function is decorated.
    """
    rules = {one.rule for one in said}
    return (*said, *(one for one in more if one.rule not in rules))


def listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name[:60]}`" for name in names[:_MOST_NAMES])
    return shown + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")


def _place(one: Finding) -> tuple[int, int]:
    return one.line or 0, one.column or 0
