"""What could be better in a source that is about to be published: advice for whoever wrote it, each with a better form.

Reads the syntax tree only, and stops nothing: what stops publishing is found by `source` and by the worker. A rule that would
often be wrong is worth less than none, so each looks for what is plainly so. Nothing here recurses over the tree.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from ..authoring.docstring import parameter_descriptions
from ..model.workflow import Finding
from .classes import class_workflows

Severity = Literal["warning", "info"]
_Function = ast.FunctionDef | ast.AsyncFunctionDef

_MOST_FINDINGS: Final = 20
_MOST_NODES: Final = 100_000
"""A third of a second's work. Ordinary code of the largest size that is taken has a third of it; what lies beyond is not read."""
_MOST_DOCSTRING: Final = 10_000
"""Characters of a docstring that are read."""
_MOST_SECRET: Final = 5_000
"""Characters; a longer text is data."""
_MOST_CLASSES: Final = 200
"""Classes of a file among which bodies are looked for: each is followed through its bases."""
_MOST_SHOWN: Final = 8
"""Parameters written out in a hint."""
_LONG_BODY: Final = 100
"""Lines of an entry beyond which its parts want names of their own."""

_FILLED: Final = frozenset({"ctx", "tools", "workflows", "artifacts", "deps"})
"""Parameters that Repertoire fills: no caller is told of them."""
_SWALLOWED: Final = {"config": "settings", "runtime": "environment", "run_manager": "manager"}
"""What LangChain's adapter of MCP tools keeps to itself, with a name that arrives."""
_BROAD: Final = frozenset({"Exception", "BaseException"})
_ERROR_KEYS: Final = frozenset({"error", "errors", "err", "exception", "error_message"})
_ERROR_TEXT: Final = re.compile(
    r"\W*(error|failed|failure|exception|could ?n[o']t|unable to|something went wrong)\b", re.I
)
_NOTHING_SAID: Final = re.compile(
    r"(tmp|temp|data|val|value|var|arg|param|obj|thing|stuff)_?\d+|tmp|foo|foobar|bar|baz|qux|asdf|blah|xx+|dummy|stuff|things?"
)
_NO_ACTION: Final = re.compile(
    r"(do|handle|process|make)_(it|this|that|things?|stuff|something|work)|(my_?)?(func|function|fn|method|helper)_?\d*"
)
_NO_CLASS: Final = re.compile(r"(My|New|Test|The)?(Workflow|Class|Task|Flow)\d*|Test|Foo|Bar|Temp")
_SHORT_LOCALS: Final = frozenset("abcdghloqpruvw")
"""Single letters that mean nothing by custom; an index i, a count n, a coordinate x or a file f does."""
_LONGER: Final = {
    "addr": "address", "amt": "amount", "calc": "calculate", "cfg": "settings", "cnt": "count", "contrib": "contributors",
    "desc": "description", "dest": "destination", "incl": "include", "excl": "exclude", "lang": "language", "mgr": "manager",
    "msg": "message", "num": "number", "qty": "quantity", "repo": "repository", "req": "request", "resp": "response",
    "ts": "timestamp", "usr": "user", "val": "value",
}  # fmt: skip
_FAMILIAR: Final = frozenset({"repo", "lang", "desc", "msg"})
"""Written out where a hint rewrites the line anyway; no reason for one by themselves."""
_BY_TYPE: Final = {"int": "count", "float": "amount", "bool": "enabled", "list": "items", "dict": "record"}
_ORDINALS: Final = ("first_", "second_", "third_")
_SECRET_NAME: Final = re.compile(
    r"(?:^|_)(api_?key|secret|secret_key|access_key|private_key|auth_key|token|passw(?:or)?d|passphrase|credentials?)$",
    re.I,
)
_SECRET_VALUE: Final = re.compile(
    r"sk-[\w-]{16,}|gh[pousr]_\w{30,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{16}|"
    r"AIza[\w-]{30,}|hf_[A-Za-z]{30,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+|[rs]k_live_\w{16,}|"
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*|[a-z][a-z0-9+]*://[^\s:/@{]+:[^\s:/@{]+@\S+"
)
_STAND_IN: Final = re.compile(
    r"your|example|change|replace|placeholder|dummy|todo|\.\.\.|…|xxx|\*\*\*|[<>{}\s$]|://", re.I
)


