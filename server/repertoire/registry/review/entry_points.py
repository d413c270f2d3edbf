"""Entry: the function of a source that callers call, a `run` or the body of a class, with its parameters; used by most rules.

`shape` holds the rules for its form: a function that only wraps a call, and a long body.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from ...model.workflow_version import Finding
from ..class_finder import class_bodies
from .findings import MOST_FINDINGS, finding
from .tree import Function, dotted, parameters, written

_FILLED: Final = frozenset({"ctx", "tools", "workflows", "artifacts", "deps"})
"""Parameters that Repertoire fills. Callers do not see them."""
_CONTEXT: Final = re.compile(r"['\"]?(?:\w+\.)*\w*Context(?:\[(?:\w+\.)*(\w+)\])?['\"]?")
_LONG_BODY: Final = 100
"""Lines. A longer body should be split into named parts."""


class EntryPoint(msgspec.Struct, frozen=True):
    """`parameters` are those that a caller gives. `payload` is the name of the class of a context's payload. `description` is the class's."""

    function: Function
    parameters: tuple[ast.arg, ...]
    payload: str = ""
    of_class: ast.ClassDef | None = None
    description: str = ""


def entries(tree: ast.Module) -> list[EntryPoint]:
    """The top level's `run`, or the body of each class workflow, its own or inherited in the file."""
    runs = [node for node in tree.body if isinstance(node, Function) and node.name == "run"]
    if runs:
        first = next((one for one, _ in parameters(runs[-1].args)), None)
        payload = _payload(first) if first is not None and first not in runs[-1].args.kwonlyargs else None
        return [EntryPoint(runs[-1], _caller_parameters(runs[-1], payload is not None), payload or "")]
    found = class_bodies(tree)[:MOST_FINDINGS]
    return [
        EntryPoint(body, _caller_parameters(body, True), "", kind, description) for kind, body, description in found
    ]


def shape(entry: EntryPoint, tree: ast.Module) -> Iterator[Finding]:
    function = entry.function
    if (call := _wrapped_call(function, tree)) is not None:
        yield finding(
            function,
            "only_a_wrapper",
            f"`{function.name}` only calls `{call}` with what it is given: whoever runs it can call that directly.",
            "Give it a job of its own: check the arguments, combine calls, shape the result. Or do without it.",
        )
    length = (function.end_lineno or function.lineno) - function.lineno
    if length > _LONG_BODY:
        yield finding(
            function,
            "long_body",
            f"`{function.name}` has {length} lines: more than one job, most likely.",
            "Move its parts into functions with names of their own, or into workflows that others can use too.",
        )


def _caller_parameters(function: Function, has_first: bool) -> tuple[ast.arg, ...]:
    """Parameters without those that Repertoire fills. `has_first`: also without the first, which is `self` or the context."""
    given = [one for one, _ in parameters(function.args)][has_first:]
    return tuple(one for one in given if one.arg not in _FILLED)


def _payload(first: ast.arg) -> str | None:
    """The name of the payload's class if the parameter is a context, otherwise None."""
    if first.annotation is None:
        return "Payload" if first.arg in ("ctx", "context") else None
    found = _CONTEXT.fullmatch(written(first.annotation))
    return found and (found[1] or "Payload")


def _wrapped_call(function: Function, tree: ast.Module) -> str | None:
    """The function that the body calls, if the body is a single call with the function's own parameters; otherwise None."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    value = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return | ast.Expr) else None
    call = value.value if isinstance(value, ast.Await) else value
    if not isinstance(call, ast.Call):
        return None
    arguments = [*call.args, *(one.value for one in call.keywords)]
    if arguments and isinstance(arguments[0], ast.Constant):  # the name that `workflows.invoke` begins with
        del arguments[0]
    given = [one.value if isinstance(one, ast.Starred) else one for one in arguments]
    passed = {one.id for one in given if isinstance(one, ast.Name)}
    every = function.args
    own = {one.arg for one in [*(one for one, _ in parameters(every)), every.vararg, every.kwarg] if one}
    here = {node.name for node in tree.body if isinstance(node, Function | ast.ClassDef)}
    root, *path = dotted(call.func)
    if len(passed) != len(given) or not passed or passed != own - _FILLED - {"self"} or root in own | here:
        return None
    return ".".join(filter(None, (root, *path)))[:100]
