"""Class workflows of a source, found without running it: which classes are one, what each is called and says of itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import msgspec

from ..names import snake_case

_BASES = frozenset({"Workflow"})
"""By their last name, from wherever they were imported: `Workflow`, `repertoire.Workflow`, `agno.workflow.Workflow`."""
_BODIES = frozenset({"run", "arun"})


class ClassWorkflow(msgspec.Struct, frozen=True):
    """`entry` is the class, `name` what its workflow is called."""

    entry: str
    name: str
    description: str
    line: int


def class_workflows(tree: ast.Module) -> tuple[ClassWorkflow, ...]:
    """Classes of the top level that come from Workflow, here or over other classes of the file, and have a body to run.

    A class without `run` and `arun` of its own or inherited in the file is a base of others; one with an abstract body too.
    """
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    return tuple(
        ClassWorkflow(name, snake_case(name), _description(node, classes), node.lineno)
        for name, node in classes.items()
        if not name.startswith("_") and _is_workflow(node, classes) and _has_body(node, classes)
    )


def _lineage(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> Iterator[ast.ClassDef]:
    """The class and its ancestors in this file, nearest first; a circle of names ends."""
    waiting, seen = [node], set()
    while waiting:
        one = waiting.pop(0)
        if one.name in seen:
            continue
        seen.add(one.name)
        yield one
        waiting += [classes[name] for base in one.bases if (name := _last_name(base)) in classes]


def _is_workflow(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> bool:
    return any(
        _last_name(base) in _BASES and _last_name(base) not in classes
        for one in _lineage(node, classes)
        for base in one.bases
    )


def _has_body(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> bool:
    bodies: dict[str, bool] = {}
    for one in _lineage(node, classes):
        for part in one.body:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and part.name in _BODIES:
                bodies.setdefault(
                    part.name, not any(_last_name(mark) == "abstractmethod" for mark in part.decorator_list)
                )
    return any(bodies.values()) and all(bodies.values())


def _description(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> str:
    """The attribute `description` where it is a text, or the docstring's first paragraph; of the nearest class that has one."""
    for one in _lineage(node, classes):
        for part in one.body:
            if isinstance(part, ast.Assign | ast.AnnAssign) and _names(part) == {"description"}:
                text = _text(part.value)
                if text:
                    return " ".join(text.split())
        if doc := ast.get_docstring(one):
            return " ".join(doc.strip().split("\n\n")[0].split())
    return ""


def _names(node: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _text(value: ast.expr | None) -> str | None:
    try:
        read = ast.literal_eval(value) if value is not None else None
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return None
    return read if isinstance(read, str) else None


def _last_name(node: ast.expr) -> str:
    """`Workflow` of `agno.workflow.Workflow[State]`."""
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
