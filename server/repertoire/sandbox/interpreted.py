"""Interpreted: reads whether a source is simple enough for the interpreter pydantic-monty, and gives the small module that stands for it.

Where the kernel has no walls, code that nobody has approved may run in that interpreter, which can reach nothing. Python itself then gets
only `stub_of(source)`: the signature of `run`, and one call. Annotations and defaults are executed by Python, so they have to be plain.
Used by `engine` (to choose) and by the worker's loader. It decides about form only; the interpreter itself refuses what it does not know.
"""

from __future__ import annotations

import ast
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Final

CALL: Final = "__interpreted__"
"""The function that the stub calls, with the arguments of `run` by name."""

_TYPES: Final = frozenset({"str", "int", "float", "bool", "bytes", "list", "dict", "tuple", "set", "object"})
_OF_TYPING: Final = ("Any", "Literal", "Optional", "Union")
_GIVEN: Final = frozenset({"ctx", "context", "session_id", "tools", "workflows", "artifacts", "deps"})
"""Parameters that are no arguments of a caller. Objects of this process would go into the interpreter."""


class TooMuch(Exception):
    """Raised for a source that the interpreter cannot stand for. `line` is where."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@cache
def is_installed() -> bool:
    return find_spec("pydantic_monty") is not None


@lru_cache(maxsize=1024)
def fits(source: str) -> bool:
    """True if `stub_of` can read it. It is parsed, and nothing of it is executed."""
    try:
        stub_of(source)
    except (TooMuch, SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def stub_of(source: str) -> ast.Module:
    """The module with the signature of `run`, at its lines in the source. Raises TooMuch, and what `ast.parse` raises."""
    tree = ast.parse(source)
    run = _run_of(tree)
    _check_arguments(run.args)
    if run.returns is not None:
        _check_type(run.returns)
    names = [ast.alias(name) for name in _OF_TYPING]
    typing = ast.ImportFrom("typing", names, 0, lineno=1, col_offset=0)
    arguments = [*run.args.posonlyargs, *run.args.args, *run.args.kwonlyargs]
    given = [ast.keyword(one.arg, ast.Name(one.arg, ast.Load())) for one in arguments]
    call = ast.Return(ast.Call(ast.Name(CALL, ast.Load()), [], given))
    said = [_text(text)] if (text := ast.get_docstring(run, clean=False)) is not None else []
    stub = ast.FunctionDef("run", run.args, [*said, ast.copy_location(call, run)], [], run.returns)
    if hasattr(run, "type_params"):
        stub.type_params = []  # type: ignore[attr-defined,unused-ignore]
    head = [_text(text)] if (text := ast.get_docstring(tree, clean=False)) is not None else []
    module = ast.Module([*head, typing, ast.copy_location(stub, run)], [])
    return ast.fix_missing_locations(module)


def _text(text: str) -> ast.Expr:
    return ast.Expr(ast.Constant(text, lineno=1, col_offset=0), lineno=1, col_offset=0)


def _run_of(tree: ast.Module) -> ast.FunctionDef:
    named = [one for one in ast.walk(tree) if isinstance(one, _FUNCTIONS) and one.name == "run"]
    if len(named) != 1 or named[0] not in tree.body:
        raise TooMuch("it needs one function `run` at its top level")
    (run,) = named
    if not isinstance(run, ast.FunctionDef):
        raise TooMuch("its `run` is async", run.lineno)
    if run.decorator_list or getattr(run, "type_params", None):
        raise TooMuch("its `run` is decorated or generic", run.lineno)
    for one in ast.walk(tree):
        if isinstance(one, ast.ClassDef) and one.bases:
            raise TooMuch(f"the class {one.name} has a base", one.lineno)
        if isinstance(one, ast.Yield | ast.YieldFrom | ast.Await):
            raise TooMuch("it yields or awaits", one.lineno)
    return run


_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


def _check_arguments(arguments: ast.arguments) -> None:
    for many in (arguments.vararg, arguments.kwarg):
        if many is not None:
            raise TooMuch(f"`{many.arg}` takes any number of arguments", many.lineno)
    for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if one.arg in _GIVEN or one.arg.startswith("__"):
            raise TooMuch(f"the parameter `{one.arg}` is no argument of a caller", one.lineno)
        if one.annotation is not None:
            _check_type(one.annotation)
    for default in (*arguments.defaults, *arguments.kw_defaults):
        if default is None:
            continue
        try:
            ast.literal_eval(default)
        except (ValueError, TypeError, SyntaxError) as error:
            raise TooMuch("a default is not a literal", default.lineno) from error


def _check_type(node: ast.expr) -> None:
    """A type of built-in names only. No text: Python would evaluate it."""
    if isinstance(node, ast.Name) and node.id in {*_TYPES, *_OF_TYPING}:
        return
    if isinstance(node, ast.Constant) and node.value is None:
        return
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        _check_type(node.left)
        _check_type(node.right)
        return
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if node.value.id == "Literal" and all(isinstance(part, ast.Constant) for part in parts):
            return
        if node.value.id in {*_TYPES, *_OF_TYPING} - {"Literal", "Any"}:
            for part in parts:
                if not (isinstance(part, ast.Constant) and part.value is ...):
                    _check_type(part)
            return
    raise TooMuch("a type is not made of built-in names", node.lineno)
