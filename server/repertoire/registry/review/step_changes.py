"""Rule for lost changes: finds steps that change variables of the body; used by `remarks`.

A replayed run answers a step from its record and does not execute it. So a change that the step makes outside of its result is lost.
Only plain cases are reported, and only if code outside of steps reads the variable:

1. The step assigns a `nonlocal` or `global` variable.
2. The step fills a container of the body.
3. The step changes an argument and does not return it.
4. The step sets an attribute of its method's object.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple

from ...model.workflow_version import Finding
from ..class_finder import last_name
from .findings import finding
from .tree import Function, Node, dotted, parameters, written

STEPS: Final = (["step"], ["repertoire", "step"], ["ctx", "step"], ["step", "aio"])
"""Ways to write `step`, also for `outside_effects`."""
_CONTAINERS: Final = frozenset(
    {"dict", "list", "set", "bytearray", "defaultdict", "deque", "OrderedDict", "Counter", "Dict", "List", "Set", "MutableMapping"}
)  # fmt: skip
_CHANGING: Final = frozenset(
    {"add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "reverse",
     "setdefault", "sort", "update"}
)  # fmt: skip
_OF_A_LIST: Final = frozenset({"append", "extend", "insert"})
"""Methods that hardly anything but a list has."""
_STATE: Final = "session_state"
"""Changes of the session state in a step are recorded, so they are not lost."""
_DEEPEST: Final = 8
"""Levels of nested functions through which a name is followed."""
_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class _Change(NamedTuple):
    node: ast.expr
    path: list[str]
    """`self`, `pages` of `self.pages[url] = ...`."""
    how: str
    """"name", "item", "attribute", or the method that is called."""


def lost_changes(found: list[Node], inside: dict[ast.AST, list[ast.AST]]) -> Iterator[Finding]:
    names = _Names(found, inside)
    steps = dict(_steps(names))
    around = names.steps_around(steps)
    reading = _Reading(names, around)
    for scope, nodes in inside.items():
        step = around.get(scope)
        for node in nodes:
            if step is not None:
                for change in _changes(node):
                    if reading.is_lost(change, scope, step):
                        yield _lost(change, steps[step])
            elif (given := _method_as_step(node)) is not None and names.holds_container(scope, given.path[0]):
                yield _lost(given, ".".join((*given.path, given.how)))


def _lost(change: _Change, label: str) -> Finding:
    name = ".".join(change.path[:2] if change.path[0] in ("self", "cls") else change.path[:1])
    return finding(
        change.node,
        "lost_change",
        f"The step `{label}` changes `{name}`. A run that is begun again answers the step from its record and does not run it, so "
        f"this change is lost.",
        f"Let the step return what is new, and change `{name}` in the body: `new = step({label}, ...)`.",
    )


def _changes(node: ast.AST) -> Iterator[_Change]:
    match node:
        case ast.Name(ctx=ast.Store() | ast.Del()):
            yield _Change(node, [node.id], "name")
        case ast.Subscript(ctx=ast.Store() | ast.Del()):
            yield _Change(node, _path(node), "item")
        case ast.Attribute(ctx=ast.Store() | ast.Del()):
            yield _Change(node, _path(node), "attribute")
        case ast.Call(func=ast.Attribute(attr=method, value=value)) if method in _CHANGING:
            yield _Change(node, _path(value), method)


def _path(node: ast.AST) -> list[str]:
    """The names of an expression, without subscripts. The first is "" if it does not begin with a name."""
    names: list[str] = []
    while isinstance(node, ast.Subscript | ast.Attribute):
        if isinstance(node, ast.Attribute):
            names.append(node.attr)
        node = node.value
    return [node.id if isinstance(node, ast.Name) else "", *reversed(names)]


def _method_as_step(node: ast.AST) -> _Change | None:
    """`step(pages.update, ...)`."""
    if (
        isinstance(node, ast.Call)
        and dotted(node.func) in STEPS
        and node.args
        and isinstance(node.args[0], ast.Attribute)
    ):
        *path, method = dotted(node.args[0])
        if method in _CHANGING:
            return _Change(node.args[0], path, method)
    return None


def _steps(names: _Names) -> Iterator[tuple[ast.AST, str]]:
    """The functions of the source that run as steps, each with its name."""
    for nodes in names.inside.values():
        for node in nodes:
            if isinstance(node, Function) and any(is_step(one) for one in node.decorator_list):
                yield node, node.name
            elif isinstance(node, ast.Call) and dotted(node.func) in STEPS and node.args:
                function = _function_in(node.args[0])
                if isinstance(function, ast.Lambda):
                    yield function, "lambda"
                for one in names.functions.get(_path(function)[-1], ()):
                    if not any(_mentions(given, _STATE) for given in node.args[1:]):
                        yield one, one.name


def is_step(decorator: ast.expr) -> bool:
    return dotted(decorator.func if isinstance(decorator, ast.Call) else decorator) in STEPS


def _function_in(node: ast.expr) -> ast.expr:
    """The function inside of `partial(...)`."""
    while isinstance(node, ast.Call) and last_name(node) == "partial" and node.args:
        node = node.args[0]
    return node


def _mentions(node: ast.expr, name: str) -> bool:
    return name in _path(node)


class _Names:
    """The owner of each name in each scope, and the values assigned to it."""

    def __init__(self, found: list[Node], inside: dict[ast.AST, list[ast.AST]]) -> None:
        self.inside = inside
        self._around: dict[ast.AST, ast.AST] = {node: scope for node, scope, _ in found if isinstance(node, _Scope)}
        self.functions: dict[str, list[Function]] = {}
        self._classes = {node.name for node, *_ in found if isinstance(node, ast.ClassDef)}
        self._values: dict[ast.AST, dict[str, list[ast.expr | None]]] = {}
        self._elsewhere: dict[ast.AST, set[str]] = {}
        for scope, nodes in inside.items():
            self._see(scope, nodes)

    def _see(self, scope: ast.AST, nodes: list[ast.AST]) -> None:
        values: dict[str, list[ast.expr | None]] = {}
        self._elsewhere[scope] = {
            name for one in nodes if isinstance(one, ast.Global | ast.Nonlocal) for name in one.names
        }
        if isinstance(scope, _Scope):
            for one, _ in parameters(scope.args):
                values[one.arg] = [one.annotation]
        for node in nodes:
            match node:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        if isinstance(target, ast.Name):
                            values.setdefault(target.id, []).append(value)
                case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
                    values.setdefault(name, []).append(value)
                case ast.Name(id=name, ctx=ast.Store()):
                    values.setdefault(name, [])
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    values.setdefault(node.name, []).append(None)
                    self.functions.setdefault(node.name, []).append(node)
        self._values[scope] = {name: one for name, one in values.items() if name not in self._elsewhere[scope]}

    def steps_around(self, steps: dict[ast.AST, str]) -> dict[ast.AST, ast.AST]:
        """For each scope within a step, that step."""
        found: dict[ast.AST, ast.AST] = {}
        for scope in self.inside:  # outer scopes come first
            step = scope if scope in steps else found.get(self._around.get(scope, scope))
            if step is not None:
                found[scope] = step
        return found

    def owner(self, scope: ast.AST, name: str) -> ast.AST | None:
        return next((one for one in self._outwards(scope) if name in self._values.get(one, ())), None)

    def is_within(self, scope: ast.AST | None, outer: ast.AST) -> bool:
        return scope is not None and outer in self._outwards(scope)

    def _outwards(self, scope: ast.AST) -> Iterator[ast.AST]:
        """The scope and the scopes around it."""
        around: ast.AST | None = scope
        for _ in range(_DEEPEST):
            if around is None:
                return
            yield around
            around = self._around.get(around)

    def is_from_elsewhere(self, scope: ast.AST, name: str) -> bool:
        return name in self._elsewhere.get(scope, ())

    def holds_container(self, scope: ast.AST, name: str) -> bool:
        owner = self.owner(scope, name)
        values = [] if owner is None else self._values[owner][name]
        return bool(values) and all(map(_is_container, values))

    def holds_object(self, owner: ast.AST, name: str) -> bool:
        """Whether the name holds an instance of a class of this source."""
        return any(last_name(value) in self._classes for value in self._values[owner].get(name, []))

    def annotation(self, owner: ast.AST, name: str) -> ast.expr | None:
        return next(iter(self._values[owner].get(name, [])), None)


def _is_container(value: ast.expr | None) -> bool:
    match value:
        case ast.Dict() | ast.List() | ast.Set() | ast.DictComp() | ast.ListComp() | ast.SetComp():
            return True
        case ast.BinOp(left=ast.List()):
            return True
    return last_name(value) in _CONTAINERS


class _Reading:
    """Variables and attributes that code outside of steps reads."""

    def __init__(self, names: _Names, around: dict[ast.AST, ast.AST]) -> None:
        self._names = names
        self._variables: set[tuple[ast.AST | None, str]] = set()
        self._attributes: set[str] = set()
        for scope, nodes in names.inside.items():
            if scope not in around:
                for node in nodes:
                    self._see(scope, node)

    def _see(self, scope: ast.AST, node: ast.AST) -> None:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            self._variables.add((self._names.owner(scope, node.id), node.id))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            self._attributes.add(node.attr)

    def is_lost(self, change: _Change, scope: ast.AST, step: ast.AST) -> bool:
        name = change.path[0]
        if not name or _STATE in change.path:
            return False
        if change.how == "name":
            owner = self._names.owner(scope, name)
            is_outer = self._names.is_from_elsewhere(scope, name) and not self._names.is_within(owner, step)
            return is_outer and (owner, name) in self._variables
        owner = self._names.owner(scope, name)
        if owner is step:
            return self._is_lost_argument(change, step)
        if owner is None or self._names.is_within(owner, step) or (owner, name) not in self._variables:
            return False
        if change.how == "attribute":
            return self._names.holds_object(owner, name)
        return self._names.holds_container(scope, name)

    def _is_lost_argument(self, change: _Change, step: ast.AST) -> bool:
        name = change.path[0]
        if not isinstance(step, _Scope) or name not in {one.arg for one, _ in parameters(step.args)}:
            return False
        if name in ("self", "cls"):
            return len(change.path) > 1 and change.path[1] in self._attributes
        if any(name in _returned_names(node) for node in self._names.inside.get(step, ())):
            return False
        annotation = self._names.annotation(step, name)
        if change.how == "attribute":
            return self._names.holds_object(step, name)
        if annotation is None:
            return change.how == "item" or change.how in _OF_A_LIST
        return written(annotation).partition("[")[0].rpartition(".")[2] in _CONTAINERS


def _returned_names(node: ast.AST) -> set[str]:
    """The names in a returned expression."""
    if not isinstance(node, ast.Return) or node.value is None:
        return set()
    return {one.id for one in ast.walk(node.value) if isinstance(one, ast.Name)}
