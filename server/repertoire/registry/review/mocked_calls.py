"""Calls to mock: names of the calls in a source that an example does not make, read off its syntax tree; used by `service.examples`.

They are what `mocks` takes: names of workflows, `ask`, `workflows.create` and `workflows.delete`.
"""

from __future__ import annotations

import ast

from .called_names import references
from .tree import dotted

_CHANGING = ("create", "delete")


def calls_to_mock(tree: ast.Module) -> list[str]:
    """In the order of lines, workflows first. Calls whose name is known only at run time are not seen."""
    found = [one.name for one in references(tree).workflows]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            path = [one for one in dotted(node.func) if one not in ("repertoire", "aio")]
            if path in (["ask"], ["ctx", "ask"]):
                found.append("ask")
            elif len(path) == 2 and path[0] == "workflows" and path[1] in _CHANGING:
                found.append(f"workflows.{path[1]}")
    return list(dict.fromkeys(found))
