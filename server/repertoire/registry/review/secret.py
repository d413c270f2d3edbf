"""Rule for secrets: finds keys and passwords that are written into a source; used by `remarks`. The remark never shows the secret."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from ...model.workflow_version import Finding
from ..class_finder import last_name
from .findings import finding
from .tree import literal, parameters

_MOST_CHARS: Final = 5_000
"""A longer text is data."""
_NAME: Final = re.compile(
    r"(?:^|_)(api_?key|secret|secret_key|access_key|private_key|auth_key|token|passw(?:or)?d|passphrase|credentials?)$",
    re.I,
)
_VALUE: Final = re.compile(
    r"sk-[\w-]{16,}|gh[pousr]_\w{30,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{16}|"
    r"AIza[\w-]{30,}|hf_[A-Za-z]{30,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+|[rs]k_live_\w{16,}|"
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*|[a-z][a-z0-9+]*://[^\s:/@{]+:[^\s:/@{]+@\S+"
)
_STAND_IN: Final = re.compile(
    r"your|example|change|replace|placeholder|dummy|todo|\.\.\.|…|xxx|\*\*\*|[<>{}\s$]|://", re.I
)


def find_secrets(node: ast.AST) -> Iterator[Finding]:
    for name, given in _named_values(node):
        if given is not None and _is_secret(name, literal(given) or ""):
            variable = re.sub(r"\W+", "_", name).strip("_").upper() or "API_KEY"
            yield finding(
                given,
                "secret_in_source",
                f"{f'`{name}`' if name else 'This text'} looks like a secret: it would be stored with every version and shown by get_workflow.",
                f'os.environ["{variable}"], with {variable} in the setting worker_env',
            )


def _named_values(node: ast.AST) -> list[tuple[str, ast.expr | None]]:
    """Each value that the node assigns or passes, with the name that it goes to."""
    match node:
        case ast.Assign(targets=targets, value=value):
            return [(_target(target), value) for target in targets]
        case ast.AnnAssign(target=target, value=value):
            return [(_target(target), value)]
        case ast.keyword(arg=name, value=value):
            return [(name or "", value)]
        case ast.Dict(keys=keys, values=values):
            return [(literal(key) or "", value) for key, value in zip(keys, values, strict=True)]
        case ast.Call(args=args):
            return [("", one) for one in args]
        case ast.arguments():
            return [(one.arg, value) for one, value in parameters(node)]
    return []


def _target(node: ast.expr) -> str:
    """The name of a variable, an attribute, or the key of `headers["token"]`."""
    return literal(node.slice) or "" if isinstance(node, ast.Subscript) else last_name(node)


def _is_secret(name: str, value: str) -> bool:
    if len(value) > _MOST_CHARS:
        return False
    if _VALUE.fullmatch(value):
        return "://" in value or "BEGIN" in value or not _STAND_IN.search(value)
    kind = _NAME.search(name)
    if kind is None or len(value) < 6 or _STAND_IN.search(value) or re.fullmatch(r"[A-Z][A-Z0-9_]*", value):
        return False  # a value such as OPENAI_API_KEY names an environment variable; it is no secret
    if kind[1].lower().startswith("pass"):
        return value.lower() != name.lower()
    return len(value) >= 16 and re.search(r"\d", value) is not None and re.search(r"[A-Za-z]", value) is not None
