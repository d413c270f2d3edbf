"""Verbs that change the registry: what is created is checked before it is published."""

from __future__ import annotations

import os
import time
from typing import Any, Final

import anyio
import anyio.to_thread
import msgspec

from ..errors import NotDeletable, Refused
from ..model.session import Caller
from ..model.workflow import Finding, Origin, WorkflowVersion, name_problem, version_hash
from ..registry.classes import ClassWorkflow
from ..registry.folder import with_schemas
from ..registry.source import analyse
from ..wire import Fault
from .base import Parts
from .library import Library

_NOT_ISOLATED: Final = Finding(
    "isolation", "info", "Runs in a process of its own with a memory and time limit, but not isolated from this user's files and network.",
)  # fmt: skip


class Publishing(Library):
    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._publishing = anyio.Lock()

    async def create(
        self, caller: Caller, name: str, source: str, description: str | None = None, replace: bool = False
    ) -> dict[str, Any]:
        """Check, load once in a fresh process, publish. Raises Refused with what to correct; nothing of a refused source runs."""
        self._check_authoring()
        self._check_name(name, replace)
        version = await self._checked(name, source, description, "tool", caller)
        async with self._publishing:
            self._check_name(name, replace)  # another call may have taken it meanwhile
            await self._catalog.publish(version, version.created_at)
        answer = _published(version)
        return {**answer, "findings": [*answer["findings"], msgspec.to_builtins(_NOT_ISOLATED)]}

    async def delete(self, caller: Caller, name: str) -> bool:
        """Take a created workflow away; its runs stay readable. False: there is none. Raises NotDeletable for a file's."""
        self._check_authoring()
        if self._catalog.created(name) is None:
            version = self.view(caller).find(name)
            if version is not None:
                raise NotDeletable(
                    f"{name!r} comes from the file {version.path}.", "Remove or change that file instead."
                )
        return await self._catalog.unpublish(name)

    async def add_file(self, caller: Caller, name: str, source: str, replace: bool = False) -> dict[str, Any]:
        """The operator's create: checked as above, then kept as HOME/workflows/NAME.py, to be edited there."""
        path = self._own_file(name)
        if problem := name_problem(name):
            raise Refused(problem, "Choose another name.", code="bad_name")
        known = self.view(caller).find(name)
        if known is not None and not (replace and known.path == path):
            where = known.path or "a workflow that was created through a tool"
            raise Refused(
                f"The name {name!r} is taken by {where}.", "Choose another name, or use --replace.", code="name_taken"
            )
        version = await self._checked(name, source, None, "operator", caller)
        await anyio.Path(path).parent.mkdir(parents=True, exist_ok=True)
        await anyio.Path(path).write_text(source, encoding="utf-8")
        await self._catalog.rescan(caller.roots)
        return {**_published(version), "file": path}

    async def remove(self, caller: Caller, name: str) -> bool:
        """The operator's delete: also a file in HOME/workflows."""
        version = self.view(caller).find(name)
        if version is not None and version.path == self._own_file(name):
            await anyio.Path(version.path).unlink(missing_ok=True)
            await self._catalog.rescan(caller.roots)
            return True
        return await self.delete(caller, name)

    def _own_file(self, name: str) -> str:
        return os.path.join(self._settings.home, "workflows", f"{name}.py")

    async def _checked(
        self, name: str, source: str, description: str | None, origin: Origin, caller: Caller
    ) -> WorkflowVersion:
        """Parse, then load once in a worker of the origin's kind. Raises Refused with what to correct."""
        analysis = await anyio.to_thread.run_sync(
            lambda: analyse(source, max_bytes=self._limits.max_source_bytes, description=description)
        )
        entry = _class_to_run(analysis.classes, name, is_file=origin == "operator")
        text = (description or "").strip() or (entry.description if entry else "") or analysis.description
        version = WorkflowVersion(
            hash=version_hash(name, source, text, analysis.options, ()), name=name, origin=origin, source=source,
            description=text, options=analysis.options, input_schema={}, output_schema={}, uses_state=analysis.uses_state,
            entry=entry.entry if entry else None, author=caller.principal, created_at=time.time(),
        )  # fmt: skip
        read = await self._runner.inspect(version, caller.env)
        if isinstance(read, Fault):
            raise Refused(read.message, read.hint, code=read.code, line=read.line)
        return with_schemas(version, read)

    def _check_authoring(self) -> None:
        if self._settings.authoring == "off":
            raise Refused("This server does not let clients create or delete workflows.", code="authoring_off")

    def _check_name(self, name: str, replace: bool) -> None:
        if problem := name_problem(name):
            raise Refused(problem, "Choose another name.", code="bad_name")
        if path := self._catalog.file_of(name):
            raise Refused(f"The name {name!r} belongs to the file {path}.", "Choose another name.", code="name_taken")
        if self._catalog.created(name) is not None and not replace:
            raise Refused(
                f"A workflow {name!r} exists already.",
                "Choose another name, or create it again with replace=true.",
                code="name_taken",
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


def _published(version: WorkflowVersion) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.short,
        "description": version.description,
        "input_schema": version.input_schema,
        "output_schema": version.output_schema,
        "findings": [msgspec.to_builtins(finding) for finding in version.findings],
    }
