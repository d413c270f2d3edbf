"""Findings for a reader: makes, selects, orders and merges them, and holds the table of our own rules; used by all rules of the review."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from ...model.workflow_version import Finding

Severity = Literal["warning", "info"]

RULES: Final[dict[str, Severity]] = {
    "untyped_parameter": "warning", "untyped_result": "warning", "unnamed_arguments": "info",
    "no_docstring": "warning", "fuller_docstring": "info",
    "undescribed_parameter": "info", "undescribed_result": "info", "undescribed_error": "info",
    "unclear_name": "warning", "abbreviated_name": "info", "swallowed_parameter": "warning",
    "bare_except": "warning", "hidden_failure": "warning", "error_as_result": "warning", "lost_change": "warning",
    "effect_outside_step": "warning",
    "secret_in_source": "warning", "only_a_wrapper": "info", "long_body": "info",
    "unknown_workflow": "warning", "unknown_argument": "warning", "missing_argument": "warning",
    "positional_argument": "warning", "wrong_argument": "warning",
    "unknown_import": "warning", "missing_package": "warning", "import_not_allowed": "warning", "no_terminal": "warning",
    "workflow_not_allowed": "warning", "option_without_effect": "warning",
}  # fmt: skip
"""Our rules with their severities. docs/publishing.md explains each."""

MOST_FINDINGS: Final = 20
_MOST_NAMES: Final = 8
_OURS: Final = {
    "ruff:E722": ("bare_except", "hidden_failure"),
    "ruff:S110": ("hidden_failure",),
    "ruff:S112": ("hidden_failure",),
    "ruff:F401": ("unknown_import", "missing_package", "import_not_allowed"),
}
"""Ruff's rules, and our own rules that say the same with a better hint."""


def finding(
    node: ast.stmt | ast.expr | ast.arg | ast.ExceptHandler | ast.keyword | ast.alias,
    rule: str,
    message: str,
    hint: str,
    *,
    is_minor: bool = False,
) -> Finding:
    """A finding of our own. Its column is the parser's, a byte offset. `is_minor`: `info` here, whatever the table says."""
    return Finding(rule, "info" if is_minor else RULES[rule], message, node.lineno, node.col_offset, hint)


def select_findings(found: Iterable[Finding]) -> list[Finding]:
    """One for each rule and line, in the order of lines. If there are more than MOST_FINDINGS, the serious ones."""
    first: dict[tuple[str, int | None], Finding] = {}
    for one in found:
        first.setdefault((one.rule, one.line), one)
    worst = sorted(first.values(), key=lambda one: (one.severity == "info", _place(one)))
    return sorted(worst[:MOST_FINDINGS], key=_place)


def merge(own: list[Finding], ruff: list[Finding]) -> list[Finding]:
    """Both in the order of lines. A finding of ruff is dropped if our own rule says the same of that line."""
    said = {(one.rule, one.line) for one in own}
    new = [one for one in ruff if not any((rule, one.line) in said for rule in _OURS.get(one.rule, ()))]
    return sorted([*own, *new], key=_place)


def distinct(reviewed: Sequence[Finding], loaded: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings of the review, and those of loading by other rules. The review saw all parameters and shows a better line.

    Only the rules are compared: the lines differ if a function is decorated.
    """
    rules = {one.rule for one in reviewed}
    return (*reviewed, *(one for one in loaded if one.rule not in rules))


def name_list(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name[:60]}`" for name in names[:_MOST_NAMES])
    return shown + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")


def _place(one: Finding) -> tuple[int, int]:
    return one.line or 0, one.column or 0
