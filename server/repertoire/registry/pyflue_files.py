"""PyFlue files: finds the handler `default(context)` of a file in PyFlue's older form, and says what a file without a workflow lacks.

Used by `source`. Only the syntax tree is read.
"""

from __future__ import annotations

import ast
from typing import Final

HANDLERS: Final = ("default", "agent")
"""Names of handlers, the first one wins. PyFlue served such a file as an agent with an id, whose conversation goes on."""
_CONTEXTS: Final = frozenset({"ctx", "context"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def handler_of(tree: ast.Module) -> _Function | None:
    """The function `default(context)` or `agent(context)` of the top level: undecorated, with the context as its only parameter."""
    found = {node.name: node for node in tree.body if isinstance(node, _Function) and _is_handler(node)}
    return next((found[name] for name in HANDLERS if name in found), None)


def missing_run(tree: ast.Module) -> tuple[str, str, int] | None:
    """For a file of PyFlue without a workflow: the message, the hint and the line. None for any other file."""
    if not any(_imports_pyflue(node) for node in ast.walk(tree)):
        return None
    for node in tree.body:
        if isinstance(node, ast.Assign) and _calls(node.value, "create_agent"):
            name = node.targets[0].id if isinstance(node.targets[0], ast.Name) else "agent"
            hint = (
                f"Add `async def run(ctx, message: str)` with `harness = await ctx.init({name})`, `session = await harness.session()` "
                "and `return (await session.prompt(message)).text`."
            )
            return f"The file of PyFlue defines the agent {name!r}, and no run(ctx) that uses it.", hint, node.lineno
    for node in tree.body:
        if isinstance(node, _Function) and any(
            _calls(one, "init") or _calls(one, "init_agent") for one in ast.walk(node)
        ):
            takes = bool(node.args.args or node.args.kwonlyargs)
            more = "its parameters become the tool's" if takes else "and return the value that it prints"
            hint = f"Rename {node.name}() to run, {more}. Or add `async def run(ctx)` that calls it."
            return f"The file of PyFlue has no run(ctx); {node.name}() starts its agent.", hint, node.lineno
    return (
        "The file of PyFlue has no run(ctx) and no default(context).",
        "Add `async def run(ctx)`; ctx.init(agent) starts an agent.",
        1,
    )


def _is_handler(node: _Function) -> bool:
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args]
    if node.name not in HANDLERS or node.decorator_list or len(named) != 1 or arguments.vararg or arguments.kwonlyargs:
        return False
    written = "" if named[0].annotation is None else ast.unparse(named[0].annotation).strip("\"'")
    return written.rpartition(".")[2].endswith("Context") if written else named[0].arg in _CONTEXTS


def _imports_pyflue(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] == "pyflue"
    return isinstance(node, ast.Import) and any(one.name.partition(".")[0] == "pyflue" for one in node.names)


def _calls(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Await):
        node = node.value
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    return (function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")) == name
