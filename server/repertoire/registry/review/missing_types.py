"""Rules for type hints of an entry: without them, callers learn neither the types of the arguments nor the output; used by `remarks`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...model.workflow_version import Finding
from .entry_points import EntryPoint
from .findings import finding, name_list
from .tree import Function, header, parameters, written

_MOST_SHOWN = 9
"""Parameters written out in a hint."""


def signature(entry: EntryPoint, inside: list[ast.AST]) -> Iterator[Finding]:
    function = entry.function
    untyped = [one.arg for one in entry.parameters if one.annotation is None]
    if untyped:
        yield finding(
            function,
            "untyped_parameter",
            f"{name_list(untyped)} of `{function.name}` {'has' if len(untyped) == 1 else 'have'} no type: callers are not told what to give.",
            _typed_header(entry, inside),
        )
    if function.returns is None and entry.of_class is None:  # the result of a class is the content of its responses
        yield finding(
            function,
            "untyped_result",
            f"`{function.name}` does not say what it returns: the tool has no output schema.",
            _typed_header(entry, inside),
        )
    if function.args.kwarg is not None and not entry.parameters:
        yield finding(
            function,
            "unnamed_arguments",
            f"`**{function.args.kwarg.arg}` is all that callers are told of: they cannot know what to give.",
            f"Name each argument: `{header(function)}(text: str, most: int = 10)`.",
        )


def _typed_header(entry: EntryPoint, inside: list[ast.AST]) -> str:
    """The `def` line with types, as a hint."""
    function, arguments = entry.function, entry.function.args
    shown: list[str] = []
    for one, default in parameters(arguments)[:_MOST_SHOWN]:
        kind = written(one.annotation) or (_type_of(default) if one in entry.parameters else "")
        if arguments.kwonlyargs and one is arguments.kwonlyargs[0]:
            shown.append("*")
        equals = " = " if kind else "="
        shown.append(one.arg + (f": {kind}" if kind else "") + (equals + written(default) if default else ""))
    if len(parameters(arguments)) > _MOST_SHOWN:
        shown.append("...")
    elif arguments.kwarg is not None:
        shown.append(f"**{arguments.kwarg.arg}: str")
    result = written(function.returns) or ("" if entry.of_class else _result_type(function, inside))
    return f"{header(function)}({', '.join(shown)}){result and f' -> {result}'}:"


def _result_type(function: Function, inside: list[ast.AST]) -> str:
    if any(isinstance(one, ast.Yield | ast.YieldFrom) for one in inside):
        return "AsyncIterator[str]" if isinstance(function, ast.AsyncFunctionDef) else "Iterator[str]"
    values = [one.value for one in inside if isinstance(one, ast.Return) and one.value is not None]
    return _type_of(values[0]) if values else "None"


def _type_of(value: ast.expr | None) -> str:
    """The type of a literal; `str` if nothing shows it."""
    match value:
        case ast.Constant(value=None):
            return "str | None"
        case ast.Constant(value=bool() | int() | float() as given):
            return type(given).__name__
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as given)):
            return type(given).__name__
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return "bool"
        case ast.List() | ast.ListComp():
            return "list[str]"
        case ast.Dict() | ast.DictComp():
            return "dict[str, str]"
    return "str"
