"""Import sites: all imports of a source, with the names that each asks for, and whether the source can do without them; used by `imports`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

from .tree import dotted, literal

Import = ast.Import | ast.ImportFrom
_EXPECTED: Final = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_IMPORTERS: Final = frozenset({"import_module", "__import__"})
_OF_PLATFORM: Final = frozenset({("sys", "version_info"), ("sys", "platform"), ("os", "name")})
_BLOCKS: Final = (ast.Try, ast.With, ast.If)
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Care(Enum):
    """Whether the source expects that an import fails."""

    NONE = "none"
    BRANCH = "branch"
    """It stands under a test of the platform or of Python's version, so it may not be reached here."""
    REPORTED = "reported"
    """The failure is expected, and raised again."""
    HANDLED = "handled"
    """The source goes on without it."""


class Site(NamedTuple):
    """One module that is asked for. `names`: those that are imported from it. `node` has the line and column."""

    node: ast.stmt | ast.expr | ast.alias
    module: str
    names: tuple[str, ...] = ()
    care: Care = Care.NONE
    is_statement: bool = True


def import_sites(tree: ast.Module) -> Iterator[Site]:
    """Absolute imports, and calls of `import_module` and `__import__` with a literal name. Imports for type checkers are left out."""
    stack: list[tuple[ast.AST, Care]] = [(tree, Care.NONE)]
    while stack:
        node, care = stack.pop()
        yield from _asked_for(node, care)
        if isinstance(node, _FUNCTIONS):
            care = Care.NONE
        if isinstance(node, ast.If) and _is_for_types(node):
            stack += [(child, care) for child in node.orelse]
            continue
        inside = _care_inside(node, care)
        own: set[ast.AST] = set()
        if inside is not care and isinstance(node, _BLOCKS):
            own.update(node.body, node.orelse if isinstance(node, ast.If) else ())
        stack += [(child, inside if child in own else care) for child in ast.iter_child_nodes(node)]


def _asked_for(node: ast.AST, care: Care) -> Iterator[Site]:
    match node:
        case ast.Import():
            yield from (Site(alias, alias.name, care=care) for alias in node.names)
        case ast.ImportFrom(level=0):
            yield Site(node, node.module or "", tuple(alias.name for alias in node.names), care)
        case ast.Call(args=[first, *_]) if dotted(node.func)[-1] in _IMPORTERS:
            name = literal(first) or ""
            if all(part.isidentifier() for part in name.split(".")):
                yield Site(node, name, care=care, is_statement=False)


def _care_inside(node: ast.AST, care: Care) -> Care:
    """The care for the body of a statement."""
    if isinstance(node, ast.Try):
        expecting = [one for one in node.handlers if not _EXPECTED.isdisjoint(_kinds(one.type))]
        if expecting:
            raises = any(isinstance(one.body[-1], ast.Raise) for one in expecting)
            return Care.REPORTED if raises else Care.HANDLED
    elif isinstance(node, ast.With) and any(map(_suppresses, node.items)):
        return Care.HANDLED
    elif isinstance(node, ast.If) and care is Care.NONE and _tests_platform(node.test):
        return Care.BRANCH
    return care


def _kinds(node: ast.expr | None) -> list[str]:
    if node is None:
        return ["BaseException"]
    return [dotted(one)[-1] for one in (node.elts if isinstance(node, ast.Tuple) else [node])]


def _suppresses(item: ast.withitem) -> bool:
    call = item.context_expr
    if not isinstance(call, ast.Call) or dotted(call.func)[-1] != "suppress":
        return False
    return not _EXPECTED.isdisjoint(dotted(one)[-1] for one in call.args)


def _is_for_types(node: ast.If) -> bool:
    return dotted(node.test)[-1] == "TYPE_CHECKING"


def _tests_platform(test: ast.expr) -> bool:
    paths = (tuple(dotted(one)) for one in ast.walk(test) if isinstance(one, ast.Attribute))
    return any(path[:2] in _OF_PLATFORM or path[0] == "platform" for path in paths)
