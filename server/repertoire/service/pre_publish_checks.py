"""What is known of a source before it is published: it parses, it loads, what it calls is there, and what could be better."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

import anyio.to_thread
import msgspec

from ..errors import Refused
from ..model.session import Caller
from ..model.workflow import Finding, Origin, WorkflowVersion, version_hash
from ..registry.class_finder import ClassWorkflow
from ..registry.folder import with_schemas
from ..registry.review import distinct, lint, merge, missing, references, review
from ..registry.source import Analysis, analyse, parse
from ..store.workflow_versions import record_problem
from ..text import well_formed
from ..wire import Fault
from .library import Library

logger = logging.getLogger(__name__)

_MAX_TAGS: Final = 20
_MAX_TAG_CHARS: Final = 40


class Checking(Library):
    async def _analysed(
        self, caller: Caller, name: str, source: str, description: str | None, origin: Origin, tags: Sequence[str] = ()
    ) -> WorkflowVersion:
        """The version as far as its text alone says, with what could be better. Nothing of it runs. Raises Refused."""
        source, description = well_formed(source), well_formed(description or "")
        tags = [well_formed(tag) for tag in tags]
        _check_tags(tags)
        analysis, own = await anyio.to_thread.run_sync(self._read, source, description)
        found = merge(own, await lint(source))
        entry = _class_to_run(analysis.classes, name, is_file=origin == "operator")
        text = (description or "").strip() or (entry.description if entry else "") or analysis.description
        options = analysis.options
        if tags:
            options = msgspec.structs.replace(options, tags=tuple(dict.fromkeys((*options.tags, *tags))))
        return WorkflowVersion(
            hash=version_hash(name, source, text, options, ()), name=name, origin=origin, source=source,
            description=text, options=options, input_schema={}, output_schema={}, uses_state=analysis.uses_state,
            entry=entry.entry if entry else None, author=caller.principal, created_at=time.time(), findings=tuple(found),
            is_loaded=False,
        )  # fmt: skip

    def _read(self, source: str, description: str | None) -> tuple[Analysis, list[Finding]]:
        analysis = analyse(source, max_bytes=self._limits.max_source_bytes, description=description)
        return analysis, _advice(lambda: review(parse(source, self._limits.max_source_bytes), source))

    async def _loaded(self, caller: Caller, version: WorkflowVersion) -> WorkflowVersion:
        """Load it once in a fresh worker of its origin's kind and read its schemas. Raises Refused with what to correct."""
        read = await self._runner.inspect(version, caller.env)
        if isinstance(read, Fault):
            raise Refused(read.message, read.hint, code=read.code, line=read.line)
        new = with_schemas(msgspec.structs.replace(version, findings=()), read)
        if problem := record_problem(new):
            raise Refused(f"What it says of itself cannot be stored: {problem}.", code="not_storable")
        return msgspec.structs.replace(new, is_loaded=True, findings=distinct(version.findings, new.findings))

    async def _unmet(self, caller: Caller, version: WorkflowVersion) -> list[Finding]:
        """Calls of workflows that are not there now, or do not take what they are given. They may come later: a remark, no refusal."""
        if not self.has_settled(caller):
            await self.settled(caller, self._limits.inspect_timeout_s)
        view = self.view(caller)
        known = {
            **{name: one.input_schema for name, one in view.names.items()},
            **{alias: view.names[name].input_schema for alias, name in view.aliases.items() if alias not in view.names},
            version.name: version.input_schema,
        }
        broken = {file.name: file.path for file in view.broken if file.name is not None}

        def look() -> list[Finding]:
            return missing(references(parse(version.source, self._limits.max_source_bytes)), known, broken)

        return await anyio.to_thread.run_sync(_advice, look)


def _advice(look: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return look()
    except Exception:  # a strange source must not be refused because our remarks on it failed
        logger.exception("reviewing a source")
        return []


def _check_tags(tags: Sequence[str]) -> None:
    if len(tags) > _MAX_TAGS or any(not 0 < len(tag) <= _MAX_TAG_CHARS or not tag.isprintable() for tag in tags):
        raise Refused(
            f"At most {_MAX_TAGS} tags are allowed, each of 1 to {_MAX_TAG_CHARS} printable characters.",
            code="bad_tags",
        )


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
        f"Call it {' or '.join(known)}.", code="class_name",
    )  # fmt: skip