_NO_NODES: Final = frozenset({"annotation", "attr", "ctx", "id", "kind", "module", "name", "op", "ops", "type_comment"})
_FIELDS: Final = {
    kind: tuple(field for field in kind._fields if field not in _NO_NODES)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
"""Of each kind of node the fields in which a rule may find something."""


def review(tree: ast.Module, source: str) -> list[Finding]:
    """At most twenty remarks in the order of their lines, one for each rule in a line; the serious ones where there are more."""
    text = _Text(source)
    entries = list(_entries(tree))
    facts = _Facts(frozenset(id(entry.function) for entry in entries))
    found: list[Finding] = []
    for node, function, handler in _nodes(tree):
        facts.see(node, function, handler)
        found += _remarks(node, function, handler, facts)
    found += facts.bare()
    for entry in entries:
        found += _of_entry(entry, facts.of(entry.function), tree, text)
    return _chosen(found, text)


class _Entry(msgspec.Struct, frozen=True):
    """What callers call: a `run`, or the body of a class. `parameters` are those whom a caller gives."""

    function: _Function
    parameters: tuple[ast.arg, ...]
    of_class: ast.ClassDef | None = None


class _Of(msgspec.Struct):
    """What was seen in one function, without those nested in it."""

    returned: list[ast.expr | None] = []
    yields: bool = False
    raised: list[ast.Raise] = []
    names: set[str] = set()


class _Text:
    """The source by lines, as the parser counts them."""

    def __init__(self, source: str) -> None:
        self.lines = re.split(r"\r\n|\r|\n", source)

    def of(self, node: ast.expr, most: int = 60) -> str:
        """How an expression was written, in one line."""
        end = node.end_lineno or node.lineno
        if end - node.lineno > 5 or end > len(self.lines):
            return "..."
        lines = [line.encode("utf-8", "surrogatepass") for line in self.lines[node.lineno - 1 : end]]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        written = " ".join(b"\n".join(lines).decode("utf-8", "replace").split())
        return written if len(written) <= most else "..."

    def column(self, line: int, offset: int) -> int:
        """Of a byte offset: from 1, in characters."""
        written = self.lines[line - 1] if line <= len(self.lines) else ""
        return len(written.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "replace")) + 1


class _Facts:
    """Collected on the way through the tree, for rules that look at a whole function."""

    def __init__(self, entries: frozenset[int]) -> None:
        self._entries = entries
        self._of: dict[int, _Of] = {}
        self._bare: dict[int, tuple[ast.ExceptHandler, bool]] = {}

    def of(self, function: ast.AST | None) -> _Of:
        return self._of.setdefault(id(function), _Of())

    def is_entry(self, function: ast.AST | None) -> bool:
        return id(function) in self._entries

    def see(self, node: ast.AST, function: ast.AST | None, handler: ast.ExceptHandler | None) -> None:
        match node:
            case ast.Return(value=value):
                self.of(function).returned.append(value)
            case ast.Yield() | ast.YieldFrom():
                self.of(function).yields = True
            case ast.Raise():
                self.of(function).raised.append(node)
                if handler is not None and handler.type is None:
                    self._bare[id(handler)] = handler, True
            case ast.ExceptHandler(type=None):
                self._bare[id(node)] = node, False

    def bare(self) -> Iterator[Finding]:
        for handler, raises in self._bare.values():
            if not raises and not all(map(_is_silent, handler.body)):  # of those, `hidden_failure` speaks
                yield _finding(
                    handler, "bare_except", "warning",
                    "A bare `except` catches everything, even a cancelled run and a misspelt name.",
                    "except (OSError, ValueError) as error:  # what can go wrong here, by name",
                )  # fmt: skip


_Place = tuple[ast.AST, ast.AST | None, ast.ExceptHandler | None]


