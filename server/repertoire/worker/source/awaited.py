"""Awaited calls: finds the calls of a source that are awaited, directly or through gather, create_task and the like.

`NameScope` analyses one function, class body or module; used by `transform`. Rules:

1. A scope is analysed alone, without regard to order. If a name is awaited anywhere in the scope, every value bound to it is awaited.
2. Awaiting puts a demand on an expression: ONE (the value itself is awaited) or MANY (the items that it holds are awaited).
   `gather(*tasks)` demands MANY of `tasks`. So the calls in `tasks = [f(x) for x in y]` are awaited; the call in `tasks = f()` is not.
3. A function of the file that awaits a parameter puts this demand on the argument of each call, by its name or as a method of `self`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final, NamedTuple


class Demand(Enum):
    """How a value is awaited: itself (ONE) or its items (MANY)."""

    ONE = 1
    MANY = 2


ONE, MANY = Demand.ONE, Demand.MANY

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
"""Functions that await their first argument: its keyword and its demand. They do not await the others: `wait_for(f(), timeout=g())`."""

_PASSING_ON: Final = frozenset(
    {"list", "tuple", "set", "frozenset", "sorted", "reversed", "iter", "enumerate", "zip", "dict"}
)
_OF_ITEMS: Final = frozenset({"values", "items", "copy"})
_TAKING_ONE: Final = frozenset({"pop", "popleft"})  # not "get": often a coroutine of its own
_PUTTING: Final = {"append": ONE, "appendleft": ONE, "add": ONE, "extend": MANY, "update": MANY}
_PARTIAL: Final = frozenset({"partial", "functools.partial"})
_OUR_NAMESPACES: Final = frozenset({"tools", "workflows"})
"""`tools.todo.create_task(title)` calls a tool, although its name is in the table above."""


class AwaitedParameter(NamedTuple):
    """A parameter that its function awaits: its name and its place among the positional ones. Without a name: all from that place on."""

    name: str | None
    place: int | None
    demand: Demand

    def of(self, call: ast.Call) -> list[ast.expr]:
        """The arguments that this call gives for the parameter."""
        if self.name is None:
            return call.args[self.place :]
        given = [one.value for one in call.keywords if one.arg == self.name]
        before = call.args if self.place is None else call.args[: self.place]
        if self.place is not None and not any(isinstance(one, ast.Starred) for one in before):
            given += call.args[self.place : self.place + 1]
        return given


class NameScope:
    """One scope. `see` collects its nodes while the tree is walked; `settle` then finds the awaited calls."""

    __slots__ = ("_bound", "_calls", "_demanded", "_expressions", "_runs", "called", "function", "passing_calls")

    def __init__(self, function: ast.AST | None = None) -> None:
        self.function = function
        """The function whose body this scope is."""
        self.called: list[ast.Call] = []
        """After `settle`: the calls that are awaited."""
        self.passing_calls: list[ast.Call] = []
        """After `settle`: calls that pass on a function, as first argument, whose calls are awaited: start_soon(f, x), gather(*map(f, y))."""
        self._demanded: set[tuple[str, Demand]] = set()
        self._bound: dict[tuple[str, Demand], list[tuple[ast.expr, Demand]]] = {}
        self._expressions: list[tuple[ast.expr, Demand]] = []
        self._runs: list[tuple[str, ast.expr]] = []
        self._calls: dict[str, list[ast.Call]] = {}

    def see(self, node: ast.AST) -> None:
        seen = _VISITORS.get(type(node))
        if seen is not None:
            seen(self, node)

    def settle(self, runners: set[str]) -> None:
        """`runners` are the dotted names of functions like asyncio.run."""
        self._expressions += ((argument, ONE) for function, argument in self._runs if function in runners)
        self.settle_again()

    def settle_again(self) -> None:
        """Follow the demands that were added since."""
        todo = self._expressions
        while todo:
            expression, demand = todo.pop()
            name = dotted_name(expression)
            if name is None:
                todo += self._demands_of(expression, demand)
            elif (name, demand) not in self._demanded:
                self._demanded.add((name, demand))
                todo += self._bound.get((name, demand), ())

    def awaited_parameters(self) -> Iterable[tuple[str, AwaitedParameter]]:
        """The parameters that this function awaits, each with the dotted name under which the function is called."""
        function = self.function
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args]
        of_self = bool(positional) and positional[0].arg in ("self", "cls")
        called = f"{positional[0].arg}.{function.name}" if of_self else function.name
        for index, one in enumerate([*positional, *arguments.kwonlyargs]):
            place = index - of_self if index < len(positional) else None
            for demand in Demand:
                if (one.arg, demand) in self._demanded:
                    yield called, AwaitedParameter(one.arg, place, demand)
        if arguments.vararg is not None and (arguments.vararg.arg, MANY) in self._demanded:
            yield called, AwaitedParameter(None, len(positional) - of_self, ONE)

    def demand_arguments(self, called: str, parameter: AwaitedParameter) -> None:
        """Put the parameter's demand on its arguments in this scope's calls of that function."""
        for call in self._calls.get(called, ()):
            self._expressions += ((one, parameter.demand) for one in parameter.of(call))

    def _demands_of(self, node: ast.expr, demand: Demand) -> Iterable[tuple[ast.expr, Demand]]:
        """The demands that a demand on `node` puts on its parts."""
        match node:
            case ast.Call():
                return self._demands_of_call(node, demand)
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
                return [(node.target, demand), (node.value, demand)]
            case ast.IfExp():
                return [(node.body, demand), (node.orelse, demand)]
            case ast.BinOp():
                return [(node.left, demand), (node.right, demand)]
            case ast.BoolOp():
                return [(one, demand) for one in node.values]
            case _:
                return []

    def _demands_of_call(self, node: ast.Call, demand: Demand) -> Iterable[tuple[ast.expr, Demand]]:
        function = node.func
        if demand is ONE:
            self.called.append(node)
            if isinstance(function, ast.Attribute) and function.attr in _TAKING_ONE:
                return [(function.value, MANY)]
        elif isinstance(function, ast.Attribute) and function.attr in _OF_ITEMS:
            return [(function.value, MANY)]
        elif isinstance(function, ast.Name) and function.id in _PASSING_ON:
            return [(one, MANY) for one in node.args]
        elif isinstance(function, ast.Name) and function.id == "map":
            self._add_passing_call(node)
        return []

    def _add_passing_call(self, node: ast.Call) -> None:
        if node.args and isinstance(node.args[0], ast.Name | ast.Attribute):
            self.passing_calls.append(node)

    def _demand(self, node: ast.expr, demand: Demand) -> None:
        self._expressions.append((node, demand))

    def _bind(self, target: ast.expr, demand: Demand, value: ast.expr, inner: Demand) -> None:
        """A demand `demand` on `target` is a demand `inner` on `value`."""
        name = dotted_name(target)
        if name is not None:
            self._bound.setdefault((name, demand), []).append((value, inner))

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
        self._demand(node.value, ONE)

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
            self._demand(node.iter, ONE)
        else:
            self._each(node.target, node.iter)

    def _see_with(self, node: ast.AsyncWith) -> None:
        for item in node.items:
            self._demand(item.context_expr, ONE)

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
        path = dotted_name(function)
        if path is not None:
            if path.partition(".")[0] in _OUR_NAMESPACES:
                return
            self._calls.setdefault(path, []).append(node)
        if name == "start_soon":
            first = node.args[0] if node.args else None
            self._add_passing_call(
                first if isinstance(first, ast.Call) and dotted_name(first.func) in _PARTIAL else node
            )
        elif name == "gather":
            for argument in node.args:
                self._demand(argument, ONE)
        elif name in _FIRST:
            keyword, demand = _FIRST[name]
            for argument in node.args[:1] or [one.value for one in node.keywords if one.arg == keyword]:
                self._demand(argument, demand)
        elif path is not None and node.args:
            self._runs.append((path, node.args[0]))


_VISITORS: Final[dict[type[ast.AST], Callable[[NameScope, Any], None]]] = {
    ast.Await: NameScope._see_await,
    ast.Assign: NameScope._see_assign,
    ast.AnnAssign: NameScope._see_one_assign,
    ast.NamedExpr: NameScope._see_one_assign,
    ast.AugAssign: NameScope._see_growth,
    ast.For: NameScope._see_loop,
    ast.AsyncFor: NameScope._see_loop,
    ast.comprehension: NameScope._see_loop,
    ast.AsyncWith: NameScope._see_with,
    ast.Call: NameScope._see_call,
}


def dotted_name(node: ast.expr) -> str | None:
    """The name `a.b.c` if the expression is one, else None."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join((node.id, *reversed(names)))
