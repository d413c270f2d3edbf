"""Script: turns plain statements into a module with `run(...)`; used by `CodeRuns` and `Publishing`. Nothing of the source runs here.

1. A module that defines `run` or a class workflow stays as it is.
2. Otherwise the statements become the body of `run`. Its parameters are the names of the arguments, and it returns the last expression.
3. Imports, functions and classes at the beginning stay in the module. From the first one on that reads a name of the statements, they
   move into `run` with them.
4. Lines are indented, words are added, nothing is written anew: comments stay, and a line of the body is one of the author's lines.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import symtable
from collections.abc import Iterable, Iterator
from typing import Final

from ..errors import BadArguments, Refused
from .class_finder import class_workflows
from .review.ruff import GLOBALS
from .review.tree import bound_names
from .source import parse

_TAKEN: Final = frozenset({"ctx", "context", "tools", "workflows", "artifacts", "deps"})
"""Names by which `run` gets other things than arguments."""
_KNOWN: Final = frozenset((*dir(builtins), *GLOBALS)) - {"__name__"}
"""Names that a module has without binding them."""
_DEFINITIONS: Final = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_NEWLINE: Final = re.compile("\r\n|\r")
_INDENT: Final = "    "


def as_module(source: str, names: Iterable[str], max_bytes: int) -> str:
    """The source as a module with `run`, which takes arguments of these names. Raises Refused, BadArguments."""
    source = _NEWLINE.sub("\n", source)
    tree = parse(source, max_bytes)
    if (run := _own_run(tree)) is not None or class_workflows(tree):
        if run is not None:
            _check_not_awaited(tree)
        return source
    names = list(names)
    _check_names(names)
    _check_not_global(tree, names)
    start = _first_of_body(tree.body, names)
    if start == len(tree.body):
        raise Refused(
            "There is nothing to run: the source only imports and defines.",
            "End it with an expression, whose value is the result, or define run(...).",
            code="no_run",
        )
    text = _written(source, tree.body, start, names)
    try:
        parse(text, max_bytes + len(text) - len(source))
        compile(text, "", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (Refused, SyntaxError, ValueError, RecursionError) as error:
        raise Refused(
            "These statements cannot become the body of a function.",
            "Write the source as a module with `async def run(...)`.",
            code="syntax_error",
        ) from error
    return text


def _own_run(tree: ast.Module) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    functions = (one for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    return next((one for one in functions if one.name == "run"), None)


def _check_not_awaited(tree: ast.Module) -> None:
    """Refuse `await run(...)` below the definition of run: a module cannot await, and run is called anyway."""
    for node in _own_nodes(tree.body):
        if isinstance(node, ast.Await):
            raise Refused(
                "The source defines run(...), which is called for you; outside of it nothing can be awaited.",
                "Take that statement away, and give run's parameters in `arguments`.",
                code="syntax_error",
                line=node.lineno,
            )


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name) or name in _TAKEN:
            raise BadArguments(
                f"`arguments`: {name[:60]!r} cannot be a name in the source.",
                "Choose another name: letters, digits and _, no keyword, and none that stands for something else, as tools.",
            )


def _check_not_global(tree: ast.Module, names: list[str]) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Global) and (both := sorted({*node.names} & {*names})):
            raise Refused(
                f"`{both[0]}` is an argument, so no function can declare it `global`.",
                "Give that function a parameter, or copy the argument into another name.",
                code="syntax_error",
                line=node.lineno,
            )


def _first_of_body(body: list[ast.stmt], names: Iterable[str]) -> int:
    """The index of the first statement that belongs into `run`. Each statement is looked at once: a source may have thousands."""
    start = next((n for n, one in enumerate(body) if not _is_of_module(n, one, len(body))), len(body))
    first_reader: dict[str, int] = {}
    for n, one in enumerate(body[:start]):
        for name in _read_by(one):
            first_reader.setdefault(name, n)
    first = min([start, *(first_reader.get(name, start) for name in names)])
    n = len(body)
    while n > first:
        n -= 1
        bound = (name for node in ast.walk(body[n]) for name in bound_names(node))
        first = min([first, *(first_reader.get(name, first) for name in bound)])
        if 0 < n == first and _first_line(body[n]) <= (body[n - 1].end_lineno or 0):
            first -= 1  # two statements in one line stay together
    return first


def _is_of_module(n: int, node: ast.stmt, count: int) -> bool:
    if isinstance(node, ast.Assign):
        return any(isinstance(one, ast.Name) and one.id == "__workflow__" for one in node.targets)
    is_docstring = n == 0 and count > 1 and isinstance(node, ast.Expr) and _is_text(node.value)
    return is_docstring or isinstance(node, _DEFINITIONS)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _read_by(node: ast.stmt) -> set[str]:
    """Names of the module that a function or class reads, at once or when it is called."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return set()
    try:
        top = symtable.symtable(ast.unparse(node), "", "exec")
    except (SyntaxError, RecursionError, ValueError):
        return set()  # the worker says what is wrong with it
    found, tables = set(), [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_global() or (table is top and symbol.is_referenced()):
                found.add(symbol.get_name())
    return found


def _own_nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """The nodes of the statements themselves, without those of the functions and classes that they define."""
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            stack += ast.iter_child_nodes(node)


def _written(source: str, body: list[ast.stmt], start: int, names: list[str]) -> str:
    lines = source.split("\n")
    inner, last = body[start:], body[-1]
    own = list(_own_nodes(inner))
    if isinstance(last, ast.Expr) and not any(isinstance(one, ast.Yield | ast.YieldFrom) for one in own):
        line = lines[last.lineno - 1].encode()
        lines[last.lineno - 1] = (line[: last.col_offset] + b"return " + line[last.col_offset :]).decode()
    first = _first_line(inner[0]) - 1
    while first > 0 and lines[first - 1].startswith("#") and first > (body[start - 1].end_lineno or 0 if start else 0):
        first -= 1
    kept = _lines_in_texts(inner)
    inside = [line if n in kept or not line else _INDENT + line for n, line in enumerate(lines[first:], first + 1)]
    awaits = any(
        isinstance(one, ast.Await | ast.AsyncFor | ast.AsyncWith)
        or (isinstance(one, ast.comprehension) and one.is_async)
        for one in own
    )
    head = f"{'async ' if awaits else ''}def run({', '.join(names)}):"
    added, before = [head, *_beginning(body, inner, names)], lines[:first]
    for _ in added:  # they take the place of empty lines, so that the lines keep their numbers
        if before and not before[-1].strip():
            before.pop()
    return "\n".join([*before, *added, *inside])


def _beginning(body: list[ast.stmt], inner: list[ast.stmt], names: list[str]) -> list[str]:
    """Lines that keep the meaning of a name that the statements bind and that has one before: from `global` in a function, from an
    import or definition that stays in the module, from Python or from a run. And that of `__name__` in a file that is executed."""
    own = list(_own_nodes(inner))
    bound = {name for node in own for name in bound_names(node)}
    named = {name for one in body for node in ast.walk(one) if isinstance(node, ast.Global) for name in node.names}
    named |= {name for one in body[: len(body) - len(inner)] for name in bound_names(one)} | _KNOWN
    annotated = {one.target.id for one in own if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)}
    shared = sorted((bound & named) - annotated - set(names))
    asks = any(isinstance(node, ast.Name) and node.id == "__name__" for one in inner for node in ast.walk(one))
    return [
        *([f"{_INDENT}global {', '.join(shared)}"] if shared else []),
        *([f'{_INDENT}__name__ = "__main__"'] if asks else []),
    ]


def _lines_in_texts(body: list[ast.stmt]) -> set[int]:
    """Numbers of the lines that begin within a string: they are not indented."""
    return {
        line
        for one in body
        for node in ast.walk(one)
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))
        for line in range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)
    }


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])
