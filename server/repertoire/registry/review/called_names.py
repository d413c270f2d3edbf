"""References: the workflows and tools that a source calls by name, read off its syntax tree; used by the service.

Names are followed through imports, assignments and scopes. A call whose name is known only at run time makes the references `dynamic`.
"""

from __future__ import annotations

import ast
from collections import ChainMap
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

import msgspec

from ...model.needs import UNKNOWN
from .certainty import certain_nodes
from .fetched_hosts import FETCHERS, Texts, fetched_host, texts_of
from .given_values import Functions, Given, Kinds, functions_of, given_value, kinds_of_scope
from .tree import MOST_NODES, Function, by_scope, dotted, literal, parameters, scoped_nodes, written

_Names = ChainMap[str, str | None]
"""Meanings of names: `workflows.invoke`, `tools.curl`, `repertoire`. None: something that is not of repertoire."""

_NAMESPACES: Final = {"workflows": "workflows", "tools": "tools"}
_PACKAGE: Final = "repertoire"
_VERBS: Final = frozenset({"search", "list", "get", "create", "delete"})
"""The registry's own methods, which no workflow is called by. With `get` or `create`, the source looks after that workflow itself."""
_OF_A_DOOR: Final = frozenset({"with_options", "aio"})
"""Attributes of a tool itself."""
_OF_THE_CALL: Final = "session_id"
"""Passed with the arguments, and removed before the workflow gets them."""
_ANY: Final = frozenset({"", "Any", "Workflows", "object"})
"""Types of a parameter that gets a namespace because of its name."""
_SCOPES: Final = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.ClassDef,
)  # fmt: skip


class Reference(msgspec.Struct, frozen=True):
    """A call of a workflow: its name, line and keywords. `open`: it may have more keywords, which are not seen here.

    `given` is what is known of the values of its keywords. `is_positional`: it has arguments without a name. `is_certain`: a run that
    gets there fails if the call cannot be made.
    """

    name: str
    line: int
    keywords: tuple[str, ...] = ()
    open: bool = False
    given: dict[str, Given] = {}
    is_positional: bool = False
    is_certain: bool = False


class References(msgspec.Struct, frozen=True):
    """`tools` are dotted names in alphabetical order, `github.*` for a source that is handed on.

    `own` are workflows that the source itself creates or looks up with `get`. `hosts` are those that it reaches with `tools.fetch` and
    `tools.curl`; "*" is one that its text does not tell."""

    workflows: tuple[Reference, ...] = ()
    tools: tuple[str, ...] = ()
    dynamic: bool = False
    own: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


def references(tree: ast.Module) -> References:
    """All calls in the source, in the order of lines, also those that are never reached."""
    found = scoped_nodes(tree, _SCOPES)
    around = {node: scope for node, scope, _ in found if isinstance(node, _SCOPES)}
    names: dict[ast.AST, _Names] = {}
    scopes = by_scope(found)
    reader = _Reader(_Values(scopes, around), texts_of(tree))
    for scope, inside in scopes.items():
        outer = names[around[scope]] if scope in around else ChainMap[str, str | None]({**_NAMESPACES})
        names[scope] = _names_of_scope(scope, inside, outer)
        reader.scope = scope
        for node in inside:
            reader.see(node, names[scope])
    certain = certain_nodes(tree) if reader.found and len(found) < MOST_NODES else {}
    calls = (msgspec.structs.replace(one, is_certain=node in certain) for one, node in reader.found)
    return References(
        workflows=tuple(sorted(calls, key=lambda one: one.line)),
        tools=tuple(sorted(reader.tools)),
        dynamic=reader.dynamic or len(found) >= MOST_NODES,
        own=tuple(sorted(reader.own)),
        hosts=tuple(sorted(reader.hosts)),
    )


def _names_of_scope(scope: ast.AST, inside: list[ast.AST], around: _Names) -> _Names:
    """Meanings of names in one scope. A name with two meanings has none. Names of a class are given to its methods too, unlike in Python:
    that does no harm here."""
    names = around.new_child()
    for name, value in _bindings(scope, inside):
        means = _path(value, names) if isinstance(value, ast.AST) else value
        names[name] = means if names.maps[0].get(name, means) == means else None
    kept = {name: means for name, means in names.maps[0].items() if means is not None or name in around}
    return around.new_child(kept) if kept else around