def _nodes(tree: ast.Module) -> Iterator[_Place]:
    """Every node that a rule may want, with the function and the exception handler around it, in the order of the source."""
    stack: list[_Place] = [(tree, None, None)]
    left = _MOST_NODES
    while stack and left:
        left -= 1
        place = node, function, handler = stack.pop()
        if isinstance(node, ast.Name | ast.Constant):
            continue
        yield place
        if isinstance(node, _Function | ast.Lambda):
            function, handler = node, None
        elif isinstance(node, ast.ExceptHandler):
            handler = node
        children: list[_Place] = []
        for field in _FIELDS[type(node)]:
            value = getattr(node, field, None)
            if type(value) is list:
                children += [(one, function, handler) for one in value if isinstance(one, ast.AST)]
            elif isinstance(value, ast.AST):
                children.append((value, function, handler))
        children.reverse()
        stack += children


def _entries(tree: ast.Module) -> Iterator[_Entry]:
    """The top level's `run`, or the body of each class workflow, its own or inherited in the file."""
    runs = [node for node in tree.body if isinstance(node, _Function) and node.name == "run"]
    if runs:
        yield _Entry(runs[-1], tuple(_given(runs[-1], is_method=False)))
        return
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if len(classes) > _MOST_CLASSES:
        return
    for found in class_workflows(tree)[:_MOST_FINDINGS]:
        kind = classes[found.entry]
        body = _body(kind, classes)
        if body is not None:
            yield _Entry(body, tuple(_given(body, is_method=True)), kind)


