"""Transform: rewrites a workflow file between parsing and compiling, so that plain Python becomes durable; used by `loader`, `siblings`.

    await f(x)      →  await __aio__(f)(x)            a door knows that it is awaited; `awaited` finds such calls
    await x         →  await __awaitable__(x)         a value that a door gave may be awaited (authoring/awaited_values.py)
    @step(...)      →  @__decorator__(step)(...)      a door knows that it is used as a decorator
    datetime.now()  →  __clock_attr__(datetime.now)() the run's clock, while the class stays the real one

The helpers are in the module's builtins (`shims`), so its globals get no new name. They return every value except doors and clocks
unchanged. The rewritten code evaluates the same expressions, in the same order and equally often. Lines and columns stay.
"""

from __future__ import annotations

import ast
import re
from types import CodeType
from typing import Final

from ...authoring.door import AIO
from .awaited import AwaitedParameter, NameScope, dotted_name

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
"""A source with none of these words needs no rewriting. A search for plain text first is ten times as fast as the pattern."""


def compile_source(source: str, filename: str) -> CodeType:
    """Rewrite the source and compile it. Raises as `compile(source, filename, "exec")` does."""
    if needs_rewriting(source):
        tree = _parse(source, filename)
        if _Rewriter(tree, awaits=_mentions_awaiting(source)).rewrite():
            return compile(tree, filename, "exec", dont_inherit=True)
    return compile(source, filename, "exec", dont_inherit=True)


def needs_rewriting(source: str) -> bool:
    """False when a search for words shows that no rule applies."""
    if _mentions_awaiting(source):
        return True
    return any(word in source for word in _OTHERS) and _AS_WORDS.search(source) is not None


def transform(source: str, filename: str) -> ast.Module:
    """The rewritten tree. Raises SyntaxError and ValueError as `compile` does, but some SyntaxErrors only appear when it is compiled."""
    tree = _parse(source, filename)
    if needs_rewriting(source):
        _Rewriter(tree, awaits=_mentions_awaiting(source)).rewrite()
    return tree


def _parse(source: str, filename: str) -> ast.Module:
    tree = compile(source, filename, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    assert isinstance(tree, ast.Module)
    return tree


def _mentions_awaiting(source: str) -> bool:
    return any(word in source for word in _AWAITS)


class _Rewriter:
    """One walk over a tree. It keeps its own stack, because expressions may nest deeper than Python's recursion limit."""

    def __init__(self, tree: ast.Module, *, awaits: bool) -> None:
        self._awaits = awaits
        self._count = 0
        self._runners = set(_RUNNERS)
        self._scopes: list[NameScope] = []
        self._todo: list[tuple[ast.AST, NameScope]] = [(tree, self._scope())]
        self._text_annotations = any(
            isinstance(one, ast.ImportFrom)
            and one.module == "__future__"
            and any(a.name == "annotations" for a in one.names)
            for one in tree.body
        )

    def rewrite(self) -> bool:
        """Rewrite the tree in place. False when nothing was changed."""
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
            self._wrap_calls()
        return self._count > 0

    def _child(self, node: ast.AST, field: str, scope: NameScope) -> None:
        value = getattr(node, field, None)
        if isinstance(value, ast.AST):
            if type(value) in _LEAVES or isinstance(value, ast.pattern):
                return  # a pattern compares with `a.now`; a call is not allowed there
            if field == "annotation" and self._text_annotations:
                return
            self._todo.append((value, scope))
            if type(value) is ast.Attribute and value.attr in _CLOCK_NAMES and type(value.ctx) is ast.Load:
                if type(node) is ast.Call and field == "func":
                    _keep_line(node, value)
                setattr(node, field, self._wrap(CLOCK_ATTR, value))
        elif isinstance(value, list):
            for index, one in enumerate(value):
                if not isinstance(one, ast.AST):
                    continue
                self._todo.append((one, scope))
                if type(one) is ast.Attribute and one.attr in _CLOCK_NAMES and type(one.ctx) is ast.Load:
                    value[index] = self._wrap(CLOCK_ATTR, one)

    def _see_await(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Await)
        if not isinstance(node.value, ast.Call):
            node.value = self._wrap(AWAITABLE, node.value)

    def _enter(self, node: ast.AST, scope: NameScope) -> None:
        """Enter a new scope for the body. Decorators, defaults and annotations belong to the outer scope."""
        inner = self._scope(node)
        decorators = getattr(node, "decorator_list", [])
        for index, decorator in enumerate(decorators):
            decorators[index] = self._decorator(decorator)
        for field in node._fields:
            if field != "returns" or not self._text_annotations:
                self._child(node, field, inner if field == "body" else scope)

    def _scope(self, function: ast.AST | None = None) -> NameScope:
        scope = NameScope(function)
        self._scopes.append(scope)
        return scope

    def _note_runners(self, node: ast.AST) -> None:
        """Remember the names of asyncio.run: `import asyncio as a`, `from asyncio import run`, `with Runner() as r`."""
        match node:
            case ast.Import():
                self._runners |= {f"{one.asname}.run" for one in node.names if one.name == "asyncio" and one.asname}
            case ast.ImportFrom(module="asyncio"):
                self._runners |= {one.asname or one.name for one in node.names if one.name == "run"}
            case ast.withitem(context_expr=ast.Call(func=maker), optional_vars=ast.expr() as target):
                name = dotted_name(target)
                if name is not None and dotted_name(maker) in ("asyncio.Runner", "Runner"):
                    self._runners.add(f"{name}.run")
            case _:
                pass

    def _wrap_calls(self) -> None:
        called: dict[int, ast.Call] = {}
        passing_calls: dict[int, ast.Call] = {}
        self._settle()
        for scope in self._scopes:
            called.update((id(call), call) for call in scope.called)
            passing_calls.update((id(call), call) for call in scope.passing_calls)
        for call in called.values():
            if not (isinstance(call.func, ast.Name) and call.func.id == "super"):
                _keep_line(call, call.func)
                call.func = self._wrap(AIO, call.func)
        for call in passing_calls.values():
            call.args[0] = self._wrap(AIO, call.args[0])

    def _settle(self) -> None:
        for scope in self._scopes:
            scope.settle(self._runners)
        seen: set[tuple[str, AwaitedParameter]] = set()
        while new := {one for scope in self._scopes for one in scope.awaited_parameters()} - seen:
            seen |= new
            for scope in self._scopes:
                for one in new:
                    scope.demand_arguments(*one)
                scope.settle_again()

    def _decorator(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Call):
            if _last_name(node.func) in _DECORATORS:
                _keep_line(node, node.func)
                node.func = self._wrap(DECORATOR, node.func)
            return node
        return self._wrap(DECORATOR, node) if _last_name(node) in _DECORATORS else node

    def _wrap(self, helper: str, node: ast.expr) -> ast.Call:
        self._count += 1
        name = ast.copy_location(ast.Name(helper, ast.Load()), node)
        return ast.copy_location(ast.Call(name, [node], []), node)


def _last_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _keep_line(call: ast.Call, function: ast.expr) -> None:
    """Move a method call to the line of its method name, if that is a later line than its object's.

    The compiler does this itself, but only for a method call, which the rewritten call is not.
    """
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
"""Nodes that hold nothing to rewrite. They are most of a tree, so the walk is faster without them."""
