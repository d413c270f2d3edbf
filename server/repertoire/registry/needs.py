"""Needs of a version: `needs_of` reads them from its source and adds those that it declares; used by the service and before an approval.

Needs are shown. Only its tools are a limit too (`used_tools`), and the imports of created code (`importable`).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..compat.hook import CLASS_STYLE, PYFLUE
from ..errors import Refused
from ..model.needs import UNKNOWN, Needs
from ..model.workflow_options import DeclaredNeeds
from ..model.workflow_version import WorkflowVersion
from .import_groups import GROUPS
from .review import References, references
from .review.import_sites import import_sites
from .review.tree import dotted, literal
from .source import parse
from .source_imports import uses_of
from .used_tools import permits, tools_of

_OURS: Final = frozenset({"repertoire", *CLASS_STYLE, PYFLUE})
_OUTSIDE: Final = frozenset(name for group in GROUPS for name in group.standard.split())
"""Modules of the standard library that reach out of the sandbox."""
_AGENTS: Final = frozenset({"Agent", "Team"})
_MAKERS: Final = frozenset({*_AGENTS, "create_agent", "define_agent_profile"})
_OF_ARTIFACTS: Final = frozenset({"save", "load", "get", "list", "exists", "delete"})
_PREFIXES: Final = frozenset({"repertoire", "ctx", "context", "self", "aio"})
_DEFAULT_MODEL: Final = "default"


def needs_of(version: WorkflowVersion, read: Sequence[tuple[ast.Module, References]] | None = None) -> Needs:
    """The needs of a version. Takes a while: call it in a thread. `read`: its texts, if they are parsed already."""
    if read is None:
        texts = (version.source, *(one.source for one in version.modules))
        read = [(tree, references(tree)) for text in texts if (tree := _parsed(text))]
    trees, called = [tree for tree, _ in read], [one for _, one in read]
    declared = version.options.needs or DeclaredNeeds()
    tools = tools_of(version)
    own = {one.name.partition(".")[0] for one in version.modules}
    return Needs(
        packages=_in_order({name for tree in trees for name in _packages(tree, own)}, declared.packages),
        tools=tools,
        hosts=_in_order(_hosts(called, tools), declared.hosts),
        workflows=_in_order({name for one in called for name in _workflows(one)}, declared.workflows),
        artifacts=_in_order({verb for tree in trees for verb in _artifact_verbs(tree)}),
        models=_in_order({name for tree in trees for name in _models(tree)}, declared.models),
        state=version.uses_state,
        asks=any(_has(tree, "ask") for tree in trees),
        shell=any(
            isinstance(node, ast.Attribute) and node.attr == "shell" for tree in trees for node in ast.walk(tree)
        ),
    )


def _in_order(found: Iterable[str], declared: Iterable[str] = ()) -> tuple[str, ...]:
    """Alphabetical, "*" last."""
    return tuple(sorted({*found, *declared}, key=lambda name: (name == UNKNOWN, name)))


def _parsed(text: str) -> ast.Module | None:
    try:
        return parse(text, len(text) * 4 + 1)
    except Refused:
        return None


def _packages(tree: ast.Module, own: set[str]) -> Iterator[str]:
    for name in uses_of(tree).imports:
        first = name.partition(".")[0]
        if first and first not in own and first not in _OURS:
            yield first
    for site in import_sites(tree):
        asked = (site.module, *(f"{site.module}.{name}" for name in site.names))
        yield from (one for one in asked if one in _OUTSIDE and one.partition(".")[0] in sys.stdlib_module_names)


def _hosts(called: list[References], tools: tuple[str, ...]) -> set[str]:
    found = {host for one in called for host in one.hosts}
    is_open = not found and any(permits(tools, path) for path in ("fetch", "fetch.response", "curl.get", "curl.send"))
    return {UNKNOWN} if is_open else found


def _workflows(called: References) -> Iterator[str]:
    yield from (one.name for one in called.workflows)
    if called.dynamic:
        yield UNKNOWN


def _artifact_verbs(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in _OF_ARTIFACTS
            and _without_prefix(node)[:-1] == ["artifacts"]
        ):
            yield node.attr


def _has(tree: ast.Module, name: str) -> bool:
    """Whether the source calls this name of repertoire."""
    return any(isinstance(node, ast.Call) and _without_prefix(node.func) == [name] for node in ast.walk(tree))


def _without_prefix(node: ast.AST) -> list[str]:
    return [name for name in dotted(node) if name not in _PREFIXES]


def _models(tree: ast.Module) -> Iterator[str]:
    """The models that the agents of the source name; nothing without agents."""
    makers, classes = {f"repertoire.{name}": name for name in _MAKERS}, set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] in _OURS:
            names = {alias.asname or alias.name: alias.name for alias in node.names}
            makers |= {here: name for here, name in names.items() if name in _MAKERS}
            classes |= set(names) if ".model" in (node.module or "") else set()
    defines = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (maker := makers.get(".".join(dotted(node.func)))) is not None:
            defines = defines or maker not in _AGENTS
            given = {one.arg: one.value for one in node.keywords}
            if "model" in given or maker in _AGENTS:
                yield _model(given.get("model"), classes) if None not in given else UNKNOWN
    if defines:  # an agent of PyFlue is defined by a dict
        dicts = (node for node in ast.walk(tree) if isinstance(node, ast.Dict))
        values = [
            value for one in dicts for key, value in zip(one.keys, one.values, strict=True) if literal(key) == "model"
        ]
        yield from (_model(value, classes) for value in values or (None,))


def _model(value: ast.expr | None, classes: set[str]) -> str:
    """`openai:gpt-4o` and `OpenAIChat(id="gpt-4o")`, by the name of the model."""
    if isinstance(value, ast.Call) and ".".join(dotted(value.func)) in classes:
        value = next((one.value for one in value.keywords if one.arg == "id"), value.args[0] if value.args else None)
    return _DEFAULT_MODEL if value is None else literal(value) or UNKNOWN