def _body(kind: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> _Function | None:
    waiting, seen = [kind], set()
    while waiting:
        one = waiting.pop(0)
        if one.name in seen:
            continue
        seen.add(one.name)
        bodies = {part.name: part for part in one.body if isinstance(part, _Function)}
        if "run" in bodies or "arun" in bodies:
            return bodies.get("run") or bodies["arun"]
        waiting += [classes[base.id] for base in one.bases if isinstance(base, ast.Name) and base.id in classes]
    return None


def _given(function: _Function, *, is_method: bool) -> Iterator[ast.arg]:
    """The parameters that callers give, without `self`, a context and what Repertoire fills."""
    arguments = function.args
    listed = [*arguments.posonlyargs, *arguments.args]
    if listed and (is_method or _is_context(listed[0])):
        del listed[0]
    yield from (one for one in [*listed, *arguments.kwonlyargs] if one.arg not in _FILLED)


def _is_context(parameter: ast.arg) -> bool:
    if parameter.annotation is None:
        return parameter.arg in ("ctx", "context")
    annotation = parameter.annotation.value if isinstance(parameter.annotation, ast.Subscript) else parameter.annotation
    return _last_name(annotation).endswith("Context")


def _last_name(node: ast.AST | None) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Constant(value=str(text)):
            return text.partition("[")[0].rpartition(".")[2]
    return ""


def _finding(
    node: ast.stmt | ast.expr | ast.arg | ast.ExceptHandler | ast.keyword, rule: str, severity: Severity, message: str, hint: str
) -> Finding:  # fmt: skip
    """Its column is still the parser's byte offset; `_chosen` counts it in characters."""
    return Finding(rule, severity, message, node.lineno, node.col_offset, hint)


def _chosen(found: list[Finding], text: _Text) -> list[Finding]:
    first: dict[tuple[str, int | None], Finding] = {}
    for one in found:
        first.setdefault((one.rule, one.line), one)
    worst = sorted(first.values(), key=lambda one: (one.severity == "info", one.line))[:_MOST_FINDINGS]
    placed = [msgspec.structs.replace(one, column=text.column(one.line or 1, one.column or 0)) for one in worst]
    return sorted(placed, key=lambda one: (one.line, one.column))


def _of_entry(entry: _Entry, seen: _Of, tree: ast.Module, text: _Text) -> Iterator[Finding]:
    yield from _types(entry, seen, text)
    yield from _documentation(entry, seen, tree, text)
    yield from _parameter_names(entry, tree, text)
    yield from _shape(entry, tree)


def _types(entry: _Entry, seen: _Of, text: _Text) -> Iterator[Finding]:
    function = entry.function
    untyped = [one.arg for one in entry.parameters if one.annotation is None]
    if untyped:
        yield _finding(
            function, "untyped_parameter", "warning",
            f"{_listed(untyped)} of `{function.name}` {_have(untyped)} no type: callers are not told what to give.",
            _signature(entry, seen, text),
        )  # fmt: skip
    if function.returns is None and entry.of_class is None:  # a class's result is what its responses hold
        yield _finding(
            function, "untyped_result", "warning",
            f"`{function.name}` does not say what it returns: the tool has no output schema.", _signature(entry, seen, text),
        )  # fmt: skip
    others = function.args.kwarg
    if others is not None and not entry.parameters:
        yield _finding(
            function, "unnamed_arguments", "info",
            f"`**{others.arg}` is all that callers are told of: they cannot know what to give.",
            f"Name each argument: `{_def(function)}(text: str, most: int = 10)`.",
        )  # fmt: skip


def _documentation(entry: _Entry, seen: _Of, tree: ast.Module, text: _Text) -> Iterator[Finding]:
    function, kind = entry.function, entry.of_class
    own, module = _docstring(function), _docstring(tree)
    says = [module, own] if kind is None else [module, _docstring(kind), _described(kind)]
    if not any(one.strip() for one in says):
        lines = [f"{one.arg}: What it is." for one in entry.parameters[:_MOST_SHOWN]]
        arguments = "\n\nArgs:\n    " + "\n    ".join(lines) if lines and not kind else ""
        where = f"class {kind.name}" if kind else f"`{function.name}`"
        yield _finding(
            kind or function, "no_docstring", "warning",
            "There is no docstring: nobody finds this workflow, and nobody knows what it does.",
            f'Begin {where} with """What it does, in one sentence.{arguments}"""',
        )  # fmt: skip
        return
    doc = own or module
    try:
        described = parameter_descriptions(doc)
    except (IndexError, KeyError, ValueError, AttributeError):
        return  # docstring_parser stumbles over some texts that look like several styles at once
    dark = [one.arg for one in entry.parameters if one.arg not in described and not _describes_itself(one)]
    if dark:
        lines = [f"{name}: What it is, and what else it may be." for name in dark[:_MOST_SHOWN]]
        yield _finding(
            function, "undescribed_parameter", "info", f"The docstring says nothing of {_listed(dark)}.",
            "Args:\n    " + "\n    ".join(lines),
        )  # fmt: skip
    result = text.of(function.returns) if function.returns is not None and kind is None else ""
    if _is_vague(result) and not re.search(r"^[ \t]*(?:Returns|Yields)[ \t]*(?::|\n[ \t]*-)|:returns?:", doc, re.M):
        yield _finding(
            function, "undescribed_result", "info",
            f"`{result}` does not say what is in the result, nor does the docstring.",
            "Returns:\n    A dict with `name` and `count`.\nOr return a dataclass: its fields become the output schema.",
        )  # fmt: skip
    raised = sorted({name for one in seen.raised if (name := _last_name(_called(one.exc)))[:1].isupper()})
    if raised and not re.search(r"^[ \t]*Raises[ \t]*(?::|\n[ \t]*-)|:raises?\b", doc, re.M):
        yield _finding(
            function, "undescribed_error", "info", f"The docstring does not say when {_listed(raised)} is raised.",
            "Raises:\n    " + "\n    ".join(f"{name}: When, and what to do then." for name in raised[:_MOST_SHOWN]),
        )  # fmt: skip


def _parameter_names(entry: _Entry, tree: ast.Module, text: _Text) -> Iterator[Finding]:
    names = [one.arg for one in entry.parameters]
    coordinates = {"x", "y"} <= set(names)
    silent = [
        name
        for name in names
        if (len(name) == 1 and name != "_" and not (coordinates and name in "xyz")) or _NOTHING_SAID.fullmatch(name)
    ]
    if silent:
        yield _finding(
            entry.function, "unclear_name", "warning",
            f"The name {_listed(silent)} tells a caller nothing.",
            f"Say what it is: {', '.join(f'`{name}` → `{new}`' for name, new in _better(silent[:_MOST_SHOWN], entry))}.",
        )  # fmt: skip
    cut = [name for name in names if any(part in _LONGER and part not in _FAMILIAR for part in name.split("_"))]
    if cut:
        longer = {name: "_".join(_LONGER.get(part, part) for part in name.split("_")) for name in names}
        changed = [f"`{name}` → `{new}`" for name, new in longer.items() if name != new][:_MOST_SHOWN]
        yield _finding(
            entry.function, "abbreviated_name", "info", f"{_listed(cut)}: an abbreviation that callers have to guess.",
            f"Write it out: {', '.join(changed)}.",
        )  # fmt: skip
    told: list[ast.arg | ast.AnnAssign] = [*entry.parameters, *_fields_of_payload(entry.function, tree)]
    for field in told:
        name = field.arg if isinstance(field, ast.arg) else _last_name(field.target)
        if name in _SWALLOWED:
            written = f": {text.of(field.annotation)}" if field.annotation is not None else ""
            yield _finding(
                field, "swallowed_parameter", "warning",
                f"LangChain keeps arguments called `{name}` to itself: its agents cannot give it.",
                f"Rename it: `{_SWALLOWED[name]}{written}`.",
            )  # fmt: skip


def _shape(entry: _Entry, tree: ast.Module) -> Iterator[Finding]:
    function = entry.function
    if (call := _wrapped(function, tree)) is not None:
        yield _finding(
            function, "only_a_wrapper", "info",
            f"`{function.name}` only calls `{call}` with what it is given: whoever runs it can call that directly.",
            "Give it a job of its own: check the arguments, combine calls, shape the result. Or do without it.",
        )  # fmt: skip
    length = (function.end_lineno or function.lineno) - function.lineno
    if length > _LONG_BODY:
        yield _finding(
            function, "long_body", "info", f"`{function.name}` has {length} lines: more than one job, most likely.",
            "Move its parts into functions with names of their own, or into workflows that others can use too.",
        )  # fmt: skip
    if entry.of_class is not None and _NO_CLASS.fullmatch(entry.of_class.name):
        yield _finding(
            entry.of_class, "unclear_name", "warning",
            f"The class name `{entry.of_class.name}` does not say what the workflow does, and is its name.",
            "Name it by what it does: `class SummariseReport(Workflow):`.",
        )  # fmt: skip


def _remarks(
    node: ast.AST, function: ast.AST | None, handler: ast.ExceptHandler | None, facts: _Facts
) -> Iterator[Finding]:
    """Of one node, wherever it stands."""
    match node:
        case ast.ExceptHandler():
            yield from _hidden(node)
        case ast.Return(value=ast.expr() as value) if handler is not None and _is_error(value, handler.name):
            error = handler.name or "error"
            yield _finding(
                node, "error_as_result", "warning" if facts.is_entry(function) else "info",
                "An error is returned as if it were a result: the run counts as completed, and nobody retries or reports it.",
                f'raise RuntimeError(f"What could not be done: {{{error}}}") from {error}',
            )  # fmt: skip
        case ast.Call(args=args) if _last_name(node.func) == "suppress" and any(
            _last_name(one) in _BROAD for one in args
        ):
            yield _finding(
                node, "hidden_failure", "warning", "Every failure in this block is hidden, also those that nobody thought of.",
                "with suppress(FileNotFoundError):  # only what may safely be ignored",
            )  # fmt: skip
        case ast.FunctionDef() | ast.AsyncFunctionDef() if not facts.is_entry(node):
            yield from _function_name(node)
        case ast.Assign() | ast.AnnAssign():
            yield from _local_name(node, facts.of(function))
    yield from _secrets(node)


def _hidden(handler: ast.ExceptHandler) -> Iterator[Finding]:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    if not any(kind is None or _last_name(kind) in _BROAD for kind in kinds) or not all(map(_is_silent, handler.body)):
        return
    yield _finding(
        handler, "hidden_failure", "warning", "Every failure is hidden here: the run goes on as if nothing had happened.",
        "except ValueError as error:  # only what is expected\n"
        '    raise RuntimeError(f"What could not be done: {error}") from error',
    )  # fmt: skip


def _is_silent(node: ast.stmt) -> bool:
    match node:
        case ast.Pass() | ast.Continue() | ast.Break() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Return(value=value) | ast.Assign(value=value):
            return value is None or _is_empty(value)
    return False


def _is_empty(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=value):
            return not value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1)):
            return True
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Dict(values=parts):
            return not parts
        case ast.Call(func=ast.Name(id="dict" | "list" | "set" | "tuple" | "str"), args=[], keywords=[]):
            return True
    return False