def _path(node: ast.AST, names: _Names) -> str | None:
    """The dotted name that an expression means, if it begins with a name of repertoire."""
    first, *parts = dotted(node)
    root = names.get(first)
    if root == _PACKAGE and parts:
        root = _NAMESPACES.get(parts.pop(0))
    return ".".join((root, *parts)) if root else None


def _bindings(scope: ast.AST, inside: list[ast.AST]) -> Iterator[tuple[str, ast.expr | str | None]]:
    """Each name that the scope binds, with its value: an expression, a name of repertoire, or None."""
    if isinstance(scope, Function | ast.Lambda):
        yield from _parameters(scope.args)
    plain: set[ast.AST] = set()
    for node in inside:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) if node not in plain:
                yield name, None
            case ast.Assign(value=value) | ast.AnnAssign(value=value) | ast.NamedExpr(value=value):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                named = [target for target in targets if isinstance(target, ast.Name)]
                plain.update(named)
                yield from ((target.id, value) for target in named if value is not None)
            case ast.Import(names=aliases):
                for alias in aliases:
                    first, *rest = alias.name.split(".")
                    yield alias.asname or first, _PACKAGE if first == _PACKAGE and not (alias.asname and rest) else None
            case ast.ImportFrom(module=module, level=level, names=aliases):
                ours = _NAMESPACES if not level and (module or "").partition(".")[0] == _PACKAGE else {}
                yield from ((alias.asname or alias.name, ours.get(alias.name)) for alias in aliases)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, None
            case ast.ExceptHandler(name=str(name)):
                yield name, None


def _parameters(arguments: ast.arguments) -> Iterator[tuple[str, str | None]]:
    """A parameter with the name of a namespace gets that namespace, unless its type says otherwise."""
    for one, _ in parameters(arguments):
        is_any = written(one.annotation).rpartition(".")[2] in _ANY
        yield one.arg, _NAMESPACES.get(one.arg) if is_any else None
    yield from ((other.arg, None) for other in (arguments.vararg, arguments.kwarg) if other is not None)


class _Values:
    """What the names of each scope hold, read when it is asked for. The names of a class are not seen in its methods."""

    def __init__(self, scopes: dict[ast.AST, list[ast.AST]], around: Mapping[Any, ast.AST]) -> None:
        self._scopes = scopes
        self._around = around
        self._kinds: dict[ast.AST, Kinds] = {}

    def given(self, node: ast.expr, scope: ast.AST) -> Given | None:
        return given_value(node, self._kinds_of(scope), self._functions)

    @cached_property
    def _functions(self) -> Functions:
        return functions_of(node for inside in self._scopes.values() for node in inside)

    def _kinds_of(self, scope: ast.AST) -> Kinds:
        waiting = [scope]  # outer scopes come last
        while (outer := self._outside(waiting[-1])) is not None and outer not in self._kinds:
            waiting.append(outer)
        for one in reversed(waiting):
            if one not in self._kinds:
                outer = self._outside(one)
                above = ChainMap[str, Given | None]() if outer is None else self._kinds[outer]
                self._kinds[one] = kinds_of_scope(one, self._scopes[one], above, self._functions)
        return self._kinds[scope]

    def _outside(self, scope: ast.AST) -> ast.AST | None:
        outer = self._around.get(scope)
        while isinstance(outer, ast.ClassDef):
            outer = self._around.get(outer)
        return outer


