"""Payload schema: finds in the source of an untyped `run(ctx)` the keys of `ctx.payload` that it reads, and their literal defaults.

A key is needed if every call reads it as `ctx.payload["key"]`: not behind a condition, a loop, an earlier return or an
`except KeyError`. When in doubt, it is not needed: a wrong yes would refuse calls that work. Used by `payload`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from .annotations import UNSAID

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Scope = _Function | ast.Lambda | ast.ClassDef
_CATCHES_MISSING: Final = frozenset({"KeyError", "LookupError", "Exception", "BaseException"})


class PayloadKey(NamedTuple):
    """A payload key. `type` is the default's type, or Any without one or for null. `default` is UNSAID if the source shows none."""

    name: str
    needed: bool
    type: Any = Any
    default: Any = UNSAID


def payload_keys(tree: ast.Module, function: str, context: str) -> list[PayloadKey]:
    """The keys that `function` reads, in the order of reading. Its parameter `context` is the Context."""
    reader = _Reader(tree)
    reader.call(function, _Names(frozenset({context})), certain=True)
    return list(reader.keys())


class _Names(NamedTuple):
    """The names that mean the context, or its payload, at one place in the source."""

    contexts: frozenset[str] = frozenset()
    payloads: frozenset[str] = frozenset()

    def without(self, names: Iterable[str]) -> _Names:
        gone = frozenset(names)
        return _Names(self.contexts - gone, self.payloads - gone)

    def __bool__(self) -> bool:
        return bool(self.contexts or self.payloads)


