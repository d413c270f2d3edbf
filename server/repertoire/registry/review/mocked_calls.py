"""Calls to mock: names of the calls in a source that an example does not make, read off its syntax tree; used by `service.examples`.

They are what `mocks` takes: names of workflows, `tools.github.create_issue`, `ask`, and calls that change something, such as `artifacts.save`.
"""

from __future__ import annotations

import ast

from .called_names import references
from .tree import dotted

_CHANGING = ("workflows.create", "workflows.delete", "artifacts.save", "artifacts.delete")


def calls_to_mock(tree: ast.Module) -> list[str]:
    """In the order of lines, workflows first. Calls whose name is known only at run time are not seen."""
    called = references(tree)
    found = [one.name for one in called.workflows]
    found += [f"tools.{one}" for one in called.tools if not one.endswith("*") and one not in ("list", "search")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            path = [one for one in dotted(node.func) if one not in ("repertoire", "aio")]
            if path in (["ask"], ["ctx", "ask"]):
                found.append("ask")
            elif (name := ".".join(path)) in _CHANGING:
                found.append(name)
    return list(dict.fromkeys(found))
