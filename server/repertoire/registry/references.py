"""What a source calls by name: other workflows and tools, read off its syntax tree. And whether those calls still fit.

Names are followed through imports, assignments and scopes; what is only known when it runs makes the references `dynamic`.
Nothing here recurses over the tree: how deep a source is nested is its author's choice.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from ..model.workflow import Finding, name_of_file

Schema = Mapping[str, Any]

_VERBS: Final = frozenset({"search", "list", "get", "create", "delete"})
"""The registry's own, which no workflow is called by; `get` and `create` say that the source looks after a name itself."""
_OF_THE_CALL: Final = "session_id"
"""Given with the arguments, and taken out before the workflow sees them."""
_NAMESPACES: Final = {"workflows": "workflows", "tools": "tools"}
_PACKAGE: Final = "repertoire"
_ANY: Final = frozenset({"Any", "Workflows", "object"})
_MOST_NODES: Final = 100_000
"""About half a second's work. Ordinary code of the largest size that is taken has a third of it; what lies beyond is not read."""
_MOST_NAMES: Final = 2_000
"""Workflows compared with a name that does not exist, to suggest what was meant."""
_MOST_FINDINGS: Final = 20
_DEEPEST: Final = 4
"""Levels of a schema that are compared."""
_MOST_CHOICES: Final = 16
"""Alternatives of a union that are opened; one that goes on is taken as saying nothing."""


class Reference(msgspec.Struct, frozen=True):
    """A workflow that is invoked: by which name, in which line, with which keywords. `open`: with others as well, not seen here."""

    name: str
    line: int
    keywords: tuple[str, ...] = ()
    open: bool = False


class References(msgspec.Struct, frozen=True):
    """`tools` are dotted names in alphabetical order, `own` the workflows that the source itself creates or asks for with `get`."""

    workflows: tuple[Reference, ...] = ()
    tools: tuple[str, ...] = ()
    dynamic: bool = False
    own: tuple[str, ...] = ()


def references(tree: ast.Module) -> References:
    """What the source invokes, in the order of its lines, whether or not it ever gets there."""
    reader = _Reader()
    waiting: list[tuple[ast.AST, _Names]] = [(tree, _Names(dict(_NAMESPACES), None))]
    left = _MOST_NODES
    while waiting and left > 0:
        scope, names = waiting.pop()
        inside = _of_scope(scope, left)
        left -= len(inside)
        names = names.within(scope, inside)
        for node in inside:
            reader.see(node, names)
        nested = [(node, names) for node in inside if isinstance(node, _SCOPES)]
        waiting += reversed(nested)
    return References(
        workflows=tuple(sorted(reader.found, key=lambda one: one.line)),
        tools=tuple(sorted(reader.tools)),
        dynamic=reader.dynamic or left <= 0,
        own=tuple(sorted(reader.own)),
    )


def missing(references: References, known: Mapping[str, Schema]) -> list[Finding]:
    """Calls that cannot succeed among the workflows in `known`, which are their input schemas by name; aliases are names too."""
    found: dict[tuple[str, int], Finding] = {}
    for one in references.workflows:
        if len(found) >= _MOST_FINDINGS:
            break
        schema = known.get(one.name, known.get(name_of_file(one.name)))
        if schema is not None:
            for finding in _unfit(one, schema):
                found.setdefault((finding.rule, one.line), finding)
        elif one.name not in references.own and ("unknown_workflow", one.line) not in found:
            found["unknown_workflow", one.line] = _unknown(one, known)
    return list(found.values())[:_MOST_FINDINGS]


def narrowed(before: Schema, after: Schema, uses: Reference) -> str | None:
    """Why a call that fitted the input schema `before` no longer fits `after`, as a sentence; None when it does, or nobody can say."""
    old, new = _properties(before), _properties(after)
    call = f"The call of `{uses.name}` in line {uses.line}"
    for keyword in uses.keywords:
        if keyword not in new and not _takes_others(after) and (keyword in old or _takes_others(before)):
            return f"{call} gives `{keyword}`, which is no longer a parameter."
    if not uses.open:
        for name in _required(after):
            if name not in uses.keywords and name not in _required(before):
                return f"{call} does not give `{name}`, which is now required."
    for keyword in uses.keywords:
        if keyword in old and keyword in new:
            was, now = _Type(old[keyword], before), _Type(new[keyword], after)
            if (why := _narrower(was, now)) is not None:
                return f"{call} gives `{keyword}`, which {why}."
    return None


