"""Certainty: the nodes of a source that a run reaches, and whose failure nothing hides; used to tell drafts from remarks.

A misspelt name in such a node cannot work. Elsewhere it may: in a function that nobody calls, under a handler that expects it, in a branch
for another platform. In doubt a node is not certain, because a workflow that works must not become a draft. Rules:

1. A function counts if the entry reaches it by its name, through nodes that are certain themselves.
2. Code below `try` with a broad handler does not count, unless the handler raises. Nor does code in a handler for a missing name.
3. Code after `return`, and under a test of the platform or of a constant, does not count.
4. Annotations, bodies of classes and functions under a decorator of a library do not count: something else may read or run them.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from ...model.workflow_version import Finding
from ..class_finder import last_name
from .entry_points import entries
from .ruff import GLOBALS
from .tree import MOST_NODES, Function, bound_names, dotted

_HIDING: Final = frozenset({"Exception", "BaseException", "NameError", "UnboundLocalError", "TypeError", "CallError"})
"""Handlers that catch a missing name, or a call that was refused."""
_OF_ABSENCE: Final = frozenset({"ImportError", "ModuleNotFoundError", "NameError", "AttributeError"})
"""Handlers for another version of Python or of a library: their code may be for a Python that is not this one."""
_SWALLOWERS: Final = frozenset({"suppress", "raises", "assertRaises", "ignored"})
_LOSERS: Final = frozenset({"Thread", "Timer", "create_task", "ensure_future", "submit", "apply_async", "Process"})
"""Calls that begin something whose failure may stay unknown."""
_OF_PLATFORM: Final = frozenset({"sys", "os", "platform", "six", "TYPE_CHECKING", "__name__", "__debug__"})
_PLAIN_DECORATORS: Final = frozenset(
    {"step", "cached", "staticmethod", "classmethod", "property", "wraps", "cache", "lru_cache", "cached_property", "contextmanager",
     "asynccontextmanager", "dataclass", "override", "abstractmethod", "overload", "singledispatch"}
)  # fmt: skip
_LEAVING: Final = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_UNDEFINED: Final = "ruff:F821"
_Owner = ast.AST | None


def certain_nodes(tree: ast.Module) -> dict[ast.AST, ast.AST]:
    """Names and calls in functions that are certain, each with the node that gives its lines: itself, or the f-string around it.

    Code of the module itself is left out: it has run when the source is loaded.
    """
    return {node: shown for node, shown, _ in _certain(_Walk(tree), tree)}


def _certain(walked: _Walk, tree: ast.Module) -> Iterator[tuple[ast.AST, ast.AST, _Owner]]:
    reached = set() if walked.is_too_large else walked.reached(tree)
    return (place for place in walked.plain if place[2] is not None and place[2] in reached)


class _Walk:
    """One pass over the tree. `plain` are names and calls outside of everything that hides a failure, with the functions that hold them."""

    def __init__(self, tree: ast.Module) -> None:
        self.plain: list[tuple[ast.AST, ast.AST, _Owner]] = []
        self.mentions: dict[_Owner, set[str]] = {}
        self._bound: dict[_Owner, set[str]] = {}
        self._around: dict[ast.AST, _Owner] = {}
        self.functions: dict[str, list[ast.AST]] = {}
        self.is_too_large = False
        self._own = {node.name for node in ast.walk(tree) if isinstance(node, Function | ast.ClassDef)}
        self._stack: list[tuple[ast.AST, _Owner, bool, ast.AST | None]] = []
        self._push_block(tree.body, None, False)
        seen = 0
        while self._stack:
            seen += 1
            if seen > MOST_NODES:
                self.is_too_large = True
                return
            self._visit(*self._stack.pop())

    def reached(self, tree: ast.Module) -> set[ast.AST]:
        """Functions that the entry may call. Without an entry, all."""
        started = entries(tree)
        if not started:
            return {one for functions in self.functions.values() for one in functions}
        found: set[_Owner] = {None}
        waiting: list[_Owner] = [None]
        for one in started:
            waiting.append(one.function)
            waiting += _special_methods(one.of_class)
        found.update(waiting)
        while waiting:
            for name in self.mentions.get(waiting.pop(), ()):
                new = [one for one in self.functions.get(name, ()) if one not in found]
                found.update(new)
                waiting += new
        return {one for one in found if one is not None}

    def is_bound(self, name: str, owner: _Owner) -> bool:
        """Whether the function, one around it, or the module binds the name anywhere, earlier or later."""
        while owner is not None:
            if name in self._bound.get(owner, ()):
                return True
            owner = self._around.get(owner)
        return name in self._bound.get(None, ())

    def _push(self, nodes: Iterable[ast.AST | None], owner: _Owner, hidden: bool, text: ast.AST | None = None) -> None:
        self._stack += [(node, owner, hidden, text) for node in nodes if node is not None]

    def _push_block(self, body: list[ast.stmt], owner: _Owner, hidden: bool) -> None:
        for node in body:
            self._push([node], owner, hidden)
            hidden = hidden or isinstance(node, _LEAVING)

    def _visit(self, node: ast.AST, owner: _Owner, hidden: bool, text: ast.AST | None) -> None:
        self._bound.setdefault(owner, set()).update(_bound_by(node))
        if isinstance(node, ast.Global):
            self._bound.setdefault(None, set()).update(node.names)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node, owner, hidden)
            case ast.ClassDef():
                self._class(node, owner, hidden)
            case ast.Try() | ast.TryStar():
                self._try(node, owner, hidden)
            case ast.With() | ast.AsyncWith():
                swallows = any(self._swallows(one.context_expr) for one in node.items)
                self._push(node.items, owner, hidden)
                self._push_block(node.body, owner, hidden or swallows)
            case ast.If() | ast.While():
                unsure = hidden or _is_of_platform(node.test)
                self._push([node.test], owner, hidden)
                self._push_block(node.body, owner, unsure)
                self._push_block(node.orelse, owner, unsure)
            case ast.IfExp() | ast.BoolOp():
                test = node.test if isinstance(node, ast.IfExp) else node.values[0]
                self._push(ast.iter_child_nodes(node), owner, hidden or _is_of_platform(test), text)
            case ast.AnnAssign():
                self._push([node.target, node.value], owner, hidden)
            case ast.arguments():
                self._push([*node.defaults, *node.kw_defaults], owner, hidden)
            case _:
                self._note(node, owner, hidden, text)
                if isinstance(node, ast.Call):
                    hidden = hidden or _loses_failures(node)
                for _, value in ast.iter_fields(node):
                    if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                        self._push_block(value, owner, hidden)
                    elif isinstance(value, list):
                        self._push([one for one in value if isinstance(one, ast.AST)], owner, hidden, _text(node, text))
                    elif isinstance(value, ast.AST):
                        self._push([value], owner, hidden, _text(node, text))

    def _note(self, node: ast.AST, owner: _Owner, hidden: bool, text: ast.AST | None) -> None:
        if hidden:
            return
        if isinstance(node, ast.Name | ast.Attribute | ast.Call):
            self.plain.append((node, text or node, owner))
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            self.mentions.setdefault(owner, set()).add(node.id if isinstance(node, ast.Name) else node.attr)

    def _function(self, node: Function, owner: _Owner, hidden: bool) -> None:
        self._push([*node.decorator_list, node.args], owner, hidden)
        self.functions.setdefault(node.name, []).append(node)
        self._around[node] = owner
        self._bound[node] = _parameter_names(node.args)
        self._push_block(node.body, node, not all(map(self._is_plain, node.decorator_list)))

    def _class(self, node: ast.ClassDef, owner: _Owner, hidden: bool) -> None:
        """What stands in the class itself is hidden. Its special methods are reached by its name."""
        self._push([*node.decorator_list, *node.bases, *(one.value for one in node.keywords)], owner, hidden)
        self._push_block(node.body, owner, True)
        self.functions.setdefault(node.name, []).extend(_special_methods(node))

    def _try(self, node: ast.Try | ast.TryStar, owner: _Owner, hidden: bool) -> None:
        self._push_block(node.body, owner, hidden or any(map(_hides, node.handlers)))
        for handler in node.handlers:
            self._bound.setdefault(owner, set()).update(_bound_by(handler))
            self._push([handler.type], owner, hidden)
            self._push_block(handler.body, owner, hidden or _expects_absence(handler))
        self._push_block(node.orelse, owner, hidden)
        self._push_block(node.finalbody, owner, hidden)

    def _swallows(self, node: ast.expr) -> bool:
        return (
            last_name(node) in _SWALLOWERS or dotted(node.func if isinstance(node, ast.Call) else node)[0] in self._own
        )

    def _is_plain(self, decorator: ast.expr) -> bool:
        return last_name(decorator) in _PLAIN_DECORATORS


def _bound_by(node: ast.AST) -> list[str]:
    match node:
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return names
        case ast.Lambda(args=arguments):
            return list(_parameter_names(arguments))
    return bound_names(node)


def _parameter_names(given: ast.arguments) -> set[str]:
    named = (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg)
    return {one.arg for one in named if one is not None}


def _text(node: ast.AST, text: ast.AST | None) -> ast.AST | None:
    """The outermost f-string: before Python 3.12, what is inside of one has no true position."""
    return text or (node if isinstance(node, ast.JoinedStr) else None)


def _special_methods(node: ast.ClassDef | None) -> list[ast.AST]:
    inside = [] if node is None else node.body
    return [one for one in inside if isinstance(one, Function) and one.name.startswith("__")]


def _caught(handler: ast.ExceptHandler) -> list[ast.expr | None]:
    return [*handler.type.elts] if isinstance(handler.type, ast.Tuple) else [handler.type]


def _hides(handler: ast.ExceptHandler) -> bool:
    """Whether it may catch a missing name and go on. A name that is no exception of Python may stand for any of them."""
    if isinstance(handler.body[-1], ast.Raise):
        return False
    return any(
        kind is None
        or last_name(kind) in _HIDING
        or not isinstance(kind, ast.Name | ast.Attribute)
        or (isinstance(kind, ast.Name) and not hasattr(builtins, kind.id))
        for kind in _caught(handler)
    )


def _expects_absence(handler: ast.ExceptHandler) -> bool:
    return any(last_name(kind) in _OF_ABSENCE for kind in _caught(handler))


def _is_of_platform(test: ast.expr) -> bool:
    """Whether it asks for the platform, for a constant, or for a name in capitals, which stands for one."""
    names = [one.id for one in ast.walk(test) if isinstance(one, ast.Name)]
    return isinstance(test, ast.Constant) or any(one in _OF_PLATFORM or one.isupper() for one in names)


def _loses_failures(node: ast.Call) -> bool:
    return last_name(node) in _LOSERS or any(one.arg == "return_exceptions" for one in node.keywords)


_ESCAPES: Final = frozenset(
    {"exec", "eval", "globals", "locals", "vars", "builtins", "__builtins__", "__globals__", "__dict__", "f_globals", "f_locals",
     "f_builtins", "modules", "install", "setattr", "_getframe", "currentframe", "_convert_"}
)  # fmt: skip
"""Ways to give a module names that do not stand in its text."""


def _undefined_for_certain(tree: ast.Module) -> frozenset[tuple[str, int]]:
    """Names that are read in certain nodes, each with its lines. Empty where the source may make names that its text does not show."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _ESCAPES:
                return frozenset()
            case ast.Call() if _hands_on_its_name(node):
                return frozenset()
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                if any(one.name == "*" or one.name in _ESCAPES for one in names):
                    return frozenset()
    walked = _Walk(tree)
    return frozenset(
        (node.id, line)
        for node, shown, owner in _certain(walked, tree)
        if isinstance(node, ast.Name) and isinstance(shown, ast.expr) and not walked.is_bound(node.id, owner)
        for line in range(shown.lineno, (shown.end_lineno or shown.lineno) + 1)
    )