def _is_error(node: ast.expr, error: str | None) -> bool:
    """A text or a dict that tells of a failure: what a handler returns where it should raise."""
    match node:
        case ast.Call(args=[inner, *_], keywords=[]) if _last_name(node.func) in ("RunResponse", "dumps", "Response"):
            return _tells(inner, error)
        case ast.Call(keywords=keywords) if _last_name(node.func) == "RunResponse":
            return any(one.arg == "content" and _tells(one.value, error) for one in keywords)
        case ast.Tuple(elts=parts):
            return any(_tells(one, error) for one in parts[:5])
    return _tells(node, error)


def _tells(node: ast.expr, error: str | None) -> bool:
    match node:
        case ast.Dict(keys=keys, values=values):
            pairs = list(zip(keys, values, strict=True))[:50]
            return any(_is_error_item(key.value, value) for key, value in pairs if isinstance(key, ast.Constant))
        case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
            return any(_is_error_item(one.arg, one.value) for one in keywords[:50])
        case ast.Call(func=ast.Name(id="str" | "repr"), args=[ast.Name(id=name)]):
            return name == error
        case ast.Constant(value=str(text)) | ast.BinOp(left=ast.Constant(value=str(text))):
            return _ERROR_TEXT.match(text) is not None
        case ast.JoinedStr(values=[ast.FormattedValue(value=ast.Name(id=name))]):
            return name == error
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            return _ERROR_TEXT.match(text) is not None
    return False


