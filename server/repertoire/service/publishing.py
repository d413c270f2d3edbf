"""Verbs that change the registry: what is created is checked before it is published."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, Final

import anyio
import msgspec

from ..engine.runner import unknown_run
from ..errors import BadArguments, NotDeletable, Refused
from ..model.example import Checked, Example
from ..model.session import Caller
from ..model.workflow import Finding, WorkflowVersion, name_problem
from ..registry.expectations import read_examples
from ..registry.review import narrowed
from ..store.publications import By, Effect
from .examples import check, example_of
from .parts import Parts
from .versions import Versions

_NOT_ISOLATED: Final = Finding(
    "isolation", "info", "Runs in a process of its own with a memory and time limit, but not isolated from this user's files and network.",
)  # fmt: skip
_GIVE_SOME: Final = 'Create it again with examples=[{"arguments": {...}, "expect": ...}], or with from_run=RUN_ID after a run that went well.'

_BOM: Final = "\ufeff"
"""A byte order mark, which editors of Windows write before a text."""


class Publishing(Versions):
    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._publishing = anyio.Lock()

    async def create(
        self, caller: Caller, name: str, source: str | None = None, description: str | None = None, replace: bool = False,
        examples: Any = None, tags: Sequence[str] = (), publish: bool = True, from_run: str | None = None, force: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """Check, load once in a fresh process, run the examples, publish. Raises Refused with what to correct.

        `examples` left out: those of the version that is replaced. `from_run`: a run of the caller as one more example, and its text
        where no `source` is given. Without `publish`, or where it is refused after it was loaded, the version is kept as a draft. `force`:
        although other workflows call it in a way that no longer fits.
        """
        self._check_authoring()
        self._check_name(name, replace or not publish)
        wanted = await self._wanted(self._catalog.created(name), examples)
        if from_run is not None:
            shown, ran = await self._shown_by(caller, from_run)
            wanted = await read_examples(msgspec.to_builtins((*(one for one in wanted if one != shown), shown)))
            if source is None:  # the very text of that run, under this name
                source, description, tags = ran.source, description or ran.description, [*ran.options.tags, *tags]
        if source is None:
            raise BadArguments(
                "`source`: missing.", "Give the module's Python source, or from_run with the run whose source it is."
            )
        version = await self._analysed(caller, name, source.removeprefix(_BOM), description, "tool", tags)
        if self._settings.publish_requires == "approval" and not await self._store.was_published(version.hash):
            checked = await self._keep_unseen(caller, version, wanted)
            if publish:
                raise _needs_a_person(version, checked)
            return _answer(version, checked, [_NOT_ISOLATED], status="draft")
        version = await self._loaded(caller, version)
        checked, remarks = await self._check(caller, version, wanted)
        remarks += [*await self._unmet(caller, version), *([] if wanted else [_no_examples(publish)]), _NOT_ISOLATED]
        if not publish:
            await self._store.keep_draft(version, _by(caller), checked)
            return _answer(version, checked, remarks, status=await self._status(caller, version))
        answer = _answer(version, checked, remarks, status="published")
        await self._publish_or_keep(caller, version, checked, replace=replace, force=force, answer=answer)
        return answer

    async def publish(
        self, caller: Caller, name: str, version: str, force: bool = False, *, approved: bool = False
    ) -> dict[str, Any]:
        """Let the name run this version: a draft, whose examples are run first, or one that was published before.

        `approved`: a person has asked for it, which the setting `publish_requires` may demand.
        """
        self._check_authoring()
        if path := self._catalog.file_of(name):
            raise Refused(f"{name!r} comes from the file {path}.", "Change that file instead.", code="from_a_file")
        found = await self._version_of(caller, name, version)
        found = msgspec.structs.replace(found, origin="tool", root="", path=None)
        checked, remarks = await self._store.checked(found.hash), await self._unmet(caller, found)
        if await self._store.was_published(found.hash):
            await self._publish(caller, found, None, replace=True, force=force)
        else:
            if self._settings.publish_requires == "approval" and not approved:
                raise _needs_a_person(found, checked)
            found = found if found.is_loaded else await self._loaded(caller, found)
            checked, more = await self._check(caller, found, checked.examples)
            remarks += more
            await self._publish_or_keep(caller, found, checked, replace=True, force=force)
        return _answer(found, checked, remarks, status="published")

    async def delete(self, caller: Caller, name: str, force: bool = False) -> bool:
        """Take a created workflow away; its runs and versions stay. False: there is none. Raises NotDeletable for a file's, Refused
        where other workflows call it."""
        self._check_authoring()
        if self._catalog.created(name) is None:
            version = self.view(caller).find(name)
            if version is not None:
                raise NotDeletable(
                    f"{name!r} comes from the file {version.path}.", "Remove or change that file instead."
                )
            return False
        async with self._publishing:
            if not force:
                await self._check_nobody_calls(name)
            return await self._catalog.unpublish(name, _by(caller, answer=True))

    async def pin(self, caller: Caller, name: str) -> bool:
        """List it as a tool of its own however many others there are. False: it was pinned already."""
        return await self._catalog.pin(self.find(caller, name).name)

    async def unpin(self, caller: Caller, name: str) -> bool:
        """False: it was not pinned."""
        known = self.view(caller).find(name)
        return await self._catalog.unpin(known.name if known else name)

    async def add_file(
        self, caller: Caller, name: str, source: str, replace: bool = False, examples: Any = None, force: bool = False
    ) -> dict[str, Any]:
        """The operator's create: checked as above, then kept as HOME/workflows/NAME.py, to be edited there."""
        path = self._own_file(name)
        if problem := name_problem(name):
            raise Refused(problem, "Choose another name.", code="bad_name")
        source, known = source.removeprefix(_BOM), self.view(caller).find(name)
        if known is not None and not (replace and known.path == path):
            where = known.path or "a workflow that was created through a tool"
            raise Refused(
                f"The name {name!r} is taken by {where}.", "Choose another name, or use --replace.", code="name_taken"
            )
        if not replace and await anyio.Path(path).exists():
            raise Refused(
                f"There is a file {path} that is no workflow yet.", "Use --replace to write over it.", code="name_taken"
            )
        wanted = await self._wanted(known, examples)
        version = await self._loaded(caller, await self._analysed(caller, name, source, None, "operator"))
        checked, remarks = await self._check(caller, version, wanted)
        if not checked.holds:
            raise _examples_failed(version, checked, "Nothing was written.")
        if known is not None and not force:
            await self._check_callers(known, version)
        await anyio.Path(path).parent.mkdir(parents=True, exist_ok=True)
        await anyio.Path(path).write_text(source, encoding="utf-8")
        await self._catalog.rescan(caller.roots)
        if wanted:
            kept = self.view(caller).find(name) or version  # with the modules beside it, it is a version of its own
            await self._store.note_checked(kept.hash, checked)
        remarks += await self._unmet(caller, version)
        return {**_answer(version, checked, remarks, status="published"), "file": path}

    async def remove(self, caller: Caller, name: str, force: bool = False) -> bool:
        """The operator's delete: also a file in HOME/workflows."""
        version = self.view(caller).find(name)
        if version is not None and version.path == self._own_file(name):
            if not force:
                await self._check_nobody_calls(version.name)
            await anyio.Path(version.path).unlink(missing_ok=True)
            await self._catalog.rescan(caller.roots)
            return True
        return await self.delete(caller, name, force)

    def _own_file(self, name: str) -> str:
        return os.path.join(self._settings.home, "workflows", f"{name}.py")

    async def _wanted(self, before: WorkflowVersion | None, examples: Any) -> tuple[Example, ...]:
        """What holds for a version is to hold for the one that takes its place, unless others are given."""
        if examples is not None:
            return await read_examples(examples)
        return () if before is None else (await self._store.checked(before.hash)).examples

    async def _shown_by(self, caller: Caller, run_id: str) -> tuple[Example, WorkflowVersion]:
        """What a run of the caller has shown, and the version that it ran."""
        run = await self._store.run(run_id)
        version = None if run is None else await self._store.version(run.version)
        if run is None or version is None or run.principal != caller.principal:
            raise unknown_run(run_id)
        return await example_of(self._store, self._runner.doors, run), version

    async def _check(
        self, caller: Caller, version: WorkflowVersion, examples: Sequence[Example]
    ) -> tuple[Checked, list[Finding]]:
        """What its examples show. They are runs, and a run's version is stored before it."""
        if not examples:
            return Checked(), []
        await self._store.keep_version(version)
        return await check(self._runner, caller, self.view(caller), version, examples, self._limits.examples_timeout_s)

    async def _publish_or_keep(
        self,
        caller: Caller,
        version: WorkflowVersion,
        checked: Checked,
        *,
        replace: bool,
        force: bool,
        answer: Any = None,
    ) -> None:
        """Raises Refused, and keeps it as a draft then, where its examples or those who call it do not allow publishing."""
        try:
            if not checked.holds:
                raise _examples_failed(version, checked, await self._what_becomes_of(version))
            if self._settings.publish_requires == "examples" and not checked.examples:
                raise Refused("This server publishes only workflows with examples.", _GIVE_SOME, code="no_examples")
            await self._publish(caller, version, checked, replace=replace, force=force, answer=answer)
        except Refused as error:
            await self._store.keep_draft(version, _by(caller), checked)
            error.details = {
                "status": await self._status(caller, version), "version": version.short, "examples": checked.summary(),
                "findings": _plain([*checked.problems, *version.findings]), **error.details,
            }  # fmt: skip
            raise

    async def _publish(
        self,
        caller: Caller,
        version: WorkflowVersion,
        checked: Checked | None,
        *,
        replace: bool,
        force: bool,
        answer: Any = None,
    ) -> None:
        """`answer`: what a body that publishes is to be told."""
        async with self._publishing:
            self._check_name(version.name, replace)  # another call may have taken it meanwhile
            if not force and (before := self._catalog.created(version.name)) is not None:
                await self._check_callers(before, version)
            await self._catalog.publish(version, _by(caller, answer), checked)

    async def _what_becomes_of(self, version: WorkflowVersion) -> str:
        if await self._store.was_published(version.hash):
            return "This text was published before, and keeps the examples that it had then."
        if self._catalog.created(version.name) is not None:
            return "What is published stays as it is, and this is kept as a draft."
        return "It is kept as a draft."

    async def _check_nobody_calls(self, name: str) -> None:
        if callers := sorted({one.name for one, _ in await self._callers(name)}):
            raise Refused(
                f"{name!r} is called by {', '.join(callers[:10])}.", "Change those first, or delete it with force=true.", code="in_use",
                details={"called_by": callers},
            )  # fmt: skip

    async def _check_callers(self, before: WorkflowVersion, version: WorkflowVersion) -> None:
        """Raises Refused where a workflow that calls the version before could not call this one."""
        if before.input_schema == version.input_schema:
            return
        problems = [
            (caller.name, problem)
            for caller, call in await self._callers(version.name)
            if (problem := narrowed(before.input_schema, version.input_schema, call))
        ]
        if problems:
            told = "; ".join(f"{name}: {problem.rstrip('.')}" for name, problem in problems[:5])
            raise Refused(
                f"Other workflows call {version.name!r} and could not any more: {told}.",
                "Keep its parameters (a new one needs a default), change those workflows first, or use force=true.",
                code="in_use", details={"called_by": sorted({name for name, _ in problems})},
            )  # fmt: skip

    async def _keep_unseen(self, caller: Caller, version: WorkflowVersion, wanted: tuple[Example, ...]) -> Checked:
        """Nothing of it is run before somebody has agreed. Brought again, it keeps the examples that it had: a person may have looked at
        them."""
        before = await self._store.checked(version.hash)
        checked = before if before.examples else Checked(examples=wanted)
        await self._store.keep_draft(version, _by(caller), checked)
        return checked

    def _check_authoring(self) -> None:
        if self._settings.authoring == "off":
            raise Refused("This server does not let clients create, publish or delete workflows.", code="authoring_off")

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


