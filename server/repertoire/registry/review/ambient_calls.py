"""Ambient calls: rules for calls of functions that a workflow has without an import, and of `input`; used by `remarks`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from ...authoring.call_forms import FORMS, NO_TERMINAL, form_of
from ...model.workflow_version import Finding
from .findings import finding, name_list
from .tree import Node, parameters

_TERMINAL: Final = frozenset({"input", "getpass", "getpass.getpass"})


def ambient_calls(seen: list[Node]) -> Iterator[Finding]:
    """Calls that cannot work: with parameters that the function does not have, or at a terminal."""
    named = [(node, _name_of(node.func)) for node, *_ in seen if isinstance(node, ast.Call)]
    ours = [(node, name) for node, name in named if name in FORMS or name in _TERMINAL]
    own = _bound(seen) if ours else frozenset()
    for node, name in ours:
        if name.partition(".")[0] in own:
            continue
        if name in _TERMINAL:
            yield finding(node, "no_terminal", f"`{name}()` fails: a run has no terminal.", NO_TERMINAL)
        elif strange := _strange(node, FORMS[name]):
            message = f"`{name}` has no parameter {name_list(strange)}."
            yield finding(node, "unknown_argument", message, form_of(name))


def _name_of(function: ast.expr) -> str:
    """`ask` for `ask` and `repertoire.ask`, `getpass.getpass`."""
    match function:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="repertoire"), attr=name):
            return name
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            return f"{module}.{name}"
    return ""


def _strange(node: ast.Call, form: str) -> list[str]:
    known = re.findall(r"(\w+)\s*(?:=|,|\))", form)
    return [one.arg for one in node.keywords if one.arg is not None and one.arg not in known]


def _bound(seen: list[Node]) -> frozenset[str]:
    """Names that the source gives another meaning anywhere: those are not ours."""
    names: set[str] = set()
    for node, *_ in seen:
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=aliases):
                names.update(one.asname or one.name for one in aliases if one.name not in ("repertoire", "getpass"))
            case ast.ImportFrom(module=module, names=aliases) if module not in ("repertoire", "getpass"):
                names.update(one.asname or one.name for one in aliases)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            names.update(one.arg for one, _ in parameters(node.args))
    return frozenset(names)