_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_SCOPES = _FUNCTIONS | _COMPREHENSIONS | ast.ClassDef
_ASSIGNMENTS = ast.Assign | ast.NamedExpr | ast.AnnAssign
_NO_NODES: Final = frozenset(
    {"arg", "attr", "ctx", "id", "kind", "level", "module", "name", "op", "ops", "type_comment"}
)
_FIELDS: Final = {
    kind: tuple(field for field in kind._fields if field not in _NO_NODES)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
"""Of each kind of node the fields with a node in them that could matter here."""


def _of_scope(scope: ast.AST, most: int) -> list[ast.AST]:
    """The nodes of a scope in the order of the source, at most so many; nested scopes as themselves only."""
    found: list[ast.AST] = []
    stack = _children(scope)
    while stack and len(found) < most:
        node = stack.pop()
        found.append(node)
        if not isinstance(node, ast.Name | ast.Constant | _SCOPES):
            stack += _children(node)
    return found


def _children(node: ast.AST) -> list[ast.AST]:
    """From last to first."""
    found: list[ast.AST] = []
    for field in _FIELDS[type(node)]:
        value = getattr(node, field, None)
        if type(value) is list:
            found += [one for one in value if isinstance(one, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    found.reverse()
    return found


class _Names:
    """What names mean in a scope: `workflows.invoke`, `tools.curl`, `repertoire`; None: something else than ours."""

    def __init__(self, own: dict[str, str | None] | dict[str, str], around: _Names | None) -> None:
        self._own: dict[str, str | None] = dict(own)
        self._around = around

    def within(self, scope: ast.AST, inside: Iterable[ast.AST]) -> _Names:
        """Those of `scope`, whose nodes are `inside`. A class's names are not seen by its methods, which costs us nothing."""
        names = _Names({}, self)
        for name, value in _bindings(scope, inside):
            means = value if isinstance(value, str) else names.path(value) if value is not None else None
            known = names._own.get(name, means)
            names._own[name] = means if known == means else None
        return names if names._own else self

    def path(self, node: ast.AST) -> str | None:
        """The dotted name that an expression means, if it begins with something of ours."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        root = self._meaning(node.id) if isinstance(node, ast.Name) else None
        if root is None:
            return None
        if root == _PACKAGE and parts:
            root = _NAMESPACES.get(parts.pop(), "")
        return ".".join((root, *reversed(parts))) if root else None

    def _meaning(self, name: str) -> str | None:
        names: _Names | None = self
        while names is not None:
            if name in names._own:
                return names._own[name]
            names = names._around
        return None


def _bindings(scope: ast.AST, inside: Iterable[ast.AST]) -> Iterator[tuple[str, ast.expr | str | None]]:
    """Each name that the scope binds, with what to: an expression, a name of ours, or None."""
    if isinstance(scope, _FUNCTIONS):
        yield from _parameters(scope.args)
    plain: set[int] = set()
    for node in inside:
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load) and id(node) not in plain:
                yield node.id, None
            continue
        match node if isinstance(node, ast.stmt | ast.NamedExpr | ast.ExceptHandler) else None:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Name):
                        plain.add(id(target))
                        yield target.id, value
            case ast.AnnAssign(target=ast.Name() as target, value=value) | ast.NamedExpr(target=target, value=value):
                plain.add(id(target))
                if value is not None:
                    yield target.id, value
            case ast.Import(names=aliases):
                for alias in aliases:
                    ours = alias.name.partition(".")[0] == _PACKAGE and (alias.asname is None or alias.name == _PACKAGE)
                    yield alias.asname or alias.name.partition(".")[0], _PACKAGE if ours else None
            case ast.ImportFrom(module=module, level=level, names=aliases):
                ours = not level and (module or "").partition(".")[0] == _PACKAGE
                for alias in aliases:
                    yield alias.asname or alias.name, _NAMESPACES.get(alias.name) if ours else None
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, None
            case ast.ExceptHandler(name=str(name)):
                yield name, None


def _parameters(arguments: ast.arguments) -> Iterator[tuple[str, str | None]]:
    """A parameter called like a namespace is given it, unless its type says otherwise."""
    for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        annotation = one.annotation
        said = annotation.attr if isinstance(annotation, ast.Attribute) else getattr(annotation, "id", None)
        untyped = annotation is None or said in _ANY
        yield one.arg, _NAMESPACES.get(one.arg) if untyped else None
    for other in (arguments.vararg, arguments.kwarg):
        if other is not None:
            yield other.arg, None


class _Reader:
    """Collects over all scopes. What a call or an alias has already explained is not looked at as an expression of its own."""

    def __init__(self) -> None:
        self.found: list[Reference] = []
        self.tools: set[str] = set()
        self.own: set[str] = set()
        self.dynamic = False
        self._explained: set[int] = set()

    def see(self, node: ast.AST, names: _Names) -> None:
        if isinstance(node, ast.Call):
            self._call(node, names)
        elif isinstance(node, ast.Attribute | ast.Name):
            self._mention(node, names)
        elif isinstance(node, _ASSIGNMENTS) and node.value is not None and names.path(node.value) is not None:
            self._explain(node.value)  # an alias; where it is used is seen there

    def _call(self, node: ast.Call, names: _Names) -> None:
        function = node.func
        if _is_getattr(node) and names.path(node.args[0]) is not None:
            self._by_name(node, names)
            return
        path = names.path(function)
        if path is None:
            return
        self._explain(function)
        namespace, _, name = path.partition(".")
        if namespace == "tools":
            self.tools.update([name] if name else [])
        elif name == "invoke":
            self._invoke(node)
        elif name in _VERBS:
            self._registry(name, node)
        elif name and "." not in name and not name.startswith("_"):
            self._add(name, node.lineno, node.keywords)

    def _invoke(self, node: ast.Call) -> None:
        keywords = node.keywords
        first = node.args[0] if node.args else None
        if first is None:
            first = next((one.value for one in keywords if one.arg == "workflow_name"), None)
            keywords = [one for one in keywords if one.arg != "workflow_name"]
        name = _literal(first)
        if name is None:
            self.dynamic = True
        else:
            self._add(name, node.lineno, keywords)

    def _registry(self, verb: str, node: ast.Call) -> None:
        first = node.args[0] if node.args else next((one.value for one in node.keywords if one.arg == "name"), None)
        name = _literal(first)
        if verb in ("create", "get") and name is not None:
            self.own.add(name)

    def _by_name(self, node: ast.Call, names: _Names) -> None:
        """`getattr(workflows, name)`."""
        path, name = names.path(node.args[0]), _literal(node.args[1])
        self._explain(node.args[0])
        if name is None:
            self.dynamic = True
        elif path == "workflows" and name != "invoke" and name not in _VERBS:
            self.found.append(Reference(name, node.lineno, open=True))
        elif path is not None and path.startswith("tools"):
            self.tools.add(f"{path}.{name}".partition(".")[2])
        else:
            self.dynamic = True

    def _mention(self, node: ast.Attribute | ast.Name, names: _Names) -> None:
        """A namespace, or something of it, that is not called here but handed on: what it is called with is not known."""
        if id(node) in self._explained:
            return
        if isinstance(node, ast.Attribute):
            self._explain(node)  # or each part of a long chain would be read to its end
        if not isinstance(node.ctx, ast.Load) or (path := names.path(node)) is None:
            return
        namespace, _, name = path.partition(".")
        if namespace == "tools" and name:
            self.tools.add(name)
        elif namespace == "workflows" and name and name != "invoke" and name not in _VERBS and not name.startswith("_"):
            self.found.append(Reference(name.partition(".")[0], node.lineno, open=True))
        elif path in ("tools", "workflows", "workflows.invoke"):
            self.dynamic = True

    def _add(self, name: str, line: int, keywords: list[ast.keyword]) -> None:
        given: list[str] = []
        is_open = False
        for keyword in keywords:
            if keyword.arg is not None:
                given.append(keyword.arg)
            elif isinstance(keyword.value, ast.Dict) and all(map(_literal, keyword.value.keys)):
                given += [key for key in map(_literal, keyword.value.keys) if key is not None]
            else:
                is_open = True
        self.found.append(Reference(name, line, tuple(one for one in given if one != _OF_THE_CALL), is_open))

    def _explain(self, node: ast.AST) -> None:
        while isinstance(node, ast.Attribute):
            self._explained.add(id(node))
            node = node.value
        self._explained.add(id(node))


def _is_getattr(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="getattr"), args=[_, _, *_]):
            return True
    return False


def _literal(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _unknown(one: Reference, known: Mapping[str, Schema]) -> Finding:
    near = (name for name in known if name[:1] in one.name[:3] and abs(len(name) - len(one.name)) <= 4)
    close = difflib.get_close_matches(one.name[:100], list(islice(near, _MOST_NAMES)), n=3, cutoff=0.6)
    hint = (
        f"Is it {_either(close)}?"
        if close
        else "Publish that workflow first, or look for another with search_workflows."
    )
    return Finding("unknown_workflow", "warning", f"There is no workflow `{one.name[:100]}`.", one.line, hint=hint)


def _unfit(one: Reference, schema: Schema) -> Iterator[Finding]:
    taken, required = _properties(schema), _required(schema)
    strange = [] if _takes_others(schema) else [keyword for keyword in one.keywords if keyword not in taken]
    if strange:
        close = difflib.get_close_matches(strange[0][:100], list(taken)[:_MOST_NAMES], n=3, cutoff=0.6)
        takes = f"It takes {_listed(taken)}." if taken else "It takes no arguments."
        yield Finding(
            "unknown_argument", "warning", f"`{one.name}` has no parameter {_listed(strange)}.", one.line,
            hint=f"Is it {_either(close)}? {takes}" if close else takes,
        )  # fmt: skip
    lacking = [] if one.open else [name for name in required if name not in one.keywords]
    if lacking:
        given = [name for name in one.keywords if name in taken]
        call = ", ".join(f"{name}=..." for name in [*given, *lacking][:10])
        yield Finding(
            "missing_argument", "warning", f"`{one.name}` needs {_listed(lacking)}, which this call does not give.", one.line,
            hint=f"workflows.invoke({one.name!r}, {call})",
        )  # fmt: skip


def _listed(names: Iterable[str]) -> str:
    shown = [f"`{name[:100]}`" for name in names]
    return ", ".join(shown[:10]) + (" and others" if len(shown) > 10 else "")


def _either(names: list[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)


def _properties(schema: Schema) -> Schema:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _required(schema: Schema) -> tuple[str, ...]:
    return tuple(schema.get("required") or ())


def _takes_others(schema: Schema) -> bool:
    return schema.get("additionalProperties", True) is not False


class _Type:
    """A schema within the one that holds its definitions: what JSON it allows, as far as that is said plainly."""

    def __init__(self, schema: Any, root: Schema) -> None:
        self.root = root
        self.schema: Schema = {}
        self.branches: list[_Type] = []
        for _ in range(_DEEPEST):
            if not isinstance(schema, Mapping) or "$ref" not in schema:
                break
            schema = self._definition(str(schema["$ref"]))
        if isinstance(schema, Mapping) and "$ref" not in schema:
            self.schema = schema

    def _definition(self, ref: str) -> Any:
        name = ref.removeprefix("#/$defs/")
        return (self.root.get("$defs") or {}).get(name)

    def choices(self) -> list[_Type]:
        """The alternatives of a union, its nested ones opened; itself when it is none."""
        opened: list[_Type] = []
        waiting = [(self, 0)]
        while waiting:
            one, depth = waiting.pop()
            inner = one.schema.get("anyOf") or one.schema.get("oneOf")
            if not inner or depth == _DEEPEST or len(opened) > _MOST_CHOICES:
                opened.append(one)
            else:
                waiting += [(_Type(each, self.root), depth + 1) for each in reversed(inner)]
        return opened

    def kinds(self) -> frozenset[str] | None:
        """Names of JSON types; None: any, or not said."""
        said = self.schema.get("type")
        if isinstance(said, str):
            return frozenset({said})
        if isinstance(said, list | tuple):
            return frozenset(map(str, said))
        values = self.values()
        return None if values is None else frozenset(_kind(value) for value in values)

    def values(self) -> list[Any] | None:
        if "const" in self.schema:
            return [self.schema["const"]]
        said = self.schema.get("enum")
        return list(said) if isinstance(said, list | tuple) else None


def _kind(value: Any) -> str:
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "null" if value is None else "object"


def _narrower(was: _Type, now: _Type, depth: int = 0) -> str | None:
    """What the old type allowed and the new one does not, as the end of a sentence. In doubt None: bounds are not compared."""
    old, new = was.choices(), now.choices()
    if depth == _DEEPEST or any(one.kinds() is None for one in (*old, *new)):
        return None
    for one in old:
        for kind in sorted(one.kinds() or ()):
            why = _refused(one, kind, [each for each in new if _takes(each, kind)], depth)
            if why is not None:
                return why
    return None


def _refused(one: _Type, kind: str, takers: list[_Type], depth: int) -> str | None:
    """The same for one alternative's values of one JSON type, which `takers` are the new alternatives for."""
    if not takers:
        return f"may no longer be {_ARTICLE.get(kind, kind)}"
    mine, allowed = one.values(), [each.values() for each in takers]
    if None not in allowed:
        left = [value for values in allowed for value in values or ()]
        if mine is None:
            return f"must now be one of {_values(left)}"
        if gone := [value for value in mine if _kind(value) == kind and value not in left]:
            return f"may no longer be {_values(gone)}"
    formats = {str(each.schema.get("format", "")) for each in takers}
    if kind == "string" and mine is None and not formats & {"", one.schema.get("format", "")}:
        return f"must now be a string in the form {' or '.join(sorted(formats))}"
    if kind == "array" and len(takers) == 1:
        old, new = (_Type(each.schema.get("items"), each.root) for each in (one, takers[0]))
        if (why := _narrower(old, new, depth + 1)) is not None:
            return f"is a list whose items changed: an item {why}"
    return None


def _takes(one: _Type, kind: str) -> bool:
    kinds = one.kinds() or frozenset()
    return kind in kinds or (kind == "integer" and "number" in kinds)


def _values(values: list[Any]) -> str:
    return ", ".join(repr(value)[:60] for value in values[:6])


_ARTICLE: Final = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
