"""Value types: writes the types that `run` lacks into a source, read off the values of one run; used by `Publishing` to keep code that ran.

A type that stands in the source already stays. A value that says too little (null, or a list of unlike items) gives a wide type or none.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Mapping
from typing import Any, Final

_SCALARS: Final = (bool, int, float, str)


def with_types(source: str, arguments: Mapping[str, Any], result: Any) -> tuple[str, list[str]]:
    """The source, in which the parameters and the result of `run` have types, and the names of the parameters that got one.

    `result`: that of the run; Ellipsis: it failed, and has none.
    """
    run = next(
        (
            one
            for one in ast.parse(source).body
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name == "run"
        ),
        None,
    )
    if run is None:
        return source, []
    lines = re.split("(?<=\n)", source)  # as `ast` counts them: not at other characters that end a line for str
    places, typed = [], []
    for one in (*run.args.posonlyargs, *run.args.args, *run.args.kwonlyargs):
        if one.annotation is None and (name := type_of(arguments.get(one.arg))) is not None:
            line = lines[one.lineno - 1].encode()[: one.end_col_offset].decode()
            places.append((one.lineno, len(line), f": {name}"))
            typed.append(one.arg)
    yields = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(run))
    if run.returns is None and result is not ... and not yields:
        places.append((*_end_of_head(lines, run.lineno), f" -> {type_of(result)}"))
    for number, column, text in sorted(places, reverse=True):
        line = lines[number - 1]
        lines[number - 1] = line[:column] + text + line[column:]
    return "".join(lines), typed


def type_of(value: Any) -> str | None:
    """The type as Python writes it. None: the value is null."""
    if value is None:
        return None
    if isinstance(value, dict):
        return "dict"
    if isinstance(value, list):
        kinds = {type_of(one) for one in value if not isinstance(one, list)} | {
            "list" for one in value if isinstance(one, list)
        }
        if kinds == {"int", "float"}:
            kinds = {"float"}
        (kind,) = kinds if len(kinds) == 1 else (None,)
        return "list" if kind is None else f"list[{kind}]"
    return next((kind.__name__ for kind in _SCALARS if isinstance(value, kind)), None)


def _end_of_head(lines: list[str], first: int) -> tuple[int, int]:
    """Line and column of the colon that ends the head of the function."""
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO("".join(lines[first - 1 :])).readline):
        if token.string in ("(", "[", "{"):
            depth += 1
        elif token.string in (")", "]", "}"):
            depth -= 1
        elif token.string == ":" and depth == 0:
            break
    return first - 1 + token.start[0], token.start[1]
