"""Imports: findings on imports that cannot work, wherever they stand, with what to write instead; used by `PrePublishChecks`.

1. A workflow is not imported, and neither are the names that are there without an import.
2. `repertoire` has the names of `repertoire.__all__`.
3. Created code imports only what `Importable` lists.
4. Anything else has to be installed, or to lie beside the file. The dependencies of a PEP 723 header have to be installed too.

In the operator's files they are warnings, and calls of `import_module` are not read. In created code they are errors, unless the source can do
without the import. An import that the source itself expects to fail (`except ImportError`), or that only type checkers read, is left alone.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from ...compat.hook import CLASS_STYLE, PYFLUE
from ...distributions import distribution_of
from ...model.workflow_version import Finding
from ..import_groups import UNLISTED
from ..importable import Importable
from ..packages import imported_as, installed_names, is_distribution, is_installed, near_names, package_of
from .findings import finding, name_list, select_findings
from .import_sites import Care, Site, import_sites
from .ruff import GLOBALS
from .unknown_names import EXPORTED, Workflows, call_of, nearest_exported, workflow_named

RULES_OF_IMPORTS: Final = frozenset({"unknown_import", "missing_package", "import_not_allowed"})
_OWN_NAMES: Final = frozenset({*EXPORTED, *GLOBALS, "*", "__version__"})
_NOT_THE_SERVER: Final = _OWN_NAMES | {"agents", "authoring", "classes", "compat", "values"}
"""Modules that a workflow's own process loads anyway."""
_STAND_INS: Final = frozenset({*CLASS_STYLE, PYFLUE})
_HEADER: Final = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_MOST_INSTALLED: Final = 20
_MOST_ALLOWED: Final = 12


def bad_imports(
    tree: ast.Module,
    source: str,
    known: Workflows,
    is_beside: Callable[[str], bool],
    allowed: Importable | None = None,
) -> list[Finding]:
    """`is_beside(name)`: whether a module of that name lies beside the file. It reads folders: call it in a thread. `allowed`: the list for
    created code; None: the source is the operator's."""
    found = [one for site in import_sites(tree) for one in _findings(site, known, is_beside, allowed)]
    missing = {package_of(one.message.split("`")[1]) for one in found if one.rule == "missing_package"}
    return select_findings([*found, *_header(source, missing, allowed)])


def _findings(
    site: Site, known: Workflows, is_beside: Callable[[str], bool], allowed: Importable | None
) -> Iterator[Finding]:
    if allowed is None:
        if site.is_statement and site.care in (Care.NONE, Care.BRANCH):
            yield from _problem(site, known, is_beside, None)
        return
    for one in _problem(site, known, is_beside, allowed):
        if site.care in (Care.NONE, Care.REPORTED):
            yield msgspec.structs.replace(one, severity="error")
        elif site.care is Care.BRANCH or one.rule == "import_not_allowed":
            yield one


def _problem(
    site: Site, known: Workflows, is_beside: Callable[[str], bool], allowed: Importable | None
) -> Iterator[Finding]:
    first, *below = site.module.split(".")
    if first == "repertoire":
        yield from _of_repertoire(site, below, may_be_inner=allowed is None)
    elif is_beside(first):
        return
    elif allowed is not None and (refused := _refused(site, allowed)) is not None:
        yield refused
    elif first in sys.stdlib_module_names or first in _STAND_INS or is_installed(first):
        return
    elif first in GLOBALS or first in EXPORTED:
        called = next((one for one in (*site.names, *below) if one in known), None)
        instead = f"write {call_of(called, known[called])}" if called else _use_of(first)
        hint = f"Take the import away, and {instead}."
        yield finding(site.node, "unknown_import", f"`{first}` is no module: it is there without an import.", hint)
    elif (workflow := workflow_named(first, known)) is not None:
        message = f"`{first[:100]}` is a workflow, and cannot be imported."
        hint = f"Take the import away, and call it: {call_of(workflow, known[workflow])}."
        yield finding(site.node, "unknown_import", message, hint)
    else:
        message = f"`{first[:100]}` is not installed for the Python that runs workflows."
        yield finding(site.node, "missing_package", message, missing_hint(first, allowed=allowed))