def _is_error_item(key: object, value: ast.expr) -> bool:
    said = value.value if isinstance(value, ast.Constant) else ...
    if key in _ERROR_KEYS:
        return said is ... or bool(said)
    return (key in ("ok", "success") and said is False) or (key == "status" and said in ("error", "failed", "failure"))


def _function_name(node: _Function) -> Iterator[Finding]:
    if _NO_ACTION.fullmatch(node.name) or _NOTHING_SAID.fullmatch(node.name):
        yield _finding(
            node, "unclear_name", "info", f"The name `{node.name}` does not say what the function does.",
            f"Name it by what it does: `{_def(node, 'count_words')}(...)`.",
        )  # fmt: skip
    if node.name.startswith("__") or len(node.body) < 3:  # in a short one the use of a letter is in sight
        return
    names = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    silent = [name for name in names if name in ("x", "d", "s", "l", "o", "p") or _NOTHING_SAID.fullmatch(name)]
    if silent and not {"x", "y"} <= set(names):
        yield _finding(
            node, "unclear_name", "info", f"The parameter {_listed(silent)} of `{node.name}` says nothing.",
            f"Say what it is: `{_def(node)}(text, ...)`.",
        )  # fmt: skip


def _local_name(node: ast.Assign | ast.AnnAssign, seen: _Of) -> Iterator[Finding]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        name = target.id if isinstance(target, ast.Name) else ""
        if name in seen.names or not (name in _SHORT_LOCALS or _NOTHING_SAID.fullmatch(name)):
            continue
        seen.names.add(name)
        yield _finding(
            node, "unclear_name", "info", f"The name `{name}` does not say what it holds.",
            f"Name it by what it holds, such as `{_by_value(node.value)} = ...`.",
        )  # fmt: skip


def _by_value(value: ast.expr | None) -> str:
    """`response` for `client.get_response(...)`: the last word of what it comes from."""
    name = _last_name(_called(value)).lower().rpartition("_")[2]
    return name if len(name) > 3 and name.isidentifier() and not _NOTHING_SAID.fullmatch(name) else "word_count"


