"""PrePublishChecks: reads a new source, loads it once and reviews its calls; used before a version is kept or published.

A source is parsed once: the description, the remarks and the calls come from one syntax tree. Not the examples: `Examples` runs those.
"""

from __future__ import annotations

import ast
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple, TypeVar

import anyio.to_thread
import msgspec

from ..engine.runner import Runner
from ..errors import Refused
from ..model.needs import Needs
from ..model.session import Caller
from ..model.workflow_version import Finding, Origin, WorkflowVersion, version_hash
from ..names import RUN_CODE
from ..registry.class_finder import ClassWorkflow
from ..registry.folder import with_schemas
from ..registry.importable import Importable
from ..registry.needs import needs_of
from ..registry.review import (
    RULES_OF_IMPORTS,
    Known,
    References,
    Workflows,
    bad_imports,
    distinct,
    explain_names,
    lint,
    merge,
    reads_undefined,
    references,
    review,
    stop_for_undefined,
    unfit_calls,
)
from ..registry.script import as_module
from ..registry.source import Analysis, analyse_tree, parse, unwrapped
from ..registry.used_tools import used_tools
from ..settings import Settings
from ..store.workflow_versions import record_problem
from ..text import readable, well_formed
from ..wire import Fault
from .library import Library
from .trust import TrustRules, refusal_of_call

logger = logging.getLogger(__name__)

_MAX_TAGS: Final = 20
_MAX_TAG_CHARS: Final = 40

T = TypeVar("T")


class NewSource(NamedTuple):
    """A source that was read and not run: its version without schemas, its calls and its needs."""

    version: WorkflowVersion
    calls: References
    needs: Needs


class _Reading(NamedTuple):
    analysis: Analysis
    remarks: list[Finding]
    calls: References
    tree: ast.Module


