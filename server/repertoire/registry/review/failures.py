"""Rules for failures that callers do not see: errors that are hidden, or returned as if they were results; used by `remarks`."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from typing import Final

from ...model.workflow_version import Finding
from ..class_finder import last_name
from .findings import finding
from .tree import Node, literal, written

_BROAD: Final = frozenset({"Exception", "BaseException"})
_EMPTY: Final = frozenset(
    {"None", "False", "0", "0.0", "-1", "''", "[]", "()", "{}", "dict()", "list()", "set()", "tuple()", "str()"}
)
_RESPONSES: Final = frozenset({"RunResponse", "Response", "dumps"})
_ERROR_KEYS: Final = frozenset({"error", "errors", "err", "exception", "error_message"})
_ERROR_TEXT: Final = re.compile(
    r"\W*(error|failed|failure|exception|could ?n[o']t|unable to|something went wrong)\b", re.I
)
_MOST_ITEMS: Final = 50


def hidden_failures(nodes: list[Node], entries: Collection[ast.AST]) -> Iterator[Finding]:
    raising = {handler for node, _, handler in nodes if isinstance(node, ast.Raise)}
    for node, function, handler in nodes:
        match node:
            case ast.ExceptHandler():
                yield from _handler(node, raises=node in raising)
            case ast.Call(args=args) if last_name(node) == "suppress" and any(last_name(one) in _BROAD for one in args):
                yield finding(
                    node,
                    "hidden_failure",
                    "Every failure in this block is hidden, also those that nobody thought of.",
                    "with suppress(FileNotFoundError):  # only what may safely be ignored",
                )
            case ast.Return(value=ast.expr() as value) if handler is not None and _is_error(value, handler.name):
                error = handler.name or "error"
                yield finding(
                    node,
                    "error_as_result",
                    "An error is returned as if it were a result: the run counts as completed, and nobody retries or reports it.",
                    f'raise RuntimeError(f"What could not be done: {{{error}}}") from {error}',
                    is_minor=function not in entries,
                )


def _handler(handler: ast.ExceptHandler, *, raises: bool) -> Iterator[Finding]:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    if all(map(_is_silent, handler.body)):
        if any(kind is None or last_name(kind) in _BROAD for kind in kinds):
            yield finding(
                handler,
                "hidden_failure",
                "Every failure is hidden here: the run goes on as if nothing had happened.",
                "except ValueError as error:  # only what is expected\n"
                '    raise RuntimeError(f"What could not be done: {error}") from error',
            )
    elif handler.type is None and not raises:
        yield finding(
            handler,
            "bare_except",
            "A bare `except` catches everything, even a cancelled run and a misspelt name.",
            "except (OSError, ValueError) as error:  # what can go wrong here, by name",
        )


def _is_silent(node: ast.stmt) -> bool:
    match node:
        case ast.Pass() | ast.Continue() | ast.Break() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Return(value=value) | ast.Assign(value=value):
            return value is None or written(value) in _EMPTY
    return False


def _is_error(node: ast.expr, error: str | None) -> bool:
    """Whether it is a text or a dict that reports a failure, also inside a response or a tuple. A handler should raise instead."""
    parts = [node]
    match node:
        case ast.Call(args=args, keywords=keywords) if last_name(node) in _RESPONSES:
            parts = [*args[:1], *(one.value for one in keywords if one.arg == "content")]
        case ast.Tuple(elts=elements):
            parts = elements[:5]
    return any(_reports_failure(one, error) for one in parts)


def _reports_failure(node: ast.expr, error: str | None) -> bool:
    match node:
        case ast.Dict(keys=keys, values=values):
            pairs = zip(map(literal, keys[:_MOST_ITEMS]), values, strict=False)
            return any(_is_error_item(key, value) for key, value in pairs)
        case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
            return any(_is_error_item(one.arg, one.value) for one in keywords[:_MOST_ITEMS])
        case ast.Call(func=ast.Name(id="str" | "repr"), args=[ast.Name(id=name)]):
            return name == error
        case ast.JoinedStr(values=[ast.FormattedValue(value=ast.Name(id=name))]):
            return name == error
        case ast.JoinedStr(values=[first, *_]) | ast.BinOp(left=first):
            return _ERROR_TEXT.match(literal(first) or "") is not None
    return _ERROR_TEXT.match(literal(node) or "") is not None


def _is_error_item(key: str | None, value: ast.expr) -> bool:
    said = value.value if isinstance(value, ast.Constant) else ...
    if key in _ERROR_KEYS:
        return bool(said)
    return (key in ("ok", "success") and said is False) or (key == "status" and said in ("error", "failed", "failure"))
