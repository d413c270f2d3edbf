"""Rule for agents: an option of `Agent(...)` or `Team(...)` that is accepted and has no effect; used by `remarks`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from ...agents import options
from ...model.workflow_version import Finding
from .findings import finding
from .tree import Node

_PACKAGES: Final = frozenset({"agno", "buddy", "phi", "repertoire"})
_KINDS: Final = frozenset({"Agent", "Team"})


def options_without_effect(nodes: list[Node]) -> Iterator[Finding]:
    """Agents that are made in the source, whatever name its imports give the class."""
    kinds = {
        alias.asname or alias.name: alias.name
        for node, *_ in nodes
        if type(node) is ast.ImportFrom and not node.level and (node.module or "").partition(".")[0] in _PACKAGES
        for alias in node.names
        if alias.name in _KINDS
    }
    if not kinds:
        return
    for node, *_ in nodes:
        match node:
            case ast.Call(func=ast.Name(id=name), keywords=keywords) if name in kinds:
                yield from _of_call(kinds[name], keywords)


def _of_call(kind: str, keywords: list[ast.keyword]) -> Iterator[Finding]:
    for one in keywords:
        if one.arg is None or (advice := options.advice(one.arg)) is None or _asks_for_nothing(one.value):
            continue
        yield finding(
            one,
            "option_without_effect",
            f"{kind}({one.arg}=...) is accepted and has no effect here.",
            f"{advice[:1].upper()}{advice[1:]}.",
        )


def _asks_for_nothing(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and not options.is_asked_for(value.value)
