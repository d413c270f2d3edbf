"""OwnFiles: adds, removes and restores workflow files in HOME/workflows for the operator; used by the command line.

Such a file is checked as a created workflow is. After that it belongs to the operator, who edits it in place.
"""

from __future__ import annotations

import os
from typing import Any

import anyio

from ..errors import Refused
from ..model.session import Caller
from ..model.workflow_version import WorkflowVersion, name_problem
from ..registry.catalog import Catalog
from ..store import Store
from ..store.audit import By
from .call_graph import CallGraph
from .examples import Examples
from .library import Library
from .pre_publish_checks import PrePublishChecks
from .publish_answers import cannot_work, examples_failed, stopping, version_answer
from .publishing import BOM, Publishing
from .trash import Trash
from .trust import TRUSTED


class OwnFiles:
    def __init__(
        self,
        home: str,
        trash: Trash,
        store: Store,
        catalog: Catalog,
        library: Library,
        checks: PrePublishChecks,
        examples: Examples,
        call_graph: CallGraph,
        publishing: Publishing,
    ) -> None:
        self._folder = os.path.join(home, "workflows")
        self._trash = trash
        self._store = store
        self._catalog = catalog
        self._library = library
        self._checks = checks
        self._examples = examples
        self._call_graph = call_graph
        self._publishing = publishing

    async def add(
        self, caller: Caller, name: str, source: str, replace: bool = False, examples: Any = None, force: bool = False
    ) -> dict[str, Any]:
        """Check the source as `Publishing.create` does, then write HOME/workflows/NAME.py. Raises Refused with what to correct."""
        path = self._path(name)
        known = await self._check_name(caller, name, path, replace)
        chosen = await self._examples.choose(known, examples)
        new = await self._checks.read(caller, name, source.removeprefix(BOM), None, "operator", folder=self._folder)
        version = await self._checks.load(caller, new.version)
        remarks = await self._checks.unfit_calls(caller, version, new.calls)
        if not force and stopping(findings := [*version.findings, *remarks]):
            raise cannot_work(version, findings, "Nothing was written.")
        checked, more = await self._examples.check(caller, version, chosen)
        if not checked.holds:
            raise examples_failed(version, checked, "Nothing was written.")
        if known is not None and not force:
            await self._call_graph.check_callers_fit(known, version)
        await anyio.Path(path).parent.mkdir(parents=True, exist_ok=True)
        await anyio.Path(path).write_text(source.removeprefix(BOM), encoding="utf-8")
        await self._catalog.rescan(caller.roots)
        kept = self._library.view(caller).find(name) or version  # with the modules beside it, it is another version
        before = None if known is None else known.hash
        await self._store.note("created", By.of(caller), workflow=name, version=kept.hash, based_on=before)
        if chosen:
            await self._store.note_checked(kept.hash, checked)
        remarks += more
        return {
            **await version_answer(version, checked, remarks, status="published", isolation=TRUSTED, needs=new.needs),
            "file": path,
        }

    async def remove(self, caller: Caller, name: str, force: bool = False) -> dict[str, Any]:
        """Move the file in HOME/workflows to the trash, or delete the created workflow of this name: {deleted, version, trash}.

        Publishing the version again undoes it. Raises Refused where other workflows call it, and NotDeletable for a file in another
        folder.
        """
        version = self._library.view(caller).find(name)
        if version is None or version.path != self._path(name):
            deleted = await self._publishing.delete(caller, name, force)
            return {"deleted": deleted, "version": version.short if deleted and version else None, "trash": None}
        if not force:
            await self._call_graph.check_not_called(version.name)
        await self._store.note_deleted(version, By.of(caller))
        kept = await self._trash.keep(version)
        await self._catalog.rescan(caller.roots)
        return {"deleted": True, "version": version.short, "trash": kept}

    async def restore(self, caller: Caller, name: str, version: str) -> dict[str, Any] | None:
        """Move a deleted file back to HOME/workflows. None: no file of this version is in the trash. Raises Refused where the name is
        taken."""
        kept = await self._trash.find(name, version)
        if kept is None:
            return None
        await self._check_name(caller, name, self._path(name), replace=False)
        await self._trash.give_back(kept, self._path(name))
        await self._catalog.rescan(caller.roots)
        found = self._library.view(caller).find(name)
        hash = version if found is None else found.hash
        await self._store.note("restored", By.of(caller), workflow=name, version=hash)
        if found is None:
            raise Refused(f"{self._path(name)} is back, but it is no workflow now.", "`repertoire list` says why.")
        checked = await self._store.checked(found.hash)
        return {**await version_answer(found, checked, [], status="published", isolation=TRUSTED), "file": found.path}

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, f"{name}.py")

    async def _check_name(self, caller: Caller, name: str, path: str, replace: bool) -> WorkflowVersion | None:
        """The version that this file replaces, if any. Raises Refused where the name or the path is taken."""
        if problem := name_problem(name):
            raise Refused(problem, "Choose another name.", code="bad_name")
        known = self._library.view(caller).find(name)
        if known is not None and not (replace and known.path == path):
            where = known.path or "a workflow that was created through a tool"
            hint = "Choose another name, or use --replace." if known.path == path else "Choose another name."
            raise Refused(f"The name {name!r} is taken by {where}.", hint, code="name_taken")
        if not replace and await anyio.Path(path).exists():
            raise Refused(
                f"There is a file {path} that is no workflow yet.", "Use --replace to write over it.", code="name_taken"
            )
        return known
