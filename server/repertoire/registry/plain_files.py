"""Plain files: says for a file without `run` which functions it has, and how one of them becomes a workflow; used by `source`.

Such files come from other frameworks: tools of agents, servers of FastMCP, flows, skills with a `main()`. Nothing of them runs here.
"""

from __future__ import annotations

import ast
from typing import Final

from .class_finder import last_name

_NO_RUN: Final = "There is no run(...) in the source."
_HINT: Final = (
    "Define `def run(...)` or `async def run(...)` at the top level, with type hints and a docstring, or a class that comes "
    "from Workflow and has a run method."
)
_FLOWS: Final = frozenset({"flow", "workflow", "task", "job", "activity", "entrypoint", "asset", "step"})
_MOST: Final = 5

Function = ast.FunctionDef | ast.AsyncFunctionDef


def told_of(tree: ast.Module) -> str:
    """The sentence that names what the file has instead of `run`."""
    tools, flows, main = _tools(tree), _flows(tree), _main(tree)
    if tools:
        kind = "an MCP server" if _is_server(tree) else "tools"
        return f"{_NO_RUN} It has {kind}: {_names(tools)}."
    if flows:
        return f"{_NO_RUN} It has flows of another framework: {_names(flows)}."
    if main is not None:
        return f"{_NO_RUN} It has main({', '.join(one.arg for one in main.args.args)})."
    return f"{_NO_RUN} It has functions: {_names(functions)}." if (functions := _functions(tree)) else _NO_RUN


def hint_of(tree: ast.Module) -> str:
    """How one of these functions becomes a workflow."""
    if _tools(tree) and _is_server(tree):
        return (
            'Add the file to mcp.json as a server: {"command": "python", "args": ["FILE"]}. Its tools are then tools.SERVER.NAME. '
            f"Or make one of them a workflow: write `run = {_tools(tree)[0].name}` at its end."
        )
    found = _tools(tree) or _flows(tree) or ([main] if (main := _main(tree)) else []) or _functions(tree)
    return f"Write `run = {found[0].name}` at its end, or: {_HINT[0].lower()}{_HINT[1:]}" if found else _HINT


def _functions(tree: ast.Module) -> list[Function]:
    return [node for node in tree.body if isinstance(node, Function) and not node.name.startswith("_")]


def _tools(tree: ast.Module) -> list[Function]:
    return [one for one in _functions(tree) if "tool" in _marks(one)]


def _flows(tree: ast.Module) -> list[Function]:
    return [one for one in _functions(tree) if _FLOWS & _marks(one)]


def _main(tree: ast.Module) -> Function | None:
    return next((one for one in _functions(tree) if one.name == "main"), None)


def _marks(function: Function) -> set[str]:
    return {last_name(one) for one in function.decorator_list}


def _is_server(tree: ast.Module) -> bool:
    made = (node.value for node in tree.body if isinstance(node, ast.Assign))
    return any(isinstance(value, ast.Call) and last_name(value) in ("FastMCP", "MCPServer") for value in made)


def _names(functions: list[Function]) -> str:
    more = f" and {len(functions) - _MOST} more" if len(functions) > _MOST else ""
    return ", ".join(one.name for one in functions[:_MOST]) + more
