"""Remarks: `review` applies our own rules to a source, each remark with a better form; used by `PrePublishChecks`.

A remark stops nothing. `source` and the worker find the errors that stop publishing. A rule that is often wrong is worse than no rule, so
each rule reports only plain cases.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import msgspec

from ...model.workflow_version import Finding
from .agent_options import options_without_effect
from .ambient_calls import ambient_calls
from .documentation import documentation
from .entry_points import entries, shape
from .failures import hidden_failures
from .findings import select_findings
from .missing_types import signature
from .naming import local_names, names_of_entry, names_of_function
from .outside_effects import outside_effects
from .secret import find_secrets
from .step_changes import lost_changes
from .tree import Function, by_scope, scoped_nodes


def review(tree: ast.Module, source: str) -> list[Finding]:
    """At most twenty remarks in the order of lines, one for each rule and line. If there are more, the serious ones."""
    return _in_characters(select_findings(_all_remarks(tree)), source)


def _all_remarks(tree: ast.Module) -> Iterator[Finding]:
    called = entries(tree)
    functions = {one.function for one in called}
    seen = scoped_nodes(tree, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    inside = by_scope(seen)
    yield from hidden_failures(seen, functions)
    yield from lost_changes(seen, inside)
    yield from outside_effects(inside, functions)
    yield from ambient_calls(seen)
    yield from options_without_effect(seen)
    for node, *_ in seen:
        yield from find_secrets(node)
        if isinstance(node, Function) and node not in functions:
            yield from names_of_function(node)
    for nodes in inside.values():
        yield from local_names(nodes)
    for entry in called:
        nodes = inside.get(entry.function, [])
        yield from signature(entry, nodes)
        yield from documentation(entry, nodes, tree)
        yield from names_of_entry(entry, tree)
        yield from shape(entry, tree)


def _in_characters(found: list[Finding], source: str) -> list[Finding]:
    """Columns in characters, from 1. The parser counts bytes, from 0."""
    lines = re.split(r"\r\n|\r|\n", source)  # the parser counts lines so

    def column(one: Finding) -> int:
        line = lines[one.line - 1] if one.line and one.line <= len(lines) else ""
        return len(line.encode("utf-8", "surrogatepass")[: one.column].decode("utf-8", "replace")) + 1

    return [msgspec.structs.replace(one, column=column(one)) for one in found]