def _refused(site: Site, allowed: Importable) -> Finding | None:
    """The finding on a module that created code may not import. None: it may, or there is no such module and better advice."""
    below = [f"{site.module}.{name}" for name in site.names if name != "*"]
    name, group = next(
        ((name, why) for name in below or [site.module] if (why := allowed.refusal(name)) is not None), ("", None)
    )
    if group is allowed.refusal(site.module):
        name = site.module
    is_there = is_installed(name) if group is not None else False
    if group is None or (not is_there and (group is UNLISTED or site.care is Care.HANDLED)):
        return None
    said = "is of no use here" if site.care is Care.HANDLED else "cannot be imported here"
    message = f"`{name[:100]}` {said}: {group.reason}."
    return finding(site.node, "import_not_allowed", message, f"{group.instead} {_what_there_is(allowed)}")


def _what_there_is(allowed: Importable) -> str:
    installed = allowed.installed()
    shown, more = installed[:_MOST_ALLOWED], len(installed) - _MOST_ALLOWED
    listed = ", ".join(["the standard library", *shown]) + (f" and {more} more" if more > 0 else "")
    return f"Importable are {listed}: guide('packages')."


def _use_of(name: str) -> str:
    return "write workflows.NAME(argument=...)" if name == "workflows" else f"use `{name}` as it is"


def _of_repertoire(site: Site, below: Sequence[str], *, may_be_inner: bool) -> Iterator[Finding]:
    """`may_be_inner`: the source may import modules of the server itself."""
    inner = next((one for one in (below[:1] or site.names) if one not in _NOT_THE_SERVER and _is_module(one)), None)
    if inner is not None and not may_be_inner:
        message = f"`repertoire.{inner}` cannot be imported here: it is a module of the server."
        yield finding(site.node, "import_not_allowed", message, _instead(below[-1] if below else inner))
        return
    if below:
        unknown = [] if _is_module(below[0]) else [".".join(["repertoire", *below])]
        if unknown:
            yield finding(site.node, "unknown_import", f"There is no module `{unknown[0][:100]}`.", _instead(below[-1]))
        return
    for name in site.names:
        if name not in _OWN_NAMES and not _is_module(name):
            yield finding(site.node, "unknown_import", f"`repertoire` has no name `{name[:100]}`.", _instead(name))


def _is_module(name: str) -> bool:
    return importlib.util.find_spec(f"repertoire.{name}") is not None


def _instead(name: str) -> str:
    first, *others = nearest_exported(name)
    return f"Is it `{first}`? It has, the nearest first: {', '.join([first, *others])}."


def missing_hint(name: str, distribution: str | None = None, allowed: Importable | None = None) -> str:
    """Ways to do without a module that is not installed, or to get it. `distribution`: the package itself, if its name is known."""
    written = imported_as(name)
    if written is not None and (allowed is None or allowed.refusal(written) is None):
        return f"That package is installed, and is imported as `{written}`."
    installed = installed_names() if allowed is None else allowed.installed()
    near = near_names(name, [*installed, *sys.stdlib_module_names])
    meant = f"Is it {' or '.join(f'`{one}`' for one in near)}? " if near else ""
    known = distribution or distribution_of(name)
    how = f"{sys.executable} -m pip install " + (known or f"PACKAGE, the distribution that has {name[:100]}")
    begin = f"{meant}Write it without, or tell the person who runs this server, who can install it"
    if allowed is not None:
        listing = "" if allowed.refusal(name) is None else ", and list it in the setting `packages`"
        return f"{begin}{listing}: {how}. {_what_there_is(allowed)}"
    shown, more = installed[:_MOST_INSTALLED], len(installed) - _MOST_INSTALLED
    return f"{begin}: {how}. Installed are {', '.join(shown)}" + (
        f" and {more} more: guide('packages')." if more > 0 else "."
    )


def _header(source: str, missing: set[str], allowed: Importable | None) -> Iterator[Finding]:
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
        yield Finding(
            "missing_package", "warning", message, line, hint=missing_hint(lacking[0], lacking[0][:100], allowed)
        )
