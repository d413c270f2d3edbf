"""Syntax tree helpers: `scoped_nodes` lists the nodes with their scopes, and small functions read one node; used by the rules.

Nothing here recurses: a source may be nested deeper than Python's stack.
"""

from __future__ import annotations

import ast
from typing import Final

Function = ast.FunctionDef | ast.AsyncFunctionDef
Node = tuple[ast.AST, ast.AST, ast.ExceptHandler | None]
"""A node, its scope (the module, if it is in no other), and the nearest exception handler in that scope."""

MOST_NODES: Final = 100_000
"""Nodes that are read, a third of a second's work. Ordinary code of the largest accepted size has a third of that."""
_MOST_WRITTEN: Final = 60
"""Bytes. An expression so short cannot be nested too deeply for `ast.unparse`."""
_NO_NODES: Final = frozenset(
    {"annotation", "arg", "attr", "ctx", "id", "kind", "level", "module", "name", "op", "ops", "type_comment"}
)
_FIELDS: Final = {
    kind: tuple(field for field in kind._fields if field not in _NO_NODES)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
"""For each kind of node, the fields whose nodes a rule may read."""


def scoped_nodes(tree: ast.Module, scopes: tuple[type[ast.AST], ...]) -> list[Node]:
    """The nodes in the order of the source, at most MOST_NODES. A function's own node belongs to the scope around it."""
    found: list[Node] = []
    stack: list[Node] = [(tree, tree, None)]
    while stack and len(found) < MOST_NODES:
        place = node, scope, handler = stack.pop()
        found.append(place)
        if isinstance(node, scopes):
            scope, handler = node, None
        elif isinstance(node, ast.ExceptHandler):
            handler = node
        inside: list[Node] = []
        for field in _FIELDS[type(node)]:
            value = getattr(node, field, None)
            if type(value) is list:
                inside += [(one, scope, handler) for one in value if isinstance(one, ast.AST)]
            elif isinstance(value, ast.AST):
                inside.append((value, scope, handler))
        stack += reversed(inside)
    return found


def by_scope(found: list[Node]) -> dict[ast.AST, list[ast.AST]]:
    """The nodes of each scope. A scope comes before its inner scopes."""
    scopes: dict[ast.AST, list[ast.AST]] = {}
    for node, scope, _ in found:
        scopes.setdefault(scope, []).append(node)
    return scopes


def bound_names(node: ast.AST) -> list[str]:
    """The names that this node itself binds or deletes, so that they are local to a function which has it."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.MatchMapping(rest=str(name)):
            return [name]
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return [alias.asname or alias.name.partition(".")[0] for alias in aliases]
    return []


def parameters(arguments: ast.arguments) -> list[tuple[ast.arg, ast.expr | None]]:
    """The named parameters, each with its default. `*args` and `**kwargs` are left out."""
    listed = [*arguments.posonlyargs, *arguments.args]
    defaults = [*[None] * (len(listed) - len(arguments.defaults)), *arguments.defaults]
    return [*zip(listed, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]


def literal(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def dotted(node: ast.AST) -> list[str]:
    """`a.b.c` as its names. The first is "" if the expression does not begin with a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id if isinstance(node, ast.Name) else "", *reversed(names)]


def written(node: ast.expr | None) -> str:
    """An expression as text: "" without one, "..." for a long one."""
    if node is None:
        return ""
    is_short = node.end_lineno == node.lineno and (node.end_col_offset or 0) - node.col_offset <= _MOST_WRITTEN
    return ast.unparse(node) if is_short else "..."


def header(function: Function, name: str = "") -> str:
    """`async def name`."""
    return f"{'async ' if isinstance(function, ast.AsyncFunctionDef) else ''}def {name or function.name}"
