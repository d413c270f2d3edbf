"""ClassWorkflow: a class of a source that is a workflow, with its name and description; found in the syntax tree, without running it.

Used by `source`, and by the review for the bodies of the classes. The worker looks at the loaded class again: `worker.source.entry`.
"""

from __future__ import annotations

import ast
import re
import textwrap
from itertools import islice, takewhile

import msgspec

from ..names import snake_case
from ..text import well_formed

_BASES = frozenset({"Workflow"})
"""Last names of base classes, imported from anywhere: `Workflow`, `repertoire.Workflow`, `agno.workflow.Workflow`."""
_ABSTRACT = frozenset({"abstractmethod", "abstractproperty"})
_SECTION = re.compile(
    r"[ \t]*(?:args|arguments|param(?:eter)?s|returns?|yields?|raises|examples?|notes?|usage)[ \t]*:[ \t]*", re.I
)
"""A line that begins a section of a docstring, also without a blank line before it."""
_MOST_ABSTRACT = 50
"""Abstract names that are followed from class to class. A file with more would be slow to read; loading finds the rest."""


class ClassWorkflow(msgspec.Struct, frozen=True):
    """`entry` is the class's name, `name` the workflow's."""

    entry: str
    name: str
    description: str
    line: int


class _Class(msgspec.Struct, frozen=True):
    """A class with its own and inherited parts. An earlier base hides the bases after it."""

    node: ast.ClassDef
    is_workflow: bool
    body: ast.stmt | None
    description: str
    abstract: dict[str, bool]
    """Names that some class of the file marks as abstract, and whether they are abstract in this class."""

    @property
    def lacks(self) -> str | None:
        """Why the class cannot be run; None if it can, as far as this file shows."""
        if open_ones := sorted(name for name, is_so in self.abstract.items() if is_so):
            return f"is abstract: {', '.join(open_ones)} has no body"
        return None if self.body is not None else "has no run or arun method"


def class_workflows(tree: ast.Module) -> tuple[ClassWorkflow, ...]:
    """Top-level classes that inherit from Workflow, directly or through classes of the file, and can be run.

    A class without a `run` or `arun`, own or inherited, or with an abstract method, is only a base of others.
    """
    return tuple(
        ClassWorkflow(one.node.name, snake_case(one.node.name), one.description, one.node.lineno)
        for one in _runnable(tree)
    )


def class_bodies(tree: ast.Module) -> list[tuple[ast.ClassDef, ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """The same classes with their bodies and descriptions. Bodies that are no functions of the file are left out."""
    return [
        (one.node, one.body, one.description)
        for one in _runnable(tree)
        if isinstance(one.body, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def unfinished_class(tree: ast.Module) -> tuple[str, int] | None:
    """For a source without class workflows: why its first class that looks like one is none, and the line of that class."""
    classes = _classes(tree)
    for name, one in classes.items():
        if one.is_workflow:
            lacks = one.lacks or "has a name that begins with _, and so is not published"
            return f"{name} comes from Workflow, but {lacks}.", one.node.lineno
    for name, one in classes.items():
        bases = [last_name(base) for base in one.node.bases]
        if bases and not {*bases} & classes.keys() and one.lacks is None:
            written = ", ".join([*bases, "Workflow"])
            return (
                f"{name} has a run method, but whether {bases[0]} comes from Workflow is not seen in this file: "
                f"write class {name}({written})."
            ), one.node.lineno
    return None


def _runnable(tree: ast.Module) -> list[_Class]:
    return [
        one
        for name, one in _classes(tree).items()
        if not name.startswith("_") and one.is_workflow and one.lacks is None
    ]


def _classes(tree: ast.Module) -> dict[str, _Class]:
    """Classes by name. Bases stand above their subclasses, as in Python, so one pass is enough."""
    nodes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    marked = _abstract_names(nodes)
    known: dict[str, _Class] = {}
    for node in nodes:
        bases = [last_name(base) for base in node.bases]
        above = [known[base] for base in bases if base in known]
        is_workflow = any(base in _BASES and base not in known for base in bases)
        own = _parts(node)
        abstract = {name: is_so for one in reversed(above) for name, is_so in one.abstract.items()}
        abstract |= {name: _is_abstract(part) for name, part in own.items() if name in marked}
        known[node.name] = _Class(
            node,
            is_workflow or any(one.is_workflow for one in above),
            own.get("run") or own.get("arun") or next((one.body for one in above if one.body), None),
            _description(node) or next((one.description for one in above if one.description), ""),
            abstract,
        )
    return known


def _abstract_names(nodes: list[ast.ClassDef]) -> frozenset[str]:
    found = (name for node in nodes for name, part in _parts(node).items() if _is_abstract(part))
    return frozenset(islice(found, _MOST_ABSTRACT))


def _parts(node: ast.ClassDef) -> dict[str, ast.stmt]:
    """The first statement that binds each name in a class: a function, or `part = another_function`."""
    found: dict[str, ast.stmt] = {}
    for part in node.body:
        names = {part.name} if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) else _names(part)
        for name in names:
            found.setdefault(name, part)
    return found


def _is_abstract(part: ast.stmt) -> bool:
    marks = part.decorator_list if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) else []
    return any(last_name(mark) in _ABSTRACT for mark in marks)


def opening(docstring: str | None) -> str:
    """The first paragraph of a docstring in one line, without the sections after it."""
    lines = takewhile(
        lambda line: line.strip() and not _SECTION.fullmatch(line), (docstring or "").strip().splitlines()
    )
    return " ".join(" ".join(lines).split())


def _description(node: ast.ClassDef) -> str:
    """The attribute `description` if it is a string, otherwise the docstring's first paragraph, the class's or that of its body."""
    for part in node.body:
        if _names(part) == {"description"} and (text := _text(part)):
            return well_formed(" ".join(text.split()))
    own = _parts(node)
    said = [ast.get_docstring(node), *(_docstring_of(own.get(name)) for name in ("run", "arun"))]
    return well_formed(next((found for one in said if (found := opening(one))), ""))


def _docstring_of(part: ast.stmt | None) -> str | None:
    return ast.get_docstring(part) if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) else None


def _names(node: ast.stmt) -> set[str]:
    """Names that an assignment binds."""
    targets: list[ast.expr] = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        targets = [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _text(node: ast.stmt) -> str | None:
    """The text that is assigned, also as `dedent("...")` and `"...".strip()`."""
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr == "strip"
        and not value.args
    ):
        value = value.func.value
    if isinstance(value, ast.Call) and last_name(value) in ("dedent", "cleandoc") and len(value.args) == 1:
        value = value.args[0]
    try:
        read = ast.literal_eval(value) if value is not None else None
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return None
    return textwrap.dedent(read) if isinstance(read, str) else None


def last_name(node: ast.AST | None) -> str:
    """`Workflow` of `agno.workflow.Workflow[State]`."""
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