class PrePublishChecks:
    def __init__(self, library: Library, runner: Runner, settings: Settings, rules: TrustRules) -> None:
        self._rules = rules
        self._library = library
        self._runner = runner
        self._settings = settings
        self._limits = settings.limits

    async def read(
        self,
        caller: Caller,
        name: str,
        source: str,
        description: str | None,
        origin: Origin,
        tags: Sequence[str] = (),
        folder: str | None = None,
        *,
        brief: bool = False,
    ) -> NewSource:
        """The version as far as its text alone says, with remarks on it. Nothing of it runs. Raises Refused.

        `folder`: where a file of the operator will lie; None: it is not known which modules it has beside it. `brief`: only remarks that
        may say that it cannot work.
        """
        source, description = well_formed(source), well_formed(description or "")
        tags = [well_formed(tag) for tag in tags]
        _check_tags(tags)
        if origin == "tool":
            source = await anyio.to_thread.run_sync(unwrapped, source, self._limits.max_source_bytes)
        analysis, remarks, calls, tree = await anyio.to_thread.run_sync(self._read, source, description, brief)
        linted = await lint(source) if not brief or _advice(lambda: reads_undefined(tree), True) else []
        await self._library.wait_until_settled(caller, self._limits.inspect_timeout_s)
        schemas = {known: one.input_schema for known, one in self._library.view(caller).names.items() if known != name}
        beside = _beside(origin, folder)

        def look() -> list[Finding]:
            imports = self._bad_imports(tree, source, schemas, beside, origin)
            names = explain_names(stop_for_undefined(linted, tree, source), tree, schemas)
            return merge([*remarks, *imports], names)

        found = await anyio.to_thread.run_sync(_advice, look, merge(remarks, linted))
        entry = _class_to_run(analysis.classes, name, is_file=origin == "operator" and name != RUN_CODE)
        named = partial(used_tools, source, (), analysis.options.tools)
        tools = await anyio.to_thread.run_sync(_advice, named, analysis.options.tools)
        text = readable(description.strip() or (entry.description if entry else "")) or analysis.description
        options = analysis.options
        if tags:
            options = msgspec.structs.replace(options, tags=tuple(dict.fromkeys((*options.tags, *tags))))
        version = WorkflowVersion(
            hash=version_hash(name, source, text, options, ()),
            name=name,
            origin=origin,
            source=source,
            description=text,
            options=options,
            input_schema={},
            output_schema={},
            uses_state=analysis.uses_state,
            tools=tools,
            entry=entry.entry if entry else None,
            author=caller.principal,
            created_at=time.time(),
            findings=tuple(found),
            is_loaded=False,
        )
        needs = Needs() if brief else await anyio.to_thread.run_sync(_needs_of, version, tree, calls)
        return NewSource(version, calls, needs)

    async def as_module(self, source: str, names: Iterable[str]) -> str:
        """The source as a module with `run`: statements become its body, and these names its parameters. Raises Refused."""
        limit, given = self._limits.max_source_bytes, list(names)
        return await anyio.to_thread.run_sync(lambda: as_module(unwrapped(well_formed(source), limit), given, limit))

    async def load(self, caller: Caller, version: WorkflowVersion) -> WorkflowVersion:
        """Load it once in a fresh worker of its origin's kind and read its schemas. Raises Refused with what to correct."""
        read = await self._runner.inspect(version, caller.env)
        if isinstance(read, Fault):
            known = [one for one in version.findings if one.rule in RULES_OF_IMPORTS and one.line == read.line]
            message, hint = (known[0].message, known[0].hint) if known else (read.message, read.hint)
            raise Refused(message, hint, code=read.code, line=read.line)
        new = with_schemas(msgspec.structs.replace(version, findings=()), read)
        if problem := record_problem(new):
            raise Refused(f"What it says of itself cannot be stored: {problem}.", code="not_storable")
        return msgspec.structs.replace(new, is_loaded=True, findings=distinct(version.findings, new.findings))

    async def with_imports_checked(self, caller: Caller, version: WorkflowVersion) -> WorkflowVersion:
        """A created version with the findings on its imports as they are now: a package may have been installed or listed since."""
        await self._library.wait_until_settled(caller, self._limits.inspect_timeout_s)
        schemas = {name: one.input_schema for name, one in self._library.view(caller).names.items()}
        own = {module.name.partition(".")[0] for module in version.modules}

        def look() -> list[Finding]:
            texts = [(version.source, None), *((one.source, one.path or one.name) for one in version.modules)]
            return [
                msgspec.structs.replace(one, file=file)
                for text, file in texts
                for one in self._bad_imports(parse(text, len(text) * 4 + 1), text, schemas, own.__contains__, "tool")
            ]

        found = await anyio.to_thread.run_sync(_advice, look, [])
        kept = (one for one in version.findings if one.rule not in RULES_OF_IMPORTS)
        return msgspec.structs.replace(version, findings=(*kept, *found))

    async def unfit_calls(
        self, caller: Caller, version: WorkflowVersion, calls: References | None = None
    ) -> list[Finding]:
        """Findings about calls of workflows that do not exist now, that do not take these arguments, or that the version may not call.
        An error is a call that a run certainly makes. `calls`: those of the version's source, if they are known; otherwise the source is
        parsed."""
        await self._library.wait_until_settled(caller, self._limits.inspect_timeout_s)
        if calls is None:
            limit = self._limits.max_source_bytes
            read = partial(_advice, lambda: references(parse(version.source, limit)), References())
            calls = await anyio.to_thread.run_sync(read)
        refused = self._calls_not_allowed(caller, version, calls)
        known = self._known_workflows(caller, version)
        found = await anyio.to_thread.run_sync(_advice, partial(unfit_calls, calls, known), [])
        if not found:
            return refused
        known = msgspec.structs.replace(known, drafts=await self._library.awaited_drafts())
        return refused + await anyio.to_thread.run_sync(_advice, partial(unfit_calls, calls, known), [])

    def _calls_not_allowed(self, caller: Caller, version: WorkflowVersion, calls: References) -> list[Finding]:
        """The first call of each workflow that the version may not call: one of the two is trusted, and the other is not."""
        view = self._library.view(caller)
        found: dict[str, Finding] = {}
        for call in calls.workflows:
            callee = view.find(call.name)
            if callee is None or callee.name in (version.name, *found) or self._rules.may_call(version, callee):
                continue
            message, hint = refusal_of_call(version, callee)
            found[callee.name] = Finding("workflow_not_allowed", "warning", message, call.line, hint=hint)
        return list(found.values())

    def _known_workflows(self, caller: Caller, version: WorkflowVersion) -> Known:
        view = self._library.view(caller)
        schemas = {
            **{name: one.input_schema for name, one in view.names.items()},
            **{alias: view.names[name].input_schema for alias, name in view.aliases.items() if alias not in view.names},
            version.name: version.input_schema,
        }
        broken = {file.name: file.path for file in view.broken if file.name is not None}
        return Known(schemas, broken, self._library.all_names())

    def _bad_imports(
        self, tree: ast.Module, source: str, known: Workflows, beside: Callable[[str], bool], origin: Origin
    ) -> list[Finding]:
        return bad_imports(
            tree, source, known, beside, None if origin == "operator" else Importable(self._settings.packages)
        )

    def _read(self, source: str, description: str | None, brief: bool) -> _Reading:
        tree = parse(source, self._limits.max_source_bytes)
        return _Reading(
            analyse_tree(tree, description),
            [] if brief else _advice(lambda: _remarks(tree, source, description), []),
            _advice(lambda: references(tree), References()),
            tree,
        )