def _secrets(node: ast.AST) -> Iterator[Finding]:
    """A key or password written into the source. The finding never shows it."""
    pairs: list[tuple[str, ast.expr | None]] = []
    match node:
        case ast.Assign(targets=targets, value=value):
            pairs = [(_place_name(target), value) for target in targets]
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            pairs = [(_place_name(target), value)]
        case ast.keyword(arg=name, value=value):
            pairs = [(name or "", value)]
        case ast.Dict(keys=keys, values=values):
            pairs = [(_text(key), value) for key, value in zip(keys, values, strict=True)]
        case ast.Call(args=args):
            pairs = [("", one) for one in args]
        case ast.arguments(posonlyargs=first, args=then, defaults=defaults):
            listed = [*first, *then]
            pairs = [
                (one.arg, value) for one, value in zip(listed[len(listed) - len(defaults) :], defaults, strict=True)
            ]
            pairs += [(one.arg, value) for one, value in zip(node.kwonlyargs, node.kw_defaults, strict=True)]
    for name, given in pairs:
        if given is not None and _is_secret(name, _text(given)):
            variable = re.sub(r"\W+", "_", name).strip("_").upper() or "API_KEY"
            yield _finding(
                given, "secret_in_source", "warning",
                f"{f'`{name}`' if name else 'This text'} looks like a secret: it would be stored with every version and shown by get_workflow.",
                f'os.environ["{variable}"], with {variable} in the setting worker_env',
            )  # fmt: skip


def _is_secret(name: str, value: str) -> bool:
    if len(value) > _MOST_SECRET:
        return False
    if _SECRET_VALUE.fullmatch(value):
        return "://" in value or "BEGIN" in value or not _STAND_IN.search(value)
    kind = _SECRET_NAME.search(name)
    if kind is None or len(value) < 6 or _STAND_IN.search(value) or re.fullmatch(r"[A-Z][A-Z0-9_]*", value):
        return False  # a name such as OPENAI_API_KEY is where the secret is, not the secret
    if kind[1].lower().startswith("pass"):
        return value.lower() != name.lower()
    return len(value) >= 16 and re.search(r"\d", value) is not None and re.search(r"[A-Za-z]", value) is not None


def _place_name(node: ast.expr) -> str:
    """Of a variable, an attribute, or `headers["token"]`."""
    return _text(node.slice) if isinstance(node, ast.Subscript) else _last_name(node)


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _wrapped(function: _Function, tree: ast.Module) -> str | None:
    """What is called by a body that is one call with the function's own parameters; None of any other."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    value = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return | ast.Expr) else None
    call = value.value if isinstance(value, ast.Await) else value
    if not isinstance(call, ast.Call):
        return None
    arguments = [*call.args, *(one.value for one in call.keywords)]
    if arguments and isinstance(arguments[0], ast.Constant):  # the name that `workflows.invoke` begins with
        del arguments[0]
    given = {one.value if isinstance(one, ast.Starred) else one for one in arguments}
    passed = {one.id for one in given if isinstance(one, ast.Name)}
    every = function.args
    own = {one.arg for one in [*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg] if one}
    path, root = _path(call.func)
    here = {node.name for node in tree.body if isinstance(node, _Function | ast.ClassDef)}
    if len(passed) != len(given) or not passed or passed != own - _FILLED - {"self"} or root in own | here:
        return None
    return path


def _path(node: ast.expr) -> tuple[str, str]:
    """`a.b.c` and its first name; of what else is called, the last name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    root = node.id if isinstance(node, ast.Name) else ""
    return ".".join([*([root] if root else []), *reversed(names)])[:100], root


def _called(node: ast.AST | None) -> ast.AST | None:
    """`f` of `f(...)` and of `await f(...)`."""
    call = node.value if isinstance(node, ast.Await) else node
    return call.func if isinstance(call, ast.Call) else call


def _docstring(node: _Function | ast.ClassDef | ast.Module) -> str:
    text = ast.get_docstring(node, clean=False) or ""
    return inspect.cleandoc(text[:_MOST_DOCSTRING].lstrip("\n"))


def _described(kind: ast.ClassDef) -> str:
    """The class attribute `description`, where it is plainly a text."""
    for part in kind.body:
        if isinstance(part, ast.Assign | ast.AnnAssign) and part.value is not None:
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            if any(_last_name(target) == "description" for target in targets):
                return _text(part.value) or "computed"
    return ""


