"""Publishing: creates, publishes, deletes and pins workflows; used by the surfaces and by bodies.

A new source is read, loaded once and checked by its examples before its name runs it. A version that fails is kept as a draft.
Not workflow files: `OwnFiles` writes those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import anyio
import anyio.to_thread
import msgspec

from ..errors import BadArguments, NotDeletable, Refused
from ..model.example import Checked, Example
from ..model.needs import Needs
from ..model.session import Caller
from ..model.workflow_version import Finding, WorkflowVersion, name_problem
from ..registry.catalog import Catalog
from ..registry.expectations import read_examples
from ..registry.value_types import with_types
from ..settings import Settings
from ..store import Store
from ..store.audit import By
from .call_graph import CallGraph
from .examples import Examples
from .library import Library
from .pre_publish_checks import PrePublishChecks
from .publish_answers import (
    ADD_EXAMPLES,
    approval_required,
    as_warnings,
    cannot_work,
    examples_failed,
    free_to_import,
    from_failed_run,
    import_errors,
    imports_refused,
    no_examples,
    public_findings,
    stopping,
    tools_not_allowed,
    types_from_values,
    version_answer,
)
from .trust import TrustRules
from .versions import Versions

BOM: Final = "\ufeff"
"""A byte order mark, which editors of Windows write before a text."""


class Publishing:
    def __init__(
        self,
        settings: Settings,
        store: Store,
        catalog: Catalog,
        library: Library,
        versions: Versions,
        checks: PrePublishChecks,
        examples: Examples,
        call_graph: CallGraph,
        rules: TrustRules,
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._store = store
        self._catalog = catalog
        self._library = library
        self._versions = versions
        self._checks = checks
        self._examples = examples
        self._call_graph = call_graph
        self._lock = anyio.Lock()
        """Held while a name changes its version: the checks before it must still be true."""

    async def create(
        self,
        caller: Caller,
        name: str,
        source: str | None = None,
        description: str | None = None,
        replace: bool = False,
        examples: Any = None,
        tags: Sequence[str] = (),
        publish: bool = True,
        from_run: str | None = None,
        force: bool = False,
        keep_examples: bool = False,
    ) -> dict[str, Any]:
        """Check, load once in a fresh process, run the examples, publish. Raises Refused with what to correct.

        `examples` left out: those of the version that is replaced; with `keep_examples` they are added to those. `from_run`: a run of the
        caller becomes one more example, and gives the source if `source` is left out. A failed one then gives a draft.
        Without `publish`, or when it is refused after loading, the version is kept as a draft.
        `force`: publish although its text says that it cannot work, or other workflows call it in a way that no longer fits.
        """
        self._rules.check_authoring("create, publish or delete workflows")
        self._check_name(name, replace or not publish)
        before = self._catalog.find_created(name)
        chosen = await self._examples.choose(before, examples, keep=keep_examples)
        typed: list[str] = []
        failed: list[Finding] = []
        if from_run is not None:
            shown, ran = await self._examples.from_run(caller, from_run)
            if source is None and shown.expect_error and before is None:
                publish, failed = False, [from_failed_run(name, shown)]
            chosen = await read_examples(msgspec.to_builtins((*(one for one in chosen if one != shown), shown)))
            if source is None:  # the very text of that run, under this name
                source, description, tags = ran.source, description or ran.description, [*ran.options.tags, *tags]
                if ran.is_unnamed:  # code that was run once: its text was written for these values
                    result = ... if shown.expect is msgspec.UNSET else shown.expect
                    source, typed = await anyio.to_thread.run_sync(with_types, source, shown.arguments, result)
        if source is None and examples is not None and (kept := await self._versions.last_kept(name)) is not None:
            source, description, tags = kept.source, description or kept.description, [*kept.options.tags, *tags]
        if source is None:
            raise _no_source()
        new = await self._checks.read(caller, name, source.removeprefix(BOM), description, "tool", tags)
        version = msgspec.structs.replace(new.version, approval=await self._store.approval(new.version.hash))
        if (held := await self._keep_unloaded(caller, version, chosen)) is not None:
            version, checked, refused = held
            if publish:
                raise refused
            return await self._answer(version, checked, [], status=refused.details["status"], needs=new.needs)
        version = await self._load(caller, free_to_import(version) if version.is_trusted else version, chosen)
        remarks = await self._checks.unfit_calls(caller, version, new.calls)
        if not version.is_trusted:
            remarks += tools_not_allowed(version, self._settings.untrusted_tools)
        version, remarks = _forced(version, remarks) if force else (version, remarks)
        checked, more = await self._check_examples(caller, version, chosen, remarks)
        remarks += [*more, *failed, *([] if chosen else [no_examples(publish)]), *types_from_values(typed)]
        if not publish:
            await self._store.keep_draft(version, By.of(caller), checked)
            status = await self._versions.status(caller, version)
            return await self._answer(version, checked, remarks, status=status, needs=new.needs)
        answer = await self._answer(version, checked, remarks, status="published", needs=new.needs)
        await self._publish_or_keep(caller, version, checked, remarks, replace=replace, force=force, answer=answer)
        return answer

    async def publish(
        self, caller: Caller, name: str, version: str | None = None, force: bool = False
    ) -> dict[str, Any]:
        """Let the name run this version: a draft, whose examples are run first, or one that was published before. Left out: the last draft,
        or that of a deleted workflow."""
        self._rules.check_authoring("create, publish or delete workflows")
        if path := self._catalog.file_of(name):
            raise Refused(f"{name!r} comes from the file {path}.", "Change that file instead.", code="from_a_file")
        found = await (
            self._versions.unpublished(caller, name) if version is None else self._versions.find(caller, name, version)
        )
        found = msgspec.structs.replace(found, origin="tool", root="", path=None)
        checked, remarks = await self._store.checked(found.hash), await self._checks.unfit_calls(caller, found)
        if not await self._rules.may_run(found):
            raise approval_required(found, checked)
        found = await self._checks.with_imports_checked(caller, found)
        if found.is_trusted:
            found = free_to_import(found)
        elif import_errors(found):
            raise await self._imports_refused(caller, found, checked)
        if await self._store.was_published(found.hash):
            found, remarks = _forced(found, remarks)
            answer = await self._answer(found, checked, remarks, status="published")
            await self._publish(caller, found, None, replace=True, force=force, answer=answer)
        else:
            found = found if found.is_loaded else await self._checks.load(caller, found)
            found, remarks = _forced(found, remarks) if force else (found, remarks)
            checked, more = await self._check_examples(caller, found, checked.examples, remarks)
            remarks += more
            answer = await self._answer(found, checked, remarks, status="published")
            await self._publish_or_keep(caller, found, checked, remarks, replace=True, force=force, answer=answer)
        return answer

    async def _load(self, caller: Caller, version: WorkflowVersion, examples: tuple[Example, ...]) -> WorkflowVersion:
        """Load it. One that only the interpreter may run, and cannot, is kept for approval."""
        try:
            return await self._checks.load(caller, version)
        except Refused as refused:
            if not await self._rules.waits_else(version):
                raise
            checked = Checked(examples=examples)
            await self._store.keep_draft(version, By.of(caller), checked)
            raise approval_required(version, checked, f"Without that: {refused.message}") from refused

    async def _answer(
        self,
        version: WorkflowVersion,
        checked: Checked,
        remarks: Sequence[Finding],
        *,
        status: str,
        needs: Needs | None = None,
    ) -> dict[str, Any]:
        isolation = await self._rules.isolation_of(version)
        return await version_answer(version, checked, remarks, status=status, isolation=isolation, needs=needs)

    async def delete(self, caller: Caller, name: str, force: bool = False) -> bool:
        """Delete a created workflow, or where none is published, the drafts of this name; runs and versions stay. False: there is none.

        Raises NotDeletable for a file's workflow, and Refused where other workflows call it.
        """
        self._rules.check_authoring("create, publish or delete workflows")
        if self._catalog.find_created(name) is None:
            version = self._library.view(caller).find(name)
            if version is not None:
                raise NotDeletable(
                    f"{name!r} comes from the file {version.path}.", "Remove or change that file instead."
                )
            return await self._store.delete_drafts(name, By.of(caller, answer=True))
        async with self._lock:
            if not force:
                await self._call_graph.check_not_called(name)
            return await self._catalog.unpublish(name, By.of(caller, answer=True))

    async def pin(self, caller: Caller, name: str) -> bool:
        """Always list it as a tool of its own, however many others there are. False: it was pinned already."""
        return await self._catalog.set_pinned(self._library.find(caller, name).name, True, By.of(caller))

    async def unpin(self, caller: Caller, name: str) -> bool:
        """False: it was not pinned."""
        known = self._library.view(caller).find(name)
        return await self._catalog.set_pinned(known.name if known else name, False, By.of(caller))

    async def _check_examples(
        self, caller: Caller, version: WorkflowVersion, examples: tuple[Example, ...], remarks: Sequence[Finding]
    ) -> tuple[Checked, list[Finding]]:
        """Run the examples, unless an error says that the version cannot work."""
        if stopping([*version.findings, *remarks]):
            return Checked(examples=examples), []
        return await self._examples.check(caller, version, examples)

    async def _publish_or_keep(
        self,
        caller: Caller,
        version: WorkflowVersion,
        checked: Checked,
        remarks: Sequence[Finding],
        *,
        replace: bool,
        force: bool,
        answer: dict[str, Any],
    ) -> None:
        """Publish it, or keep it as a draft and raise Refused, where it cannot work, or its examples or its callers do not allow it."""
        try:
            if stopping(findings := [*version.findings, *remarks]):
                raise cannot_work(version, findings, await self._consequence_of_failure(version))
            if not checked.holds:
                raise examples_failed(version, checked, await self._consequence_of_failure(version))
            if self._settings.publish_requires == "examples" and not checked.examples:
                raise Refused("This server publishes only workflows with examples.", ADD_EXAMPLES, code="no_examples")
            await self._publish(caller, version, checked, replace=replace, force=force, answer=answer)
        except Refused as error:
            await self._store.keep_draft(version, By.of(caller), checked)
            error.details = {
                "status": await self._versions.status(caller, version),
                "version": version.short,
                "examples": checked.summary(),
                "findings": public_findings([*checked.problems, *version.findings]),
                **error.details,
            }
            raise

    async def _publish(
        self,
        caller: Caller,
        version: WorkflowVersion,
        checked: Checked | None,
        *,
        replace: bool,
        force: bool,
        answer: dict[str, Any],
    ) -> None:
        """`answer`: the answer of this call, stored for a body that publishes. It gets the callers that were checked."""
        async with self._lock:
            self._check_name(version.name, replace)  # another call may have taken it meanwhile
            if (before := self._catalog.find_created(version.name)) is not None:
                answer |= await self._check_callers(caller, before, version, force)
            await self._catalog.publish(version, By.of(caller, answer), checked)

    async def _check_callers(
        self, caller: Caller, before: WorkflowVersion, after: WorkflowVersion, force: bool
    ) -> dict[str, Any]:
        """For the answer: the callers whose arguments fit, or, with `force`, those that it breaks. Raises Refused without it."""
        try:
            callers = await self._call_graph.check_callers_fit(before, after)
        except Refused as refused:
            if not force:
                raise
            return {"callers_broken": refused.details["called_by"], "message": f"{refused.message} Change them now."}
        seen = sorted({one.name for one in callers if one.hash in self._library.view(caller).by_hash})
        if not seen:
            return {}
        said = "The arguments of their calls were compared with the new parameters, and fit. What they do with the result was not."
        return {"callers_checked": seen, "message": said}

    async def _consequence_of_failure(self, version: WorkflowVersion) -> str:
        if await self._store.was_published(version.hash):
            return "This text was published before, and keeps the examples that it had then."
        if self._catalog.find_created(version.name) is not None:
            return "What is published stays as it is, and this is kept as a draft."
        return "It is kept as a draft."

    async def _keep_unloaded(
        self, caller: Caller, version: WorkflowVersion, examples: tuple[Example, ...]
    ) -> tuple[WorkflowVersion, Checked, Refused] | None:
        """Keep a version as a draft without running it, and give the reason: it waits for approval, or imports what only an approved version
        may. None: there is no reason. Raises Refused for imports that no approval helps."""
        waits = not await self._rules.may_run(version)
        errors = [] if waits or version.is_trusted else import_errors(version)
        if not waits and not errors:
            return None
        if any(one.rule != "import_not_allowed" for one in errors):
            raise imports_refused(version)
        version = free_to_import(version) if waits else version
        before = await self._store.checked(version.hash)
        checked = before if waits and before.examples else Checked(examples=examples)  # a person may have read them
        await self._store.keep_draft(version, By.of(caller), checked)
        if waits:
            return version, checked, approval_required(version, checked)
        return version, checked, await self._imports_refused(caller, version, checked)

    async def _imports_refused(self, caller: Caller, version: WorkflowVersion, checked: Checked) -> Refused:
        return imports_refused(version, checked, await self._versions.status(caller, version))

    def _check_name(self, name: str, replace: bool) -> None:
        if problem := name_problem(name):
            raise Refused(problem, "Choose another name.", code="bad_name")
        if path := self._catalog.file_of(name):
            raise Refused(f"The name {name!r} belongs to the file {path}.", "Choose another name.", code="name_taken")
        if self._catalog.find_created(name) is not None and not replace:
            raise Refused(
                f"A workflow {name!r} exists already.",
                "Choose another name, or create it again with replace=true.",
                code="name_taken",
            )


def _no_source() -> BadArguments:
    return BadArguments(
        "`source`: missing.",
        "Give the module's Python source, or from_run with the run whose source it is. Only `examples` is enough where the name "
        "has a version: they replace its examples, or with keep_examples=true they are added.",
    )


def _forced(version: WorkflowVersion, remarks: Sequence[Finding]) -> tuple[WorkflowVersion, list[Finding]]:
    """The version and the remarks on it, for publishing although an error says that it cannot work."""
    return msgspec.structs.replace(version, findings=tuple(as_warnings(version.findings))), as_warnings(remarks)
