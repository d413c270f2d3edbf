"""Verbs that show a workflow whole: a version's text, what checked it, whence it came, what it calls and what calls it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

import anyio.to_thread
import msgspec

from ..errors import BadArguments, UnknownWorkflow
from ..model.run import iso
from ..model.session import Caller
from ..model.workflow import NAME, WorkflowVersion
from ..registry.review import Reference, References, references
from ..registry.source import parse
from ..registry.subprocess_check import LOOK_S, TooLong, apart
from ..store.publications import Publication
from .pre_publish_checks import Checking


class Versions(Checking):
    async def get(
        self, caller: Caller, name: str, version: str | None = None, diff: str | None = None
    ) -> dict[str, Any]:
        """Everything about one workflow, its source included; `version`: of another text that the name had, published or not.

        `diff`: another version, to which the answer's `diff` leads from. `versions` are all that the name ever had and `history` what
        became of them, newest first.
        """
        shown = await (self._shown(caller, name) if version is None else self._version_of(caller, name, version))
        history = await self._store.history(shown.name)
        checked = await self._store.checked(shown.hash)
        versions = await self._store.versions_of(shown.name)
        statuses = await self._statuses(caller, [shown, *versions])
        calls = await anyio.to_thread.run_sync(self._references, shown)
        answer = {
            **self._item(shown),
            "input_schema": shown.input_schema,
            "output_schema": shown.output_schema,
            "options": msgspec.to_builtins(shown.options),
            "file": shown.path,
            "status": statuses[0],
            "findings": [finding.public() for finding in (*shown.findings, *checked.problems)],
            "examples": [msgspec.to_builtins(example) for example in checked.examples],
            "checked": {**checked.summary(), "at": iso(checked.at or None)},
            "calls": {
                "workflows": [one.name for one in calls.workflows],
                "tools": list(calls.tools),
                "others": calls.dynamic,
            },
            "called_by": sorted(await self._seen_callers(caller, shown.name)),
            "versions": [
                {"version": one.short, "created_at": iso(one.created_at), "status": status}
                for one, status in zip(versions, statuses[1:], strict=True)
            ],
            "history": [_line(line) for line in history],
            "source": shown.source,
        }
        if diff is not None:
            before = await self._version_of(caller, name, diff)
            try:
                answer["diff"] = await apart(_diff, before.source, shown.source, before.short, shown.short)
            except TooLong:
                answer["diff"] = f"The two texts are too different to be compared: it took more than {LOOK_S} s."
        return answer

    async def drafts(self) -> list[dict[str, Any]]:
        """Versions that were kept and never published, newest first."""
        found = await self._store.drafts()
        return [
            {
                "name": one.name,
                "version": one.short,
                "at": iso(at),
                "description": one.description,
                "loaded": one.is_loaded,
            }
            for one, at in found
        ]

    async def _shown(self, caller: Caller, name: str) -> WorkflowVersion:
        """The published version; where there is none, what was last done under the name: that can be published."""
        try:
            return self.find(caller, name)
        except UnknownWorkflow:
            history = await self._store.history(name) if NAME.fullmatch(name) else []
            version = await self._store.version(history[0].hash) if history else None
            if version is None:
                raise
            return version

    async def _version_of(self, caller: Caller, name: str, prefix: str) -> WorkflowVersion:
        """Raises UnknownWorkflow where the name never had that version."""
        current = self.view(caller).find(name)
        known = current.name if current is not None else name
        asked = NAME.fullmatch(known) and re.fullmatch("[0-9a-f]{1,64}", prefix)
        ours = await self._store.versions_like(known, prefix) if asked else []
        if len(ours) > 1:
            raise BadArguments(f"Several versions of {known!r} begin with {prefix!r}.", "Give more of its digits.")
        if not ours:
            raise UnknownWorkflow(
                f"There is no version {prefix[:64]!r} of {name[:100]!r}.", "`versions` of get_workflow lists them."
            )
        if current is not None and current.hash == ours[0].hash:
            return current
        return ours[0]

    async def _status(self, caller: Caller, version: WorkflowVersion) -> str:
        return (await self._statuses(caller, [version]))[0]

    async def _statuses(self, caller: Caller, versions: Sequence[WorkflowVersion]) -> list[str]:
        """Of versions of one name. published: it is what the name runs now. former: it was, or its file is gone. draft: it never was."""
        name = versions[0].name
        current, ever = self.view(caller).find(name), await self._store.ever_published(name)

        def status(version: WorkflowVersion) -> str:
            if current is not None and current.hash == version.hash:
                return "published"
            return "former" if version.origin == "operator" or version.hash in ever else "draft"

        return [status(version) for version in versions]

    def _references(self, version: WorkflowVersion) -> References:
        return references(parse(version.source, self._limits.max_source_bytes))

    async def _seen_callers(self, caller: Caller, name: str) -> set[str]:
        """Those that the caller sees: files of other hosts' folders are nobody else's business."""
        seen = self.view(caller).by_hash
        return {one.name for one, _ in await self._callers(name) if one.hash in seen}

    async def _callers(self, name: str) -> list[tuple[WorkflowVersion, Reference]]:
        """Published workflows whose source calls this one by its name, and how. What is named at run time only is not seen, and one that
        creates it itself does not depend on what is there."""
        mentioning = [one for one in self._catalog.everything() if name in one.source and one.name != name]

        def look() -> list[tuple[WorkflowVersion, Reference]]:
            read = [(one, self._references(one)) for one in mentioning]
            return [
                (one, call) for one, all in read for call in all.workflows if call.name == name and name not in all.own
            ]

        return await anyio.to_thread.run_sync(look)


def _line(line: Publication) -> dict[str, Any]:
    return {
        "version": line.hash[:12], "action": line.action, "at": iso(line.at), "principal": line.principal, "client": line.client,
        "from_version": line.based_on and line.based_on[:12],
    }  # fmt: skip


def _diff(before: str, after: str, name_before: str, name_after: str) -> str:
    return "\n".join(
        difflib.unified_diff(before.splitlines(), after.splitlines(), name_before, name_after, lineterm="")
    )
