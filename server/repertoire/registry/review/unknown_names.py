"""Unknown names: what to write instead of a name that the source does not have; used by `PrePublishChecks` and `imports`.

`explain_names` gives ruff's findings of undefined names a hint that knows the workflows, the names that are there without an import, and
the modules that are installed.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from ... import __all__ as _exported
from ...model.workflow_version import Finding, name_of_file
from ..packages import is_installed
from .findings import name_list
from .ruff import GLOBALS

Schema = Mapping[str, Any]
Workflows = Mapping[str, Schema]
"""The workflows that the source may call: the input schema of each name."""

AMBIENT: Final = tuple(GLOBALS)
EXPORTED: Final = tuple(name for name in _exported if not name.startswith("__"))
_UNDEFINED: Final = re.compile(r"Undefined name `(\w+)`")
_MEANT: Final = {
    "workflows": "call invoke run execute child subworkflow workflow",
    "step": "durable activity task effect retry checkpoint once",
    "ask": "input prompt question confirm approve approval",
    "session_state": "state session memory store storage",
    "sleep": "wait delay timer",
    "now": "time clock utcnow today",
    "log": "print logger logging info warn warning emit",
    "artifacts": "artifact file files upload blob attachment store save_file",
    "cached": "cache memo memoize lru",
    "progress": "report update status",
    "commit_state": "commit save persist",
    "CallError": "error exception failure failed",
    "Context": "context ctx",
}  # fmt: skip
"""Words in names that other systems have for the same."""
_FROM: Final = {
    "Path": "pathlib", "Any": "typing", "Literal": "typing", "Optional": "typing", "TypedDict": "typing", "Annotated": "typing",
    "Callable": "collections.abc", "Iterator": "collections.abc", "Counter": "collections", "defaultdict": "collections",
    "dataclass": "dataclasses", "Enum": "enum", "Decimal": "decimal", "datetime": "datetime", "timedelta": "datetime",
    "BaseModel": "pydantic", "Field": "pydantic", "partial": "functools", "uuid4": "uuid",
}  # fmt: skip
_MOST_ARGUMENTS: Final = 10
_MOST_NAMES: Final = 2_000


def explain_names(found: Iterable[Finding], tree: ast.Module, known: Workflows) -> list[Finding]:
    """The same findings; those of undefined names say what to write instead."""
    explained: list[Finding] = []
    for one in found:
        named = _UNDEFINED.match(one.message) if one.rule == "ruff:F821" else None
        if named is not None:
            message, hint = _explain(named[1], tree, known)
            one = msgspec.structs.replace(one, message=message, hint=hint)
        explained.append(one)
    return explained


def call_of(name: str, schema: Schema) -> str:
    """`workflows.name(text=...)`, with the arguments that it needs."""
    needed = list(schema.get("required") or ())[:_MOST_ARGUMENTS]
    return f"workflows.{name}({', '.join(f'{one}=...' for one in needed)})"


def workflow_named(name: str, known: Workflows) -> str | None:
    return name if name in known else one if (one := name_of_file(name)) in known else None


def nearest_exported(name: str) -> list[str]:
    """The names of `repertoire`, the likeliest first."""
    parts = {part.removesuffix("s") for part in re.findall(r"[a-z]+", re.sub(r"([A-Z])", r"_\1", name).lower())}

    def likeness(known: str) -> float:
        same = {part.removesuffix("s") for part in known.lower().split("_")} <= parts
        meant = not parts.isdisjoint(_MEANT.get(known, "").split())
        return difflib.SequenceMatcher(None, name.lower()[:100], known.lower()).ratio() + same + 0.5 * meant

    return sorted(EXPORTED, key=likeness, reverse=True)


def is_like_exported(name: str) -> str | None:
    """The name of ours that a name of another system most likely means."""
    first = nearest_exported(name)[0]
    parts = set(re.findall(r"[a-z]+", name.lower()))
    likely = not parts.isdisjoint(_MEANT.get(first, "").split()) or first.lower() in parts
    return first if likely or difflib.SequenceMatcher(None, name.lower()[:100], first.lower()).ratio() > 0.75 else None


def _explain(name: str, tree: ast.Module, known: Workflows) -> tuple[str, str]:
    message = f"The name `{name[:100]}` is not defined."
    if workflow := workflow_named(name, known):
        call = call_of(workflow, known[workflow])
        return f"`{name[:100]}` is a workflow, and no name of this source.", f"Call it: {call}."
    if name in EXPORTED:
        return message, f"Add at the top: from repertoire import {name}"
    if name in _FROM:
        return message, f"Add at the top: from {_FROM[name]} import {name}"
    if name in sys.stdlib_module_names or is_installed(name):
        return message, f"Add at the top: import {name}"
    own = _bound(tree)
    close = difflib.get_close_matches(name[:100], [*own, *AMBIENT, *dir(builtins)][:_MOST_NAMES], n=3, cutoff=0.75)
    if close:
        return message, f"Is it {' or '.join(f'`{one}`' for one in dict.fromkeys(close))}?"
    if near := difflib.get_close_matches(name[:100], list(known)[:_MOST_NAMES], n=1, cutoff=0.75):
        return message, f"Is it the workflow `{near[0]}`? Call it: {call_of(near[0], known[near[0]])}."
    if (ours := is_like_exported(name)) is not None:
        return message, f"Is it `{ours}`? The page `writing` of guide(topic) shows the names that are there."
    return message, f"Define or import it. Without an import there are {name_list(AMBIENT)}."


def _bound(tree: ast.Module) -> list[str]:
    """Names that the source binds anywhere."""
    names: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names[node.id] = None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[node.name] = None
        elif isinstance(node, ast.arg):
            names[node.arg] = None
        elif isinstance(node, ast.alias):
            names[(node.asname or node.name).partition(".")[0]] = None
    return list(names)