class _Reader:
    """Walks a function and the functions it calls, and notes each key of the payload that they read."""

    def __init__(self, tree: ast.Module) -> None:
        self._functions = {node.name: node for node in ast.walk(tree) if isinstance(node, _Function)}
        self._functions.update((node.name, node) for node in tree.body if isinstance(node, _Function))
        self._seen: set[tuple[str, _Names, bool]] = set()
        self._needed: set[str] = set()
        self._optional: set[str] = set()
        self._defaults: dict[str, list[Any]] = {}

    def keys(self) -> Iterator[PayloadKey]:
        for name, defaults in self._defaults.items():
            kinds = {type(default) for default in defaults}
            kind = kinds.pop() if len(kinds) == 1 else None
            same = bool(defaults) and all(default == defaults[0] for default in defaults) and kind is not None
            yield PayloadKey(
                name,
                name in self._needed and name not in self._optional,
                kind if kind in (bool, int, float, str, list, dict) else Any,
                defaults[0] if same else UNSAID,
            )

    def call(self, function: str, names: _Names, *, certain: bool) -> None:
        """Read a function of the source, nested or not. `names` are its parameters that mean the context or the payload."""
        if (
            names
            and (function, names, certain) not in self._seen
            and (node := self._functions.get(function)) is not None
        ):
            self._seen.add((function, names, certain))
            self._block(node.body, names, certain)

    # Statements. `certain`: every call of `run` comes here.

    def _block(self, body: list[ast.stmt], names: _Names, certain: bool) -> tuple[_Names, bool]:
        for statement in body:
            names, certain = self._statement(statement, names, certain)
        return names, certain

    def _statement(self, node: ast.stmt, names: _Names, certain: bool) -> tuple[_Names, bool]:
        """The names and the certainty after the statement."""
        if isinstance(node, _Function):
            self._block(node.body, names.without(_parameters(node)), False)
            return names, certain
        if isinstance(node, ast.If | ast.While):
            self._expression(node.test, names, certain)
            names = self._branches(names, node.body, node.orelse)
        elif isinstance(node, ast.For | ast.AsyncFor):
            self._expression(node.iter, names, certain)
            names = self._branches(names.without(_bound(node.target)), node.body, node.orelse)
        elif isinstance(node, ast.Match):
            self._expression(node.subject, names, certain)
            for guard in filter(None, (case.guard for case in node.cases)):
                self._expression(guard, names, False)
            names = self._branches(names, *(case.body for case in node.cases))
        elif isinstance(node, ast.Try | ast.TryStar):
            names, certain = self._try(node, names, certain)
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                self._expression(item.context_expr, names, certain)
            names, certain = self._block(node.body, names, certain)
        else:
            self._expressions(node, names, certain)
            names = self._assign(node, names)
        return names, certain and not _may_leave(node)

    def _branches(self, names: _Names, *bodies: list[ast.stmt]) -> _Names:
        ends = [self._block(body, names, False)[0] for body in bodies]
        return _Names(
            frozenset.union(names.contexts, *(end.contexts for end in ends)),
            frozenset.union(names.payloads, *(end.payloads for end in ends)),
        )

    def _try(self, node: ast.Try | ast.TryStar, names: _Names, certain: bool) -> tuple[_Names, bool]:
        caught = any(_catches_missing(handler) for handler in node.handlers)
        after, _ = self._block(node.body, names, certain and not caught)
        self._branches(after, *(handler.body for handler in node.handlers))
        self._block(node.orelse, after, False)
        return self._block(node.finalbody, after, certain)

    def _assign(self, node: ast.stmt, names: _Names) -> _Names:
        """The names after an assignment. `payload = ctx.payload` adds a name; any other value removes the target's name."""
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            return names
        bound = {name for target in targets for name in _bound(target)}
        plain = {target.id for target in targets if isinstance(target, ast.Name)}
        if _is_payload(value, names):
            return names._replace(payloads=names.payloads | plain)
        if isinstance(value, ast.Name) and value.id in names.contexts:
            return names._replace(contexts=names.contexts | plain)
        return names.without(bound)

    # Expressions.

    def _expressions(self, node: ast.AST, names: _Names, certain: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self._statement(child, names, False)
            else:
                self._expression(child, names, certain)

    def _expression(self, node: ast.AST, names: _Names, certain: bool) -> None:
        if isinstance(node, ast.Lambda):
            self._expressions(node, names.without(_parameters(node)), False)
        elif isinstance(node, ast.BoolOp):
            self._parts(names, certain, node.values[0], node.values[1:])
        elif isinstance(node, ast.IfExp):
            self._parts(names, certain, node.test, [node.body, node.orelse])
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            rest = [part for part in ast.iter_child_nodes(node) if part is not node.generators[0]]
            first = node.generators[0]
            self._parts(names, certain, first.iter, [*rest, *first.ifs])
        else:
            self._read(node, names, certain)
            self._expressions(node, names, certain)

    def _parts(self, names: _Names, certain: bool, always: ast.AST, sometimes: Iterable[ast.AST]) -> None:
        self._expression(always, names, certain)
        for part in sometimes:
            self._expression(part, names, False)

    def _read(self, node: ast.AST, names: _Names, certain: bool) -> None:
        if isinstance(node, ast.Subscript) and _is_payload(node.value, names):
            if isinstance(node.ctx, ast.Load):
                self._note(node.slice, needed=certain)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            if _is_payload(node.comparators[0], names):
                self._note(node.left, asked=True)
        elif isinstance(node, ast.Call):
            self._read_call(node, names, certain)

    def _read_call(self, node: ast.Call, names: _Names, certain: bool) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and _is_payload(function.value, names) and node.args:
            default = _literal(node.args[1]) if len(node.args) > 1 else UNSAID
            if function.attr in ("get", "setdefault"):
                self._note(node.args[0], asked=True, default=None if len(node.args) == 1 else default)
            elif function.attr == "pop":
                optional = len(node.args) > 1
                self._note(node.args[0], needed=certain and not optional, asked=optional, default=default)
        elif isinstance(function, ast.Name) and (target := self._functions.get(function.id)) is not None:
            self.call(target.name, self._parameter_names(node, target, names), certain=certain)

    def _parameter_names(self, node: ast.Call, target: _Function, names: _Names) -> _Names:
        """The function's parameters that are the context or the payload in this call."""
        places = [argument.arg for argument in (*target.args.posonlyargs, *target.args.args)]
        given = [*zip(places, node.args, strict=False), *((word.arg or "", word.value) for word in node.keywords)]
        return _Names(
            frozenset(to for to, value in given if isinstance(value, ast.Name) and value.id in names.contexts),
            frozenset(to for to, value in given if _is_payload(value, names)),
        )

    def _note(self, key: ast.AST, *, needed: bool = False, asked: bool = False, default: Any = UNSAID) -> None:
        """Note that a key is read. `asked`: the body works without it."""
        if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
            return
        defaults = self._defaults.setdefault(key.value, [])
        if default is not UNSAID:
            defaults.append(default)
        if needed:
            self._needed.add(key.value)
        if asked:
            self._optional.add(key.value)


def _is_payload(node: ast.AST, names: _Names) -> bool:
    """True for `ctx.payload`, a name for it, and either inside `... or {}` or `dict(...)`."""
    if isinstance(node, ast.Name):
        return node.id in names.payloads
    if isinstance(node, ast.Attribute):
        return node.attr == "payload" and isinstance(node.value, ast.Name) and node.value.id in names.contexts
    if isinstance(node, ast.BoolOp):
        return isinstance(node.op, ast.Or) and _is_payload(node.values[0], names)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "dict"
        and len(node.args) == 1
    ):
        return _is_payload(node.args[0], names)
    return False


def _literal(node: ast.AST) -> Any:
    """The value of a JSON literal; UNSAID for any other expression."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNSAID
    return value if value is None or type(value) in (bool, int, float, str, list, dict) else UNSAID


def _catches_missing(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(one, ast.Name) and one.id in _CATCHES_MISSING for one in types)


def _may_leave(node: ast.AST) -> bool:
    """True if a call may return within this statement, so that the code after it may not run."""
    if isinstance(node, _Scope):
        return False
    return isinstance(node, ast.Return) or any(map(_may_leave, ast.iter_child_nodes(node)))


def _bound(target: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def _parameters(node: _Function | ast.Lambda) -> set[str]:
    return {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
