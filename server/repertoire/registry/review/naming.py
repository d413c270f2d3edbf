"""Rules for names: names without meaning, abbreviations, and argument names that LangChain drops; used by `remarks`."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from typing import Final

from ...model.workflow_version import Finding
from ..class_finder import last_name
from .entry_points import EntryPoint
from .findings import finding, name_list
from .tree import Function, header, parameters, written

_SWALLOWED: Final = {"config": "settings", "runtime": "environment", "run_manager": "manager"}
"""Arguments that LangChain's adapter of MCP tools does not pass on, with names that it does."""
_NOTHING_SAID: Final = re.compile(
    r"(tmp|temp|data|val|value|var|arg|param|obj|thing|stuff)_?\d+|tmp|foo|foobar|bar|baz|qux|asdf|blah|xx+|dummy|stuff|things?"
)
_NO_ACTION: Final = re.compile(
    r"(do|handle|process|make)_(it|this|that|things?|stuff|something|work)|(my_?)?(func|function|fn|method|helper)_?\d*"
)
_NO_CLASS: Final = re.compile(r"(My|New|Test|The)?(Workflow|Class|Task|Flow)\d*|Test|Foo|Bar|Temp")
_LETTERS: Final = frozenset(string.ascii_letters)
_SHORT_LOCALS: Final = frozenset("abcdghloqpruvw")
"""Single letters without a customary meaning. An index i, a count n, a coordinate x or a file f has one."""
_SHORT_PARAMETERS: Final = frozenset("xdslop")
_LONGER: Final = {
    "addr": "address", "amt": "amount", "calc": "calculate", "cfg": "settings", "cnt": "count", "contrib": "contributors",
    "desc": "description", "dest": "destination", "incl": "include", "excl": "exclude", "lang": "language", "mgr": "manager",
    "msg": "message", "num": "number", "qty": "quantity", "repo": "repository", "req": "request", "resp": "response",
    "ts": "timestamp", "usr": "user", "val": "value",
}  # fmt: skip
_FAMILIAR: Final = frozenset({"repo", "lang", "desc", "msg"})
"""Written out in a hint that rewrites the line anyway, but no reason for a remark by themselves."""
_BY_TYPE: Final = {"int": "count", "float": "amount", "bool": "enabled", "list": "items", "dict": "record"}
_MOST_SHOWN: Final = 8


def names_of_entry(entry: EntryPoint, tree: ast.Module) -> Iterator[Finding]:
    """Remarks on names that callers see."""
    kinds = {one.arg: written(one.annotation).partition("[")[0] for one in entry.parameters}
    if unclear := _meaningless(list(kinds), _LETTERS):
        yield finding(
            entry.function,
            "unclear_name",
            f"The name {name_list(unclear)} tells a caller nothing.",
            f"Say what it is, such as `{_BY_TYPE.get(kinds[unclear[0]], 'text')}` instead of `{unclear[0]}`.",
        )
    if entry.of_class is not None and _NO_CLASS.fullmatch(entry.of_class.name):
        yield finding(
            entry.of_class,
            "unclear_name",
            f"The class name `{entry.of_class.name}` does not say what the workflow does, and is its name.",
            "Name it by what it does: `class SummariseReport(Workflow):`.",
        )
    cut = [name for name in kinds if any(part in _LONGER and part not in _FAMILIAR for part in name.split("_"))]
    if cut:
        longer = {name: "_".join(_LONGER.get(part, part) for part in name.split("_")) for name in kinds}
        changed = [f"`{name}` → `{new}`" for name, new in longer.items() if name != new][:_MOST_SHOWN]
        yield finding(
            entry.function,
            "abbreviated_name",
            f"{name_list(cut)}: an abbreviation that callers have to guess.",
            f"Write it out: {', '.join(changed)}.",
        )
    told: list[ast.arg | ast.AnnAssign] = [*entry.parameters, *_fields(entry.payload, tree)]
    for field in told:
        name = field.arg if isinstance(field, ast.arg) else last_name(field.target)
        if name in _SWALLOWED:
            kind = f": {written(field.annotation)}" if field.annotation is not None else ""
            yield finding(
                field,
                "swallowed_parameter",
                f"LangChain keeps arguments called `{name}` to itself: its agents cannot give it.",
                f"Rename it: `{_SWALLOWED[name]}{kind}`.",
            )


def names_of_function(node: Function) -> Iterator[Finding]:
    """Remarks on a function inside the source, and on its parameters."""
    if _NO_ACTION.fullmatch(node.name) or _NOTHING_SAID.fullmatch(node.name):
        yield finding(
            node,
            "unclear_name",
            f"The name `{node.name}` does not say what the function does.",
            f"Name it by what it does: `{header(node, 'count_words')}(...)`.",
            is_minor=True,
        )
    if node.name.startswith("__") or len(node.body) < 3:  # in a short function, the use of a letter is in sight
        return
    if unclear := _meaningless([one.arg for one, _ in parameters(node.args)], _SHORT_PARAMETERS):
        yield finding(
            node,
            "unclear_name",
            f"The parameter {name_list(unclear)} of `{node.name}` says nothing.",
            f"Say what it is: `{header(node)}(text, ...)`.",
            is_minor=True,
        )


def local_names(inside: list[ast.AST]) -> Iterator[Finding]:
    """Remarks on local variables, each at its first assignment in a scope."""
    seen: set[str] = set()
    for node in inside:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            name = target.id if isinstance(target, ast.Name) else ""
            if name not in seen and _meaningless([name], _SHORT_LOCALS):
                seen.add(name)
                yield finding(
                    node,
                    "unclear_name",
                    f"The name `{name}` does not say what it holds.",
                    f"Name it by what it holds, such as `{_by_value(node.value)} = ...`.",
                    is_minor=True,
                )


def _meaningless(names: list[str], letters: frozenset[str]) -> list[str]:
    """Names without meaning. Single letters count if they are among `letters`, except coordinates: x, y and z together with x and y."""
    said = frozenset("xyz") if {"x", "y"} <= set(names) else frozenset()
    return [name for name in names if name in letters - said or _NOTHING_SAID.fullmatch(name)]


def _by_value(value: ast.expr | None) -> str:
    """`response` for `client.get_response(...)`: the last word of the called function's name."""
    made = value.value if isinstance(value, ast.Await) else value
    name = last_name(made).lower().rpartition("_")[2] if made is not None else ""
    return name if len(name) > 3 and not _NOTHING_SAID.fullmatch(name) else "word_count"


def _fields(payload: str, tree: ast.Module) -> Iterator[ast.AnnAssign]:
    """Fields of the class of a context's payload, if that class is in the file."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == payload:
            yield from (part for part in node.body if isinstance(part, ast.AnnAssign))
