"""Rule for effects outside of steps: finds writes, sent requests and programs in a body that may be begun again; used by `remarks`.

A body that is begun again is answered from its journal, but all that stands outside of its steps happens once more. Only bodies that wait,
or make more than one recorded call, are looked at. Functions that only steps call are left out. Files below `tempfile` are left out too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from ...model.workflow_version import Finding
from ..class_finder import last_name
from .findings import finding
from .step_changes import STEPS, is_step
from .tree import Function, dotted, literal

_OF_MODULES: Final = {
    "os": {"remove", "unlink", "rename", "renames", "replace", "rmdir", "removedirs", "system", "popen", "kill", "symlink", "link"},
    "shutil": {"copy", "copy2", "copyfile", "copytree", "move", "rmtree"},
    "subprocess": {"run", "Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
    "requests": {"post", "put", "patch", "delete"},
    "httpx": {"post", "put", "patch", "delete"},
}  # fmt: skip
"""Functions with an effect, by module."""
_METHODS: Final = frozenset(
    {"write_text", "write_bytes", "unlink", "sendmail", "send_message", "executemany", "executescript", "to_csv", "to_excel",
     "to_parquet", "savefig"}
)  # fmt: skip
"""Methods with an effect, whatever object has them."""
_CLIENTS: Final = frozenset({"requests", "httpx", "aiohttp"})
_SENDING: Final = frozenset({"post", "patch", "put"})
_CHANGES: Final = ("INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER", "MERGE", "UPSERT")
_READS: Final = frozenset({"search", "list", "get"})
_MODE: Final = re.compile(r"(?=.*[wax+])[rwabtx+]{1,4}")


class _Source(NamedTuple):
    inside: dict[ast.AST, list[ast.AST]]
    functions: dict[str, list[ast.AST]]
    imported: dict[str, str]
    """Names that imports bind, with the dotted names that they mean."""
    repeated: set[ast.AST]
    """Nodes within loops."""


def outside_effects(inside: dict[ast.AST, list[ast.AST]], entries: Collection[ast.AST]) -> Iterator[Finding]:
    """`inside`: the nodes of each scope. `entries`: the functions that callers call."""
    source = _read(inside)
    if not entries or "tempfile" in {one.partition(".")[0] for one in source.imported.values()}:
        return
    nodes = [node for scope in _outside_of_steps(source, entries) for node in inside.get(scope, ())]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    if sum(_durable_weight(node, source) for node in calls) < 2:
        return
    for node in calls:
        if (what := _effect(node, source)) is not None:
            yield finding(
                node,
                "effect_outside_step",
                f"`{what}` has an effect outside of a step: if the run is begun again after a crash, it happens again.",
                "Put it into a function and call that with step(function, ...): a recorded step is not done again.",
            )


def _read(inside: dict[ast.AST, list[ast.AST]]) -> _Source:
    source = _Source(inside, {}, {}, set())
    for nodes in inside.values():
        for node in nodes:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    source.functions.setdefault(node.name, []).append(node)
                case ast.Import(names=aliases):
                    for alias in aliases:
                        first = alias.name.partition(".")[0]
                        source.imported[alias.asname or first] = alias.name if alias.asname else first
                case ast.ImportFrom(module=str(module), names=aliases):
                    source.imported.update({alias.asname or alias.name: f"{module}.{alias.name}" for alias in aliases})
                case (
                    ast.For()
                    | ast.AsyncFor()
                    | ast.While()
                    | ast.ListComp()
                    | ast.SetComp()
                    | ast.DictComp()
                    | ast.GeneratorExp()
                ):
                    if node not in source.repeated:  # an inner loop has been walked with the outer one
                        source.repeated.update(ast.walk(node))
    return source


def _outside_of_steps(source: _Source, entries: Collection[ast.AST]) -> list[ast.AST]:
    """The scopes that the body executes itself: the entries, and what they mention and do not hand to a step."""
    found = list(entries)
    for scope in found:  # it grows
        nodes = source.inside.get(scope, [])
        handed = {_stepped(node) for node in nodes if isinstance(node, ast.Call)}
        for node in nodes:
            if node in handed:
                continue
            if isinstance(node, ast.Lambda):
                new: list[ast.AST] = [node]
            elif isinstance(node, ast.Name | ast.Attribute):
                name = node.id if isinstance(node, ast.Name) else node.attr
                new = [one for one in source.functions.get(name, ()) if not _is_step_function(one)]
            else:
                continue
            found += [one for one in new if one not in found]
    return found


def _stepped(node: ast.Call) -> ast.AST | None:
    """The function that a call of `step` executes."""
    return node.args[0] if dotted(node.func) in STEPS and node.args else None


def _is_step_function(node: ast.AST) -> bool:
    return isinstance(node, Function) and any(map(is_step, node.decorator_list))


def _durable_weight(node: ast.Call, source: _Source) -> int:
    """How much a call says that the run is long: 0 for an ordinary call, 1 for a recorded one, 2 for a wait and in a loop."""
    path = dotted(node.func)
    if path[0] == "repertoire":
        path = path[1:]
    path = [one for one in path if one != "aio"]
    meaning = source.imported.get(path[0], path[0]) if path else ""
    if path in (["ask"], ["sleep"]) and meaning in (path[0], f"repertoire.{path[0]}"):
        return 2
    if path == ["ctx", "ask"] or path == ["ctx", "sleep"]:
        return 2
    is_call = path[:1] == ["workflows"] and len(path) == 2 and path[1] not in _READS
    is_own_step = isinstance(node.func, ast.Name) and any(
        map(_is_step_function, source.functions.get(node.func.id, ()))
    )
    if dotted(node.func) in STEPS or is_call or is_own_step:
        return 2 if node in source.repeated else 1
    return 0


def _effect(node: ast.Call, source: _Source) -> str | None:
    """The call as a reader knows it, if it has an effect."""
    path = dotted(node.func)
    known = source.imported.get(path[0], path[0])
    full = ".".join((known, *path[1:]))
    module, _, name = full.rpartition(".")
    if last_name(node) == "open":
        return _writing_open(node, node.args[1:2] if full in ("open", "io.open") else node.args[:2])
    if name in _OF_MODULES.get(module, ()):
        return f"{full}(...)"
    if full == "urllib.request.urlopen":
        return f"{full}(...)" if len(node.args) > 1 or any(one.arg == "data" for one in node.keywords) else None
    if not isinstance(node.func, ast.Attribute):
        return None
    if name in _METHODS and (node.args or name in ("unlink", "savefig")):
        return f".{name}(...)"
    if name == "execute" and node.args and _first_text(node.args[0]).lstrip().upper().startswith(_CHANGES):
        return ".execute(...)"
    roots = {one.partition(".")[0] for one in source.imported.values()}
    is_client = not _CLIENTS.isdisjoint(roots) and isinstance(node.func.value, ast.Name)
    return f"{path[0]}.{name}(...)" if name in _SENDING and is_client and _has_address(node) else None


def _writing_open(node: ast.Call, positional: list[ast.expr]) -> str | None:
    """`open(path, "a")`, `path.open("w")`, `gzip.open(path, "wb")`."""
    modes = [literal(one) or "" for one in (*positional, *(one.value for one in node.keywords if one.arg == "mode"))]
    mode = next((one for one in modes if _MODE.fullmatch(one)), None)
    return f"open(..., {mode!r})" if mode else None


def _has_address(node: ast.Call) -> bool:
    """Not `queue.put(item)`: a request has an address as text, and mostly more."""
    return bool(node.args) and (
        isinstance(node.args[0], ast.JoinedStr) or literal(node.args[0]) is not None or bool(node.keywords)
    )


def _first_text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr) and node.values:
        return literal(node.values[0]) or ""
    return literal(node) or ""