def _hands_on_its_name(node: ast.Call) -> bool:
    """Whether it gets `__name__`, by which it may find this module. A logger does not."""
    given = (*node.args, *(one.value for one in node.keywords))
    return "logger" not in last_name(node).lower() and any(
        isinstance(one, ast.Name) and one.id == "__name__" for one in given
    )


def reads_undefined(tree: ast.Module) -> bool:
    """Whether `stop_for_undefined` may find an error: a certain node reads a name that neither the source nor Python has."""
    return any(name not in GLOBALS and not hasattr(builtins, name) for name, _ in _undefined_for_certain(tree))


def stop_for_undefined(found: list[Finding], tree: ast.Module, source: str) -> list[Finding]:
    """Findings of undefined names become errors where the name is certainly read."""
    if not any(one.rule == _UNDEFINED for one in found):
        return found
    certain, lines = _undefined_for_certain(tree), re.split(r"\r\n|\r|\n", source)

    def stops(one: Finding) -> bool:
        if one.rule != _UNDEFINED or one.line is None or one.line > len(lines):
            return False
        name = re.compile(r"\w+").match(lines[one.line - 1], max((one.column or 1) - 1, 0))
        return name is not None and (name[0], one.line) in certain

    return [msgspec.structs.replace(one, severity="error") if stops(one) else one for one in found]
