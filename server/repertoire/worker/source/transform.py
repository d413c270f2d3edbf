"""Rewriting a workflow file between parsing and compiling, so that plain Python becomes durable.

    await f(x)      →  await __aio__(f)(x)            a door knows that it is awaited; `awaited` finds such calls
    await x         →  await __awaitable__(x)         a value that a door gave may be awaited (authoring/awaited_values.py)
    @step(...)      →  @__decorator__(step)(...)      a door knows that it decorates
    datetime.now()  →  __clock_attr__(datetime.now)() the run's clock, while the class stays the real one

The helpers live in the module's builtins (`shims`), so no name is added to its globals, and anything but a door or a clock
passes through them unchanged. What is evaluated, in which order and how often stays as it was, and so do lines and columns.
"""

from __future__ import annotations

import ast
import re
from types import CodeType
from typing import Final

from ...authoring.door import AIO
from .awaited import Scope, Wanted, dotted

AWAITABLE: Final = "__awaitable__"
DECORATOR: Final = "__decorator__"
CLOCK_ATTR: Final = "__clock_attr__"

_CLOCK_NAMES: Final = frozenset({"now", "utcnow", "today"})
_DECORATORS: Final = frozenset({"step", "cached"})
_RUNNERS: Final = frozenset({"asyncio.run"})

_AWAITS: Final = (
    *("async", "wait", "gather", "create_task", "shield", "as_completed"),
    *("start_soon", "run_until_complete", "aclosing"),
)
_OTHERS: Final = (*_CLOCK_NAMES, *_DECORATORS)
_AS_WORDS: Final = re.compile(r"\b(?:" + "|".join(_OTHERS) + r")\b")
"""A source without any of these has nothing to rewrite. Looking for plain text first is ten times as fast as the pattern."""


def compiled(source: str, filename: str) -> CodeType:
    """As `compile(source, filename, "exec")`, rewritten. Raises what that raises."""
    if needs_rewriting(source):
        tree = _parsed(source, filename)
        if _Rewriting(tree, awaits=_mentions_awaiting(source)).changed():
            return compile(tree, filename, "exec", dont_inherit=True)
    return compile(source, filename, "exec", dont_inherit=True)


def needs_rewriting(source: str) -> bool:
    """False when a look at the words shows that nothing applies."""
    if _mentions_awaiting(source):
        return True
    return any(word in source for word in _OTHERS) and _AS_WORDS.search(source) is not None


def transform(source: str, filename: str) -> ast.Module:
    """The tree to compile. Raises SyntaxError and ValueError as `compile` does; some SyntaxErrors come only when it is compiled."""
    tree = _parsed(source, filename)
    if needs_rewriting(source):
        _Rewriting(tree, awaits=_mentions_awaiting(source)).changed()
    return tree