def _remarks(tree: ast.Module, source: str, description: str | None) -> list[Finding]:
    """The review's. A given description takes the place of those of the docstrings."""
    return [one for one in review(tree, source) if not description or one.rule != "fuller_docstring"]


def _beside(origin: Origin, folder: str | None) -> Callable[[str], bool]:
    """Whether a module lies beside the file. A created source has none; where the folder is not known, it may be any."""
    if origin == "tool":
        return lambda name: False
    if folder is None:
        return lambda name: True
    return lambda name: os.path.exists(os.path.join(folder, name)) or os.path.exists(os.path.join(folder, f"{name}.py"))


def _needs_of(version: WorkflowVersion, tree: ast.Module, calls: References) -> Needs:
    return _advice(lambda: needs_of(version, [(tree, calls)]), Needs())


def _advice(look: Callable[[], T], otherwise: T) -> T:
    try:
        return look()
    except Exception:  # a strange source must not be refused because our remarks on it failed
        logger.exception("reviewing a source")
        return otherwise


def _check_tags(tags: Sequence[str]) -> None:
    if len(tags) > _MAX_TAGS or not all(map(_is_tag, tags)):
        raise Refused(
            f"At most {_MAX_TAGS} tags are allowed, each of 1 to {_MAX_TAG_CHARS} printable characters.",
            code="bad_tags",
        )


def _is_tag(tag: str) -> bool:
    """U+FFFD stands for text that was no valid Unicode when it came in."""
    return 0 < len(tag) <= _MAX_TAG_CHARS and tag.isprintable() and "\ufffd" not in tag


def _class_to_run(classes: tuple[ClassWorkflow, ...], name: str, *, is_file: bool) -> ClassWorkflow | None:
    """The one class that the new workflow is; None where the source has a `run`. A file's workflow is called after its class."""
    if not classes:
        return None
    known = {one.name: one for one in classes}
    if name in known:
        return known[name]
    if len(classes) == 1 and not is_file:
        return classes[0]
    names = ", ".join(f"{one.entry} ({one.name})" for one in classes)
    raise Refused(
        f"The source has the workflow classes {names}, none of them called {name!r}.",
        f"Call it {' or '.join(known)}.",
        code="class_name",
    )
