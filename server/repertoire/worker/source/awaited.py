"""Which calls of a source are meant to be awaited: those under `await`, and those that reach gather, create_task and the like.

One scope (a function, a class body, the module) is looked at on its own and without regard to order: what is bound to a name
that is awaited anywhere in the scope is awaited. An expression is asked for as ONE (it is awaited itself) or as MANY (what it
holds is): `gather(*tasks)` asks for `tasks` as MANY, and so for the calls in `tasks = [f(x) for x in y]`, but not for the call
in `tasks = f()`.

A function of the file that awaits a parameter asks for it where it is called by its name, or as a method of `self`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final, NamedTuple


class Asked(Enum):
    ONE = 1
    MANY = 2


ONE, MANY = Asked.ONE, Asked.MANY

_FIRST: Final = {
    "create_task": ("coro", ONE),
    "ensure_future": ("coro_or_future", ONE),
    "wait_for": ("fut", ONE),
    "shield": ("arg", ONE),
    "run_coroutine_threadsafe": ("coro", ONE),
    "run_until_complete": ("future", ONE),
    "enter_async_context": ("cm", ONE),
    "aclosing": ("thing", ONE),
    "wait": ("fs", MANY),
    "as_completed": ("fs", MANY),
}
"""Functions that await their first argument, its keyword, and how. Not their others: `wait_for(f(), timeout=limit())`."""

_PASSING_ON: Final = frozenset(
    {"list", "tuple", "set", "frozenset", "sorted", "reversed", "iter", "enumerate", "zip", "dict"}
)
_OF_ITEMS: Final = frozenset({"values", "items", "copy"})
_TAKING_ONE: Final = frozenset({"pop", "popleft"})  # not "get": often a coroutine of its own
_PUTTING: Final = {"append": ONE, "appendleft": ONE, "add": ONE, "extend": MANY, "update": MANY}
_PARTIAL: Final = frozenset({"partial", "functools.partial"})
_OUR_NAMESPACES: Final = frozenset({"tools", "workflows"})
"""`tools.todo.create_task(title)` is a call of a tool, whatever its name."""


class Wanted(NamedTuple):
    """A parameter that is awaited: by its name, and by its place among the positional ones. Without a name: all from there on."""

    name: str | None
    place: int | None
    asked: Asked

    def of(self, call: ast.Call) -> list[ast.expr]:
        """What this call gives for it."""
        if self.name is None:
            return call.args[self.place :]
        given = [one.value for one in call.keywords if one.arg == self.name]
        before = call.args if self.place is None else call.args[: self.place]
        if self.place is not None and not any(isinstance(one, ast.Starred) for one in before):
            given += call.args[self.place : self.place + 1]
        return given


class Scope:
    """Collects while the tree is walked (`see`); `settle` then finds what is awaited."""

    __slots__ = ("_asked", "_bound", "_calls", "_expressions", "_runs", "called", "function", "handing")

    def __init__(self, function: ast.AST | None = None) -> None:
        self.function = function
        """Whose body it is."""
        self.called: list[ast.Call] = []
        """After `settle`: the calls that are awaited."""
        self.handing: list[ast.Call] = []
        """The calls whose first argument is a function whose calls will be awaited: start_soon(f, x), gather(*map(f, y))."""
        self._asked: set[tuple[str, Asked]] = set()
        self._bound: dict[tuple[str, Asked], list[tuple[ast.expr, Asked]]] = {}
        self._expressions: list[tuple[ast.expr, Asked]] = []
        self._runs: list[tuple[str, ast.expr]] = []
        self._calls: dict[str, list[ast.Call]] = {}

    def see(self, node: ast.AST) -> None:
        seen = _SEEN.get(type(node))
        if seen is not None:
            seen(self, node)

    def settle(self, runners: set[str]) -> None:
        """`runners` are the dotted names of functions like asyncio.run."""
        self._expressions += ((argument, ONE) for function, argument in self._runs if function in runners)
        self.settle_again()

    def settle_again(self) -> None:
        todo = self._expressions
        while todo:
            expression, asked = todo.pop()
            name = dotted(expression)
            if name is None:
                todo += self._opened(expression, asked)
            elif (name, asked) not in self._asked:
                self._asked.add((name, asked))
                todo += self._bound.get((name, asked), ())

    def wanted(self) -> Iterable[tuple[str, Wanted]]:
        """The parameters of this function that are awaited: under which names it is called, and which they are."""
        function = self.function
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args]
        of_self = bool(positional) and positional[0].arg in ("self", "cls")
        called = f"{positional[0].arg}.{function.name}" if of_self else function.name
        for index, one in enumerate([*positional, *arguments.kwonlyargs]):
            place = index - of_self if index < len(positional) else None
            for asked in Asked:
                if (one.arg, asked) in self._asked:
                    yield called, Wanted(one.arg, place, asked)
        if arguments.vararg is not None and (arguments.vararg.arg, MANY) in self._asked:
            yield called, Wanted(None, len(positional) - of_self, ONE)

    def ask_arguments(self, called: str, wanted: Wanted) -> None:
        """What this scope's calls of that function give for that parameter is asked for."""
        for call in self._calls.get(called, ()):
            self._expressions += ((one, wanted.asked) for one in wanted.of(call))

    def _opened(self, node: ast.expr, asked: Asked) -> Iterable[tuple[ast.expr, Asked]]:
        """What is asked for when `node` is."""
        match node:
            case ast.Call():
                return self._opened_call(node, asked)
            case ast.List() | ast.Tuple() | ast.Set():
                return [(one, ONE) for one in node.elts]
            case ast.Dict():
                return [(one, MANY if key is None else ONE) for key, one in zip(node.keys, node.values, strict=True)]
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return [(node.elt, ONE)]
            case ast.DictComp():
                return [(node.value, ONE)]
            case ast.Starred() | ast.Subscript():
                return [(node.value, MANY)]
            case ast.NamedExpr():
                return [(node.target, asked), (node.value, asked)]
            case ast.IfExp():
                return [(node.body, asked), (node.orelse, asked)]
            case ast.BinOp():
                return [(node.left, asked), (node.right, asked)]
            case ast.BoolOp():
                return [(one, asked) for one in node.values]
            case _:
                return []

    def _opened_call(self, node: ast.Call, asked: Asked) -> Iterable[tuple[ast.expr, Asked]]:
        function = node.func
        if asked is ONE:
            self.called.append(node)
            if isinstance(function, ast.Attribute) and function.attr in _TAKING_ONE:
                return [(function.value, MANY)]
        elif isinstance(function, ast.Attribute) and function.attr in _OF_ITEMS:
            return [(function.value, MANY)]
        elif isinstance(function, ast.Name) and function.id in _PASSING_ON:
            return [(one, MANY) for one in node.args]
        elif isinstance(function, ast.Name) and function.id == "map":
            self._hand(node)
        return []

    def _hand(self, node: ast.Call) -> None:
        if node.args and isinstance(node.args[0], ast.Name | ast.Attribute):
            self.handing.append(node)

    def _ask(self, node: ast.expr, asked: Asked) -> None:
        self._expressions.append((node, asked))

    def _bind(self, target: ast.expr, asked: Asked, value: ast.expr, inner: Asked) -> None:
        """Whoever asks for `target` so asks for `value` so."""
        name = dotted(target)
        if name is not None:
            self._bound.setdefault((name, asked), []).append((value, inner))

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            if isinstance(value, ast.Tuple | ast.List) and len(target.elts) == len(value.elts):
                for one, its in zip(target.elts, value.elts, strict=True):
                    self._assign(one, its)
            else:
                self._each(target, value)
        elif isinstance(target, ast.Subscript):
            self._bind(target.value, MANY, value, ONE)
        else:
            self._bind(target, ONE, value, ONE)
            self._bind(target, MANY, value, MANY)

    def _each(self, target: ast.expr, iterable: ast.expr) -> None:
        """`for target in iterable`, or `a, b = iterable`."""
        if not isinstance(target, ast.Tuple | ast.List):
            self._bind(target, ONE, iterable, MANY)
            return
        match iterable:
            case ast.Call(func=ast.Name(id="zip"), args=args) if len(args) == len(target.elts):
                sources = args
            case _:
                sources = [iterable] * len(target.elts)
        for one, source in zip(target.elts, sources, strict=True):
            self._each(one.value if isinstance(one, ast.Starred) else one, source)

    def _see_await(self, node: ast.Await) -> None:
        self._ask(node.value, ONE)

    def _see_assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assign(target, node.value)

    def _see_one_assign(self, node: ast.AnnAssign | ast.NamedExpr) -> None:
        if node.value is not None:
            self._assign(node.target, node.value)

    def _see_growth(self, node: ast.AugAssign) -> None:
        self._bind(node.target, MANY, node.value, MANY)

    def _see_loop(self, node: ast.For | ast.AsyncFor | ast.comprehension) -> None:
        if isinstance(node, ast.AsyncFor) or (isinstance(node, ast.comprehension) and node.is_async):
            self._ask(node.iter, ONE)
        else:
            self._each(node.target, node.iter)

    def _see_with(self, node: ast.AsyncWith) -> None:
        for item in node.items:
            self._ask(item.context_expr, ONE)

    def _see_call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute):
            name = function.attr
            if node.args and name in _PUTTING:
                self._bind(function.value, MANY, node.args[-1], _PUTTING[name])
            elif len(node.args) == 2 and name in ("insert", "setdefault"):
                self._bind(function.value, MANY, node.args[1], ONE)
        elif isinstance(function, ast.Name):
            name = function.id
        else:
            return
        path = dotted(function)
        if path is not None:
            if path.partition(".")[0] in _OUR_NAMESPACES:
                return
            self._calls.setdefault(path, []).append(node)
        if name == "start_soon":
            first = node.args[0] if node.args else None
            self._hand(first if isinstance(first, ast.Call) and dotted(first.func) in _PARTIAL else node)
        elif name == "gather":
            for argument in node.args:
                self._ask(argument, ONE)
        elif name in _FIRST:
            keyword, asked = _FIRST[name]
            for argument in node.args[:1] or [one.value for one in node.keywords if one.arg == keyword]:
                self._ask(argument, asked)
        elif path is not None and node.args:
            self._runs.append((path, node.args[0]))


_SEEN: Final[dict[type[ast.AST], Callable[[Scope, Any], None]]] = {
    ast.Await: Scope._see_await,
    ast.Assign: Scope._see_assign,
    ast.AnnAssign: Scope._see_one_assign,
    ast.NamedExpr: Scope._see_one_assign,
    ast.AugAssign: Scope._see_growth,
    ast.For: Scope._see_loop,
    ast.AsyncFor: Scope._see_loop,
    ast.comprehension: Scope._see_loop,
    ast.AsyncWith: Scope._see_with,
    ast.Call: Scope._see_call,
}


def dotted(node: ast.expr) -> str | None:
    """`a.b.c` of such an expression, None of any other."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join((node.id, *reversed(names)))
