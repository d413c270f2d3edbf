"""Fetched hosts: the host of a URL that a source writes, as far as its text tells; used by `called_names`."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from ...model.needs import UNKNOWN
from .tree import bound_names

FETCHERS: Final = frozenset({"fetch", "curl"})
"""The tools that take a URL."""
_URL: Final = re.compile(
    r"https?://(?:[^/?#\\]*@)?(?P<host>[A-Za-z0-9.-]+(?::\d+)?|\[[0-9a-fA-F:]+\](?::\d+)?)(?P<rest>[/?#]|\Z)"
)

Texts = Mapping[str, str]
"""Names of the module that hold one text always."""


def fetched_host(url: ast.expr | None, texts: Texts) -> str:
    """`api.github.com` of `f"https://api.github.com/{path}"`."""
    begin, is_whole = _beginning(url, texts)
    found = _URL.match(begin)
    return found["host"].lower() if found is not None and (found["rest"] or is_whole) else UNKNOWN


def texts_of(tree: ast.Module) -> Texts:
    """Names that the module's top level binds to a text, and that nothing else in the source binds."""
    held = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    if not held:
        return held
    bound = Counter(name for node in ast.walk(tree) for name in _bound(node))
    return {name: text for name, text in held.items() if bound[name] == 1}


def _bound(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Global | ast.Nonlocal):
        return node.names
    return [node.arg] if isinstance(node, ast.arg) else bound_names(node)


def _beginning(node: ast.expr | None, texts: Texts) -> tuple[str, bool]:
    """The text with which an expression begins, and whether that is all of it."""
    match node:
        case ast.Constant(value=str(text)):
            return text, True
        case ast.Name(id=name) if name in texts:
            return texts[name], True
        case ast.JoinedStr(values=parts):
            return _joined([one.value if isinstance(one, ast.FormattedValue) else one for one in parts], texts)
        case ast.BinOp(op=ast.Add()):
            return _joined(_summands(node), texts)
    return "", False


def _joined(parts: list[ast.expr], texts: Texts) -> tuple[str, bool]:
    begin = ""
    for one in parts:
        if isinstance(one, ast.Constant | ast.Name):
            text, is_whole = _beginning(one, texts)
            begin += text
            if is_whole:
                continue
        return begin, False
    return begin, True


def _summands(node: ast.expr) -> list[ast.expr]:
    """The parts of `a + b + c`, which the parser nests to the left."""
    parts: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]
