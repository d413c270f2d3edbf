"""Class workflows of a source, found without running it: which classes are one, what each is called and says of itself."""

from __future__ import annotations

import ast
from itertools import islice

import msgspec

from ..names import snake_case
from ..text import well_formed

_BASES = frozenset({"Workflow"})
"""By their last name, from wherever they were imported: `Workflow`, `repertoire.Workflow`, `agno.workflow.Workflow`."""
_ABSTRACT = frozenset({"abstractmethod", "abstractproperty"})
_MOST_ABSTRACT = 50
"""Names that are followed from class to class. A file with more would be slow to read; loading it finds what is missing."""


class ClassWorkflow(msgspec.Struct, frozen=True):
    """`entry` is the class, `name` what its workflow is called."""

    entry: str
    name: str
    description: str
    line: int


class _Class(msgspec.Struct, frozen=True):
    """A class with what it inherits from those above it in the file: a base that gives something hides the bases after it."""

    node: ast.ClassDef
    is_workflow: bool
    body: ast.stmt | None
    description: str
    abstract: dict[str, bool]
    """Of names that some class of the file marks as abstract: whether it is so here."""

    @property
    def lacks(self) -> str | None:
        """Why the class cannot be run; None if it can, as far as its source in this file shows."""
        if open_ones := sorted(name for name, is_so in self.abstract.items() if is_so):
            return f"is abstract: {', '.join(open_ones)} has no body"
        return None if self.body is not None else "has no run or arun method"


def class_workflows(tree: ast.Module) -> tuple[ClassWorkflow, ...]:
    """Classes of the top level that come from Workflow, here or over other classes of the file, and have a body to run.

    A class without `run` and `arun` of its own or inherited in the file is a base of others; one with an abstract method too.
    """
    return tuple(
        ClassWorkflow(one.node.name, snake_case(one.node.name), one.description, one.node.lineno)
        for one in _published(tree)
    )


def class_bodies(tree: ast.Module) -> list[tuple[ast.ClassDef, ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """The same classes with their bodies, where these are functions of the file, and their descriptions."""
    return [
        (one.node, one.body, one.description)
        for one in _published(tree)
        if isinstance(one.body, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def unfinished(tree: ast.Module) -> tuple[str, int] | None:
    """Of a source without class workflows: what its first class that seems to be one lacks, and where that class is."""
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


def _published(tree: ast.Module) -> list[_Class]:
    return [
        one
        for name, one in _classes(tree).items()
        if not name.startswith("_") and one.is_workflow and one.lacks is None
    ]


def _classes(tree: ast.Module) -> dict[str, _Class]:
    """Each after its bases, which stand above it as Python wants it: one look at each class is enough."""
    nodes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    marked = _marked(nodes)
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


def _marked(nodes: list[ast.ClassDef]) -> frozenset[str]:
    found = (name for node in nodes for name, part in _parts(node).items() if _is_abstract(part))
    return frozenset(islice(found, _MOST_ABSTRACT))


def _parts(node: ast.ClassDef) -> dict[str, ast.stmt]:
    """What gives each name in a class its first value: a function, or `part = another_function`."""
    found: dict[str, ast.stmt] = {}
    for part in node.body:
        names = {part.name} if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) else _names(part)
        for name in names:
            found.setdefault(name, part)
    return found


def _is_abstract(part: ast.stmt) -> bool:
    marks = part.decorator_list if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) else []
    return any(last_name(mark) in _ABSTRACT for mark in marks)


def _description(node: ast.ClassDef) -> str:
    """The attribute `description` where it is a text, or the docstring's first paragraph."""
    for part in node.body:
        if _names(part) == {"description"} and (text := _text(part)):
            return well_formed(" ".join(text.split()))
    return well_formed(" ".join((ast.get_docstring(node) or "").strip().split("\n\n")[0].split()))


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


def last_name(node: ast.AST | None) -> str:
    """`Workflow` of `agno.workflow.Workflow[State]`."""
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