def _parsed(source: str, filename: str) -> ast.Module:
    tree = compile(source, filename, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    assert isinstance(tree, ast.Module)
    return tree


def _mentions_awaiting(source: str) -> bool:
    return any(word in source for word in _AWAITS)


class _Rewriting:
    """One walk with a stack of its own: expressions nest deeper than Python's frames may."""

    def __init__(self, tree: ast.Module, *, awaits: bool) -> None:
        self._awaits = awaits
        self._count = 0
        self._runners = set(_RUNNERS)
        self._scopes: list[Scope] = []
        self._todo: list[tuple[ast.AST, Scope]] = [(tree, self._scope())]
        self._text_annotations = any(
            isinstance(one, ast.ImportFrom)
            and one.module == "__future__"
            and any(a.name == "annotations" for a in one.names)
            for one in tree.body
        )

    def changed(self) -> bool:
        """Rewrite; False when there was nothing to."""
        todo = self._todo
        while todo:
            node, scope = todo.pop()
            if self._awaits:
                scope.see(node)
            kind = type(node)
            if kind in _SCOPES:
                self._enter(node, scope)
                continue
            if kind in _NAMING:
                self._note_runners(node)
            elif kind is ast.Await:
                self._see_await(node)
            for field in node._fields:
                self._child(node, field, scope)
        if self._awaits:
            self._mark()
        return self._count > 0

    def _child(self, node: ast.AST, field: str, scope: Scope) -> None:
        value = getattr(node, field, None)
        if isinstance(value, ast.AST):
            if type(value) in _LEAVES or isinstance(value, ast.pattern):
                return  # a pattern compares with `a.now`, it may not call
            if field == "annotation" and self._text_annotations:
                return
            self._todo.append((value, scope))
            if type(value) is ast.Attribute and value.attr in _CLOCK_NAMES and type(value.ctx) is ast.Load:
                if type(node) is ast.Call and field == "func":
                    _keep_line(node, value)
                setattr(node, field, self._through(CLOCK_ATTR, value))
        elif isinstance(value, list):
            for index, one in enumerate(value):
                if not isinstance(one, ast.AST):
                    continue
                self._todo.append((one, scope))
                if type(one) is ast.Attribute and one.attr in _CLOCK_NAMES and type(one.ctx) is ast.Load:
                    value[index] = self._through(CLOCK_ATTR, one)

    def _see_await(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Await)
        if not isinstance(node.value, ast.Call):
            node.value = self._through(AWAITABLE, node.value)

    def _enter(self, node: ast.AST, scope: Scope) -> None:
        """The body is a scope of its own; decorators, defaults and annotations belong to the one around it."""
        inner = self._scope(node)
        decorators = getattr(node, "decorator_list", [])
        for index, decorator in enumerate(decorators):
            decorators[index] = self._decorator(decorator)
        for field in node._fields:
            if field != "returns" or not self._text_annotations:
                self._child(node, field, inner if field == "body" else scope)

    def _scope(self, function: ast.AST | None = None) -> Scope:
        scope = Scope(function)
        self._scopes.append(scope)
        return scope

    def _note_runners(self, node: ast.AST) -> None:
        """Names under which asyncio.run is known: `import asyncio as a`, `from asyncio import run`, `with Runner() as r`."""
        match node:
            case ast.Import():
                self._runners |= {f"{one.asname}.run" for one in node.names if one.name == "asyncio" and one.asname}
            case ast.ImportFrom(module="asyncio"):
                self._runners |= {one.asname or one.name for one in node.names if one.name == "run"}
            case ast.withitem(context_expr=ast.Call(func=maker), optional_vars=ast.expr() as target):
                name = dotted(target)
                if name is not None and dotted(maker) in ("asyncio.Runner", "Runner"):
                    self._runners.add(f"{name}.run")
            case _:
                pass

    def _mark(self) -> None:
        called: dict[int, ast.Call] = {}
        handing: dict[int, ast.Call] = {}
        self._settle()
        for scope in self._scopes:
            called.update((id(call), call) for call in scope.called)
            handing.update((id(call), call) for call in scope.handing)
        for call in called.values():
            if not (isinstance(call.func, ast.Name) and call.func.id == "super"):
                _keep_line(call, call.func)
                call.func = self._through(AIO, call.func)
        for call in handing.values():
            call.args[0] = self._through(AIO, call.args[0])

    def _settle(self) -> None:
        for scope in self._scopes:
            scope.settle(self._runners)
        seen: set[tuple[str, Wanted]] = set()
        while new := {one for scope in self._scopes for one in scope.wanted()} - seen:
            seen |= new
            for scope in self._scopes:
                for one in new:
                    scope.ask_arguments(*one)
                scope.settle_again()

    def _decorator(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Call):
            if _last_name(node.func) in _DECORATORS:
                _keep_line(node, node.func)
                node.func = self._through(DECORATOR, node.func)
            return node
        return self._through(DECORATOR, node) if _last_name(node) in _DECORATORS else node

    def _through(self, helper: str, node: ast.expr) -> ast.Call:
        self._count += 1
        name = ast.copy_location(ast.Name(helper, ast.Load()), node)
        return ast.copy_location(ast.Call(name, [node], []), node)


def _last_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _keep_line(call: ast.Call, function: ast.expr) -> None:
    """A call of a method that stands on a later line than its object counts as being there, but only while it is a method call."""
    if (
        isinstance(function, ast.Attribute)
        and function.end_lineno is not None
        and function.end_col_offset is not None
        and function.end_lineno != call.lineno
        and not any(isinstance(one, ast.Starred) for one in call.args)
        and all(one.arg is not None for one in call.keywords)
    ):
        call.lineno = function.end_lineno
        call.col_offset = function.end_col_offset - len(function.attr.encode())


_SCOPES: Final = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda})
_NAMING: Final = frozenset({ast.Import, ast.ImportFrom, ast.withitem})
_LEAVES: Final = frozenset({ast.Load, ast.Store, ast.Del, ast.Constant, ast.Name})
"""What holds nothing to rewrite: most nodes, so the walk is cheaper without them."""