class _Reader:
    """Collects references over all scopes. A node that is part of a call or an alias is not read again as an expression of its own."""

    scope: ast.AST
    """The present one."""

    def __init__(self, values: _Values, texts: Texts) -> None:
        self._values = values
        self._texts = texts
        self.found: list[tuple[Reference, ast.AST]] = []
        """Each with its node."""
        self.tools: set[str] = set()
        self.own: set[str] = set()
        self.hosts: set[str] = set()
        self.dynamic = False
        self._with_options: set[ast.AST] = set()
        """Calls of `with_options` whose result is called at once: the URL stands in that call."""
        self._resolved: set[ast.AST] = set()

    def see(self, node: ast.AST, names: _Names) -> None:
        match node:
            case ast.Call(func=ast.Name(id="getattr"), args=[of, name, *_]):
                if path := self._resolve(of, names):
                    self._note_alias(path, literal(name), node)
            case ast.Subscript(value=of, slice=ast.Constant(value=str(name))) if _path(of, names) == "tools":
                self._resolve(of, names)
                self.tools.add(name)
                self._note_host(name, None)
            case ast.Call(func=ast.Call() as made) if (path := _path(made.func, names)) and path.endswith(
                ".with_options"
            ):
                self._with_options.add(made)
                self._note_host(path.partition(".")[2], node)
            case ast.Call() if path := self._resolve(node.func, names):
                self._call(node, *path.split(".", 1))
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value) | ast.NamedExpr(value=value):
                if isinstance(value, ast.Name | ast.Attribute):
                    self._resolve(value, names)  # an alias: its uses are seen where they stand
            case ast.Name(ctx=ast.Load()) | ast.Attribute() if node not in self._resolved:
                if (path := self._resolve(node, names)) and isinstance(node.ctx, ast.Load):
                    namespace, _, attribute = path.partition(".")
                    self._note_alias(namespace, attribute or None, node)

    def _resolve(self, node: ast.AST, names: _Names) -> str | None:
        """The node's path. All parts of the chain are marked: otherwise each part of a long chain would be read to its end again."""
        path = _path(node, names)
        self._resolved.add(node)
        while isinstance(node, ast.Attribute):
            node = node.value
            self._resolved.add(node)
        return path

    def _call(self, node: ast.Call, namespace: str, name: str = "") -> None:
        if namespace == "tools":
            self.tools.update([_tool(name)] if name else [])
            if node not in self._with_options:
                self._note_host(name, node)
        elif name == "invoke":
            invoked = _argument(node, "workflow_name")
            if invoked is None:
                self.dynamic = True
            else:
                self._add(invoked, node, node.args[1:], "" if node.args else "workflow_name")
        elif name in _VERBS:
            asked = _argument(node, "name")
            if name in ("create", "get") and asked is not None:
                self.own.add(asked)
        elif name and "." not in name and not name.startswith("_"):
            self._add(name, node, node.args)

    def _note_alias(self, path: str, name: str | None, node: ast.expr) -> None:
        """Note a name of repertoire that is not called here, but handed on. The arguments of its calls are unknown; without `name`, also its
        name."""
        path = f"{path}.{name}" if name else path
        namespace, _, full = path.partition(".")
        if name is None or (namespace == "workflows" and full == "invoke"):
            self.dynamic = self.dynamic or namespace != _PACKAGE
        elif namespace == "tools":
            self.tools.add(
                tool if "." in (tool := _tool(full)) else f"{tool}.*"
            )  # of a source that is handed on, any tool may be called
            self._note_host(full, None)
        elif full.partition(".")[0] not in _VERBS | {"invoke"} and not full.startswith("_"):
            self.found.append((Reference(full.partition(".")[0], node.lineno, open=True), node))

    def _note_host(self, tool: str, call: ast.Call | None) -> None:
        """Note the host that a call of this tool reaches. None: the tool is handed on."""
        if tool.partition(".")[0] in FETCHERS:
            url = next((one.value for one in call.keywords if one.arg == "url"), None) if call is not None else None
            self.hosts.add(UNKNOWN if url is None else fetched_host(url, self._texts))

    def _add(self, name: str, node: ast.Call, positional: list[ast.expr], taken: str = "") -> None:
        given: list[str] = []
        is_open = bool(positional)
        for keyword in node.keywords:
            inner = list(map(literal, keyword.value.keys)) if isinstance(keyword.value, ast.Dict) else [None]
            known = [keyword.arg] if keyword.arg is not None else inner
            given += [one for one in known if one is not None and one not in (taken, _OF_THE_CALL)]
            is_open = is_open or None in known
        values = {one.arg: self._values.given(one.value, self.scope) for one in node.keywords if one.arg in given}
        certainly = {keyword: value for keyword, value in values.items() if keyword is not None and value is not None}
        named = any(not isinstance(one, ast.Starred) for one in positional)
        self.found.append((Reference(name, node.lineno, tuple(given), is_open, certainly, named), node))


def _tool(name: str) -> str:
    """The tool's path in `tools.github.create_issue.with_options(...)`."""
    return ".".join(part for part in name.split(".") if part not in _OF_A_DOOR)


def _argument(node: ast.Call, name: str) -> str | None:
    """The call's first argument if it is a literal string."""
    first = node.args[0] if node.args else next((one.value for one in node.keywords if one.arg == name), None)
    return literal(first)
