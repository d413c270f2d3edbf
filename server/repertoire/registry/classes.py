"""Class workflows of a source, found without running it: which classes are one, what each is called and says of itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import msgspec

from ..names import snake_case

_BASES = frozenset({"Workflow"})
"""By their last name, from wherever they were imported: `Workflow`, `repertoire.Workflow`, `agno.workflow.Workflow`."""
_BODIES = frozenset({"run", "arun"})
_ABSTRACT = frozenset({"abstractmethod", "abstractproperty"})


class ClassWorkflow(msgspec.Struct, frozen=True):
    """`entry` is the class, `name` what its workflow is called."""

    entry: str
    name: str
    description: str
    line: int


def class_workflows(tree: ast.Module) -> tuple[ClassWorkflow, ...]:
    """Classes of the top level that come from Workflow, here or over other classes of the file, and have a body to run.

    A class without `run` and `arun` of its own or inherited in the file is a base of others; one with an abstract method too.
    """
    classes = _classes(tree)
    return tuple(
        ClassWorkflow(name, snake_case(name), _description(node, classes), node.lineno)
        for name, node in classes.items()
        if not name.startswith("_") and _is_workflow(node, classes) and _lacks(node, classes) is None
    )


def unfinished(tree: ast.Module) -> tuple[str, int] | None:
    """Of a source without class workflows: what its first class that seems to be one lacks, and where that class is."""
    classes = _classes(tree)
    for name, node in classes.items():
        if _is_workflow(node, classes):
            lacks = _lacks(node, classes) or "has a name that begins with _, and so is not published"
            return f"{name} comes from Workflow, but {lacks}.", node.lineno
    for name, node in classes.items():
        bases = [_last_name(base) for base in node.bases]
        if bases and not {*bases} & classes.keys() and _lacks(node, classes) is None:
            written = ", ".join([*bases, "Workflow"])
            return (
                f"{name} has a run method, but whether {bases[0]} comes from Workflow is not seen in this file: "
                f"write class {name}({written})."
            ), node.lineno
    return None


def _classes(tree: ast.Module) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


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


def _lacks(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> str | None:
    """Why the class cannot be run; None if it can, as far as its source in this file shows."""
    abstract: dict[str, bool] = {}
    for one in _lineage(node, classes):
        for part in one.body:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                abstract.setdefault(part.name, any(_last_name(mark) in _ABSTRACT for mark in part.decorator_list))
            else:
                abstract |= dict.fromkeys(_names(part) - abstract.keys(), False)  # `part = another_function`
    if open_ones := sorted(name for name, is_so in abstract.items() if is_so):
        return f"is abstract: {', '.join(open_ones)} has no body"
    return None if _BODIES & abstract.keys() else "has no run or arun method"


def _description(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> str:
    """The attribute `description` where it is a text, or the docstring's first paragraph; of the nearest class that has one."""
    for one in _lineage(node, classes):
        for part in one.body:
            if _names(part) == {"description"} and (text := _text(part)):
                return " ".join(text.split())
        if doc := ast.get_docstring(one):
            return " ".join(doc.strip().split("\n\n")[0].split())
    return ""


def _names(node: ast.stmt) -> set[str]:
    """What an assignment gives values to."""
    targets: list[ast.expr] = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        targets = [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _text(node: ast.stmt) -> str | None:
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
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