def _by(caller: Caller, answer: Any = None) -> By:
    """`answer`: what the body is to be told whose call this is."""
    effect = None if caller.call is None or answer is None else Effect(*caller.call, json.dumps(answer))
    return By(caller.principal, caller.client, effect)


def _plain(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [finding.public() for finding in findings]


def _answer(version: WorkflowVersion, checked: Checked, more: Sequence[Finding], *, status: str) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.short,
        "status": status,
        "description": version.description,
        "input_schema": version.input_schema,
        "output_schema": version.output_schema,
        "examples": checked.summary(),
        "findings": _plain([*version.findings, *checked.problems, *more]),
    }


def _no_examples(published: bool) -> Finding:
    begin = "Published without an example" if published else "It has no example"
    return Finding("no_examples", "info", f"{begin}: nothing has shown that it does what it says.", hint=_GIVE_SOME)


def _examples_failed(version: WorkflowVersion, checked: Checked, kept: str) -> Refused:
    failed, first = len(checked.problems), checked.problems[0]
    return Refused(
        f"{failed} of {len(checked.examples)} examples do not hold: {first.message} {kept}", first.hint, code="examples_failed",
        line=first.line, details={"findings": _plain([*checked.problems, *version.findings])},
    )  # fmt: skip


def _needs_a_person(version: WorkflowVersion, checked: Checked) -> Refused:
    return Refused(
        f"This server publishes only what a person has approved, and {version.short} waits for that.",
        f"Ask for: repertoire publish {version.name} {version.short}", code="approval_required",
        details={"status": "draft", "version": version.short, "examples": checked.summary(), "findings": _plain(version.findings)},
    )  # fmt: skip
