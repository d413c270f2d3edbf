"""What could be better in a source: advice for whoever wrote it, each with a better form.

It stops nothing: what stops publishing is found by `source` and by the worker. A rule that would often be wrong is worth less than
none, so each looks for what is plainly so.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import msgspec

from ...model.workflow import Finding
from .documentation import documentation
from .entry_points import entries, shape
from .failures import failures
from .findings import chosen
from .missing_types import signature
from .naming import local_names, names_of_entry, names_of_function
from .secret import secrets
from .step_changes import lost_changes
from .tree import Function, by_scope, places


def review(tree: ast.Module, source: str) -> list[Finding]:
    """At most twenty remarks in the order of their lines, one for each rule in a line; the serious ones where there are more."""
    return _in_characters(chosen(_found(tree)), source)


def _found(tree: ast.Module) -> Iterator[Finding]:
    called = entries(tree)
    functions = {one.function for one in called}
    seen = places(tree, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    inside = by_scope(seen)
    yield from failures(seen, functions)
    yield from lost_changes(seen, inside)
    for node, *_ in seen:
        yield from secrets(node)
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
    """With columns from 1 in characters, where the parser has byte offsets."""
    lines = re.split(r"\r\n|\r|\n", source)  # as the parser counts them

    def column(one: Finding) -> int:
        line = lines[one.line - 1] if one.line and one.line <= len(lines) else ""
        return len(line.encode("utf-8", "surrogatepass")[: one.column].decode("utf-8", "replace")) + 1

    return [msgspec.structs.replace(one, column=column(one)) for one in found]