def _describes_itself(parameter: ast.arg) -> bool:
    """`Annotated[str, Field(description=...)]`."""
    annotation = parameter.annotation
    return isinstance(annotation, ast.Subscript) and _last_name(annotation.value) == "Annotated"


def _fields_of_payload(function: _Function, tree: ast.Module) -> Iterator[ast.AnnAssign]:
    """The fields of the class that a context's payload is, when it stands in the file."""
    listed = [*function.args.posonlyargs, *function.args.args]
    if not listed or not _is_context(listed[0]):
        return
    annotation = listed[0].annotation
    said = _last_name(annotation.slice) if isinstance(annotation, ast.Subscript) else "Payload"
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == said:
            yield from (part for part in node.body if isinstance(part, ast.AnnAssign))


def _is_vague(annotation: str) -> bool:
    plain = re.sub(r"\s|typing\.|\|None|^Optional\[|^\"|\"$", "", annotation)
    return re.fullmatch(r"(dict|Dict|list|List|tuple|Any|object)(\[.*\b(Any|object|dict|Dict)\b.*)?", plain) is not None


def _better(names: list[str], entry: _Entry) -> Iterator[tuple[str, str]]:
    """For each a name that its type suggests; what it really is, only its author knows."""
    kinds = {one.arg: _last_name(one.annotation) for one in entry.parameters}
    for name, prefix in zip(names, (*_ORDINALS, *[""] * len(names)) if len(names) > 1 else [""], strict=False):
        yield name, prefix + _BY_TYPE.get(kinds[name], "text")


def _signature(entry: _Entry, seen: _Of, text: _Text) -> str:
    """The line of the `def` as it could be."""
    function, arguments = entry.function, entry.function.args
    given = {one.arg for one in entry.parameters}
    listed = [*arguments.posonlyargs, *arguments.args]
    defaults = dict(
        zip([one.arg for one in listed[len(listed) - len(arguments.defaults) :]], arguments.defaults, strict=True)
    )
    defaults |= {
        one.arg: value for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value
    }
    written: list[str] = []
    for one in [*listed, *arguments.kwonlyargs][: _MOST_SHOWN + 1]:
        if arguments.kwonlyargs and one is arguments.kwonlyargs[0]:
            written.append("*")
        default = defaults.get(one.arg)
        if one.annotation is not None:
            kind = f": {text.of(one.annotation)}"
        else:
            kind = f": {_type_of(default)}" if one.arg in given else ""
        shown = "" if default is None else f" = {text.of(default)}" if kind else f"={text.of(default)}"
        written.append(f"{one.arg}{kind}{shown}")
    if len(listed) + len(arguments.kwonlyargs) > _MOST_SHOWN + 1:
        written.append("...")
    elif arguments.kwarg is not None:
        written.append(f"**{arguments.kwarg.arg}: str")
    if function.returns is not None:
        result = f" -> {text.of(function.returns)}"
    else:
        result = "" if entry.of_class is not None else f" -> {_result(function, seen)}"
    return f"{_def(function)}({', '.join(written)}){result}:"


def _result(function: _Function, seen: _Of) -> str:
    if seen.yields:
        return "AsyncIterator[str]" if isinstance(function, ast.AsyncFunctionDef) else "Iterator[str]"
    values = [value for value in seen.returned if value is not None]
    return _type_of(values[0]) if values else "None"


def _type_of(value: ast.expr | None) -> str:
    """The type that a literal has; a text's where nothing shows it."""
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        value = value.operand
    match value:
        case ast.Constant(value=None):
            return "str | None"
        case ast.Constant(value=bool() | int() | float() | str() as literal):
            return type(literal).__name__
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return "bool"
        case ast.List() | ast.ListComp():
            return "list[str]"
        case ast.Dict() | ast.DictComp():
            return "dict[str, str]"
    return "str"


def _def(function: _Function, name: str = "") -> str:
    return f"{'async ' if isinstance(function, ast.AsyncFunctionDef) else ''}def {name or function.name}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{name[:60]}`" for name in names[:_MOST_SHOWN])
    return shown + (f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else "")


def _have(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"
