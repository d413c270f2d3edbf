"""Given values: tells the JSON type, and for a literal the value, of an expression that is handed to a workflow; used by `called_names`.

The types come from literals, from calls such as `int(x)`, and from the annotations of parameters, names and functions of the source. A name
with a binding that says nothing has no type. In doubt nothing is known.
"""

from __future__ import annotations

import ast
from collections import ChainMap
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from .tree import Function, dotted, parameters

_OF_ANNOTATION: Final = {
    "int": "integer", "float": "number", "str": "string", "bool": "boolean", "list": "array", "List": "array", "dict": "object",
    "Dict": "object", "None": "null",
}  # fmt: skip
_OF_CALL: Final = {
    "int": "integer", "len": "integer", "float": "number", "str": "string", "repr": "string", "bool": "boolean", "list": "array",
    "sorted": "array", "dict": "object", "isinstance": "boolean", "ord": "integer", "chr": "string", "hex": "string",
}  # fmt: skip
"""Builtins with the JSON types of their results."""
_OF_LITERAL: Final = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
_MOST_ITEMS: Final = 50


class Given(msgspec.Struct, frozen=True):
    """`kinds` are the JSON types that the value may have. `value` is a literal's value, `items` are those of a literal list."""

    kinds: frozenset[str]
    value: Any = msgspec.UNSET
    items: tuple[Given | None, ...] | None = None


class Functions(msgspec.Struct, frozen=True):
    """`results` are the annotated results of the source's functions, by name; None for a name with several, or under a decorator.
    `rebound` are names that functions bind elsewhere, by `global` or `nonlocal`."""

    results: dict[str, ast.expr | None] = {}
    rebound: frozenset[str] = frozenset()


Kinds = ChainMap[str, Given | None]
"""What the names of a scope hold. None: not known."""


def kinds_of_scope(scope: ast.AST, inside: Iterable[ast.AST], around: Kinds, functions: Functions) -> Kinds:
    """The names of a scope, each with what all its bindings there give. A name that is bound to another name is not followed."""
    bound: dict[str, list[ast.expr | Given | None]] = {}
    if isinstance(scope, Function | ast.Lambda):
        for one, default in parameters(scope.args):
            is_none = isinstance(default, ast.Constant) and default.value is None
            bound[one.arg] = [_of_annotation(one.annotation), *([_of_constant(None)] if is_none else [])]
        bound.update((other.arg, [None]) for other in (scope.args.vararg, scope.args.kwarg) if other is not None)
    plain: set[ast.AST] = set()
    for node in inside:
        for name, value in _bindings(node, plain):
            bound.setdefault(name, []).append(value)
    kinds: Kinds = around.new_child(dict.fromkeys(bound))
    found = {name: _union(values, kinds, functions) for name, values in bound.items() if name not in functions.rebound}
    return around.new_child({**dict.fromkeys(bound), **found})


def _bindings(node: ast.AST, plain: set[ast.AST]) -> Iterator[tuple[str, ast.expr | Given | None]]:
    """Names that a node binds, with the expression or the type. `plain`: targets whose statement was seen."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
            plain.add(target)
            yield name, value
        case ast.AnnAssign(target=ast.Name(id=name) as target, annotation=annotation):
            plain.add(target)
            yield name, _of_annotation(annotation)
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) if node not in plain:
            yield name, None
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, None
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name, None
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            yield from ((alias.asname or alias.name.partition(".")[0], None) for alias in aliases)


def functions_of(nodes: Iterable[ast.AST]) -> Functions:
    results: dict[str, ast.expr | None] = {}
    rebound: set[str] = set()
    for node in nodes:
        if isinstance(node, Function):
            results[node.name] = None if node.name in results or node.decorator_list else node.returns
        elif isinstance(node, ast.Global | ast.Nonlocal):
            rebound.update(node.names)
    return Functions(results, frozenset(rebound))


def given_value(node: ast.expr, kinds: Kinds, functions: Functions) -> Given | None:
    """What an expression gives; None if it cannot be told."""
    while isinstance(node, ast.Await):
        node = node.value
    match node:
        case ast.Constant(value=value):
            return _of_constant(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return _of_constant(-number)
        case ast.UnaryOp(op=ast.Not()):
            return _kind("boolean")
        case ast.JoinedStr():
            return _kind("string")
        case ast.BinOp(left=ast.Constant(value=str()) | ast.JoinedStr(), op=ast.Add() | ast.Mod()):
            return _kind("string")
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return _of_list(elements, kinds, functions)
        case ast.ListComp():
            return _kind("array")
        case ast.Dict() | ast.DictComp():
            return _kind("object")
        case ast.Name(id=name):
            return kinds.get(name)
        case ast.Call():
            return _of_call(node, kinds, functions)
    return None


def _of_list(elements: list[ast.expr], kinds: Kinds, functions: Functions) -> Given:
    if len(elements) > _MOST_ITEMS or any(isinstance(one, ast.Starred | ast.List | ast.Tuple) for one in elements):
        return Given(frozenset({"array"}))
    return Given(frozenset({"array"}), items=tuple(given_value(one, kinds, functions) for one in elements))


def _of_call(node: ast.Call, kinds: Kinds, functions: Functions) -> Given | None:
    match node.func:
        case ast.Attribute(value=ast.Constant(value=str()), attr="join" | "format"):
            return _kind("string")
        case ast.Attribute(value=ast.Name(id="json"), attr="dumps"):
            return _kind("string")
        case ast.Name(id="step") if node.args and isinstance(node.args[0], ast.Name):
            return _of_annotation(functions.results.get(node.args[0].id))
        case ast.Name(id=name) if name in functions.results:
            return _of_annotation(functions.results[name])
        case ast.Name(id=name) if name in _OF_CALL and name not in kinds:
            return _kind(_OF_CALL[name])
    return None


def _of_annotation(node: ast.expr | None) -> Given | None:
    parts = [node]
    kinds: set[str] = set()
    while parts:
        match parts.pop():
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                parts += [left, right]
            case ast.Subscript(value=ast.Name(id="Optional") | ast.Attribute(attr="Optional"), slice=inner):
                parts.append(inner)
                kinds.add("null")
            case ast.Constant(value=None):
                kinds.add("null")
            case ast.Subscript(value=value) | (ast.Name() as value) if kind := _OF_ANNOTATION.get(dotted(value)[-1]):
                kinds.add(kind)
            case _:
                return None
    return Given(frozenset(kinds))


def _of_constant(value: Any) -> Given | None:
    kind = _OF_LITERAL.get(type(value))
    return None if kind is None else Given(frozenset({kind}), value)


def _kind(kind: str) -> Given:
    return Given(frozenset({kind}))


def _union(found: list[ast.expr | Given | None], kinds: Kinds, functions: Functions) -> Given | None:
    """What a name holds that is bound to all of these."""
    known = [given_value(one, kinds, functions) if isinstance(one, ast.expr) else one for one in found]
    sure = [one for one in known if one is not None]
    if len(sure) < len(known):
        return None
    if len(sure) == 1 and sure[0].items is None:
        return sure[0]
    return Given(frozenset[str]().union(*(one.kinds for one in sure)))
