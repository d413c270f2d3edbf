"""Imports: findings on imports that cannot work, wherever they stand, with what to write instead; used by `PrePublishChecks`.

1. A workflow is not imported, and neither are the names that are there without an import.
2. `repertoire` has the names of `repertoire.__all__`.
3. Anything else has to be installed, or to lie beside the file. The dependencies of a PEP 723 header have to be installed too.

An import that the source itself expects to fail (`except ImportError`), or that only type checkers read, is left alone.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from typing import Final

from ...compat.hook import CLASS_STYLE, PYFLUE
from ...distributions import distribution_of
from ...model.workflow_version import Finding
from ..packages import imported_as, installed_names, is_distribution, is_installed, near_names, package_of
from .findings import finding, name_list, select_findings
from .ruff import GLOBALS
from .tree import dotted
from .unknown_names import EXPORTED, Workflows, call_of, nearest_exported, workflow_named

_STAND_INS: Final = frozenset({*CLASS_STYLE, PYFLUE})
_EXPECTED: Final = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_BLOCKS: Final = ("body", "orelse", "finalbody", "handlers", "cases")
_HEADER: Final = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_MOST_INSTALLED: Final = 20

Import = ast.Import | ast.ImportFrom


def bad_imports(tree: ast.Module, source: str, known: Workflows, is_beside: Callable[[str], bool]) -> list[Finding]:
    """`is_beside(name)`: whether a module of that name lies beside the file. It reads folders: call it in a thread."""
    found = [one for node in _imports(tree) for one in _problems(node, known, is_beside)]
    missing = {package_of(one.message.split("`")[1]) for one in found if one.rule == "missing_package"}
    return select_findings([*found, *_header(source, missing)])


def _imports(tree: ast.Module) -> Iterator[Import]:
    """The imports that are meant to succeed."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
            continue
        left_out = ("body",) if _expects_failure(node) or _is_for_types(node) else ()
        for field in _BLOCKS:
            inside = getattr(node, field, None)
            if field not in left_out and isinstance(inside, list):
                stack += inside


def _expects_failure(node: ast.AST) -> bool:
    if not isinstance(node, ast.Try):
        return False
    kinds = [kind for handler in node.handlers for kind in _kinds(handler.type)]
    return not _EXPECTED.isdisjoint(kinds)


def _kinds(node: ast.expr | None) -> list[str]:
    if node is None:
        return ["BaseException"]
    return [dotted(one)[-1] for one in (node.elts if isinstance(node, ast.Tuple) else [node])]


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and dotted(node.test)[-1] == "TYPE_CHECKING"


def _problems(node: Import, known: Workflows, is_beside: Callable[[str], bool]) -> Iterator[Finding]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _problem(node, alias.name, [], known, is_beside)
    elif not node.level:
        yield from _problem(node, node.module or "", [alias.name for alias in node.names], known, is_beside)


def _problem(
    node: Import, module: str, names: list[str], known: Workflows, is_beside: Callable[[str], bool]
) -> Iterator[Finding]:
    """`names`: those that are imported from the module."""
    first, *below = module.split(".")
    if first == "repertoire":
        yield from _of_repertoire(node, below, names)
    elif first in sys.stdlib_module_names or first in _STAND_INS or is_beside(first) or is_installed(first):
        return
    elif first in GLOBALS or first in EXPORTED:
        called = next((one for one in (*names, *below) if one in known), None)
        instead = f"write {call_of(called, known[called])}" if called else _use_of(first)
        hint = f"Take the import away, and {instead}."
        yield finding(node, "unknown_import", f"`{first}` is no module: it is there without an import.", hint)
    elif (workflow := workflow_named(first, known)) is not None:
        message = f"`{first[:100]}` is a workflow, and cannot be imported."
        hint = f"Take the import away, and call it: {call_of(workflow, known[workflow])}."
        yield finding(node, "unknown_import", message, hint)
    else:
        message = f"`{first[:100]}` is not installed for the Python that runs workflows."
        yield finding(node, "missing_package", message, missing_hint(first))


def _use_of(name: str) -> str:
    return "write workflows.NAME(argument=...)" if name == "workflows" else f"use `{name}` as it is"


def _of_repertoire(node: Import, below: list[str], names: list[str]) -> Iterator[Finding]:
    if below:
        unknown = [] if importlib.util.find_spec(f"repertoire.{below[0]}") else [".".join(["repertoire", *below])]
        if unknown:
            yield finding(node, "unknown_import", f"There is no module `{unknown[0][:100]}`.", _instead(below[-1]))
        return
    for name in names:
        if name not in (*EXPORTED, *GLOBALS, "*", "__version__") and not importlib.util.find_spec(f"repertoire.{name}"):
            yield finding(node, "unknown_import", f"`repertoire` has no name `{name[:100]}`.", _instead(name))


def _instead(name: str) -> str:
    first, *others = nearest_exported(name)
    return f"Is it `{first}`? It has, the nearest first: {', '.join([first, *others])}."


def missing_hint(name: str, distribution: str | None = None) -> str:
    """Ways to do without a module that is not installed, or to get it. `distribution`: the package itself, if its name is known."""
    if (written := imported_as(name)) is not None:
        return f"That package is installed, and is imported as `{written}`."
    installed = installed_names()
    near = near_names(name, [*installed, *sys.stdlib_module_names])
    meant = f"Is it {' or '.join(f'`{one}`' for one in near)}? " if near else ""
    shown, more = installed[:_MOST_INSTALLED], len(installed) - _MOST_INSTALLED
    known = distribution or distribution_of(name)
    how = f"{sys.executable} -m pip install " + (known or f"PACKAGE, the distribution that has {name[:100]}")
    return (
        f"{meant}Write it without, or tell the person who runs this server, who can install it: "
        f"{how}. Installed are {', '.join(shown)}" + (f" and {more} more: guide('packages')." if more > 0 else ".")
    )


def _header(source: str, missing: set[str]) -> Iterator[Finding]:
    """Dependencies of a PEP 723 header that are not installed, without those whose import is reported already."""
    found = _HEADER.search(source)
    if found is None:
        return
    line = source.count("\n", 0, found.start()) + 1
    text = "".join(one[2:] if one.startswith("# ") else one[1:] for one in found["content"].splitlines(keepends=True))
    try:
        wanted = tomllib.loads(text).get("dependencies", [])
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        message = f"The header `# /// script` is not TOML: {str(error)[:200]}."
        yield Finding("missing_package", "warning", message, line, hint='# dependencies = ["httpx"]')
        return
    names = [re.match(r"\s*([A-Za-z0-9][\w.-]*)", str(one)) for one in wanted] if isinstance(wanted, list) else []
    lacking = [one[1] for one in names if one and not is_distribution(one[1]) and one[1].lower() not in missing]
    if lacking:
        message = f"The header asks for {name_list(lacking)}, not installed for the Python that runs workflows."
        yield Finding("missing_package", "warning", message, line, hint=missing_hint(lacking[0], lacking[0][:100]))
