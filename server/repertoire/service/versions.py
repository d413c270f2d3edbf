"""Versions: shows a workflow whole, with its source, checks, calls, callers, versions and history; used by the surfaces.

It also finds a version by the first digits of its hash, for `Publishing`. Not search or lists of workflows: those are in `Library`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import anyio.to_thread
import msgspec

from ..errors import BadArguments, UnknownWorkflow
from ..model.run import iso
from ..model.session import Caller
from ..model.workflow_version import NAME, WorkflowVersion
from ..names import RUN_CODE
from ..registry.needs import needs_of
from ..registry.subprocess_check import CHECK_S, TooLong, run_in_subprocess
from ..registry.used_tools import tools_of
from ..store import Store
from ..store.publications import Publication
from .call_graph import CallGraph
from .library import Library


class Versions:
    def __init__(self, store: Store, library: Library, call_graph: CallGraph) -> None:
        self._store = store
        self._library = library
        self._call_graph = call_graph

    async def get(
        self, caller: Caller, name: str, version: str | None = None, diff: str | None = None
    ) -> dict[str, Any]:
        """Everything about one workflow, its source included.

        `version`: another version that the name had, published or not. `diff`: a version to compare with; the answer's `diff` leads
        from it to the shown one. `versions` are all that the name ever had, `history` its publications; both newest first.
        """
        shown = await (self._current(caller, name) if version is None else self.find(caller, name, version))
        history = await self._store.history(shown.name)
        checked = await self._store.checked(shown.hash)
        versions = await self._store.versions_of(shown.name)
        statuses = await self._statuses(caller, [shown, *versions])
        calls = await self._call_graph.calls_of(shown)
        answer = {
            **self._library.item(shown),
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
                "tools": list(await anyio.to_thread.run_sync(tools_of, shown)),
                "others": calls.dynamic,
            },
            "needs": (await anyio.to_thread.run_sync(needs_of, shown)).public(),
            "called_by": await self._call_graph.visible_callers(self._library.view(caller), shown.name),
            "versions": [
                {"version": one.short, "created_at": iso(one.created_at), "status": status, "trust": one.trust}
                for one, status in zip(versions, statuses[1:], strict=True)
            ],
            "history": [_history_line(line) for line in history],
            "source": shown.source,
        }
        if diff is not None:
            before = await self.find(caller, name, diff)
            try:
                answer["diff"] = await run_in_subprocess(_diff, before.source, shown.source, before.short, shown.short)
            except TooLong:
                answer["diff"] = f"The two texts are too different to be compared: it took more than {CHECK_S} s."
        return answer

    async def find(self, caller: Caller, name: str, prefix: str) -> WorkflowVersion:
        """The one version of the name whose hash begins with `prefix`. Raises UnknownWorkflow, or BadArguments for several."""
        current = self._library.view(caller).find(name)
        known = current.name if current is not None else name
        asked = NAME.fullmatch(known) and known != RUN_CODE and re.fullmatch("[0-9a-f]{1,64}", prefix)
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

    async def unpublished(self, caller: Caller, name: str) -> WorkflowVersion:
        """The version that a name would get next: its last draft, or that of its deletion. Raises UnknownWorkflow, or BadArguments where
        it is not clear."""
        history = await self._store.history(name) if NAME.fullmatch(name) else []
        if not history:
            raise UnknownWorkflow(f"There is no version of {name[:100]!r}.", "list_workflows shows what there is.")
        gone = {line.hash for line in takewhile(lambda line: line.action == "deleted", history)}
        if history[0].action == "published" or len(gone) > 1:
            why = (
                f"{len(gone)} versions were deleted"
                if gone
                else f"it runs {history[0].hash[:12]}, and no draft is newer"
            )
            raise BadArguments(f"`version`: missing. Of {name!r} {why}.", "`versions` of get_workflow lists them.")
        return await self.find(caller, name, history[0].hash)

    async def last_kept(self, name: str) -> WorkflowVersion | None:
        """The version that the name got last, published or as a draft. None: it has none, or was deleted."""
        history = await self._store.history(name) if NAME.fullmatch(name) else []
        if not history or history[0].action == "deleted":
            return None
        return await self._store.version(history[0].hash)

    async def status(self, caller: Caller, version: WorkflowVersion) -> str:
        """`published`: the name runs this version now. `former`: it did once, or its file is gone. `draft`: it never did."""
        return (await self._statuses(caller, [version]))[0]

    async def _current(self, caller: Caller, name: str) -> WorkflowVersion:
        """The published version of the name. Without one, the version of its last publication or draft: it can be published again."""
        try:
            return self._library.find(caller, name)
        except UnknownWorkflow:
            history = await self._store.history(name) if NAME.fullmatch(name) else []
            version = await self._store.version(history[0].hash) if history else None
            if version is None:
                raise
            return version

    async def _statuses(self, caller: Caller, versions: Sequence[WorkflowVersion]) -> list[str]:
        """`status` of several versions of one name."""
        name = versions[0].name
        current, ever = self._library.view(caller).find(name), await self._store.ever_published(name)

        def status(version: WorkflowVersion) -> str:
            if current is not None and current.hash == version.hash:
                return "published"
            return "former" if version.origin == "operator" or version.hash in ever else "draft"

        return [status(version) for version in versions]


def _history_line(line: Publication) -> dict[str, Any]:
    return {
        "version": line.hash[:12],
        "action": line.action,
        "at": iso(line.at),
        "principal": line.principal,
        "client": line.client,
        "from_version": line.based_on and line.based_on[:12],
    }


def _diff(before: str, after: str, name_before: str, name_after: str) -> str:
    return "\n".join(
        difflib.unified_diff(before.splitlines(), after.splitlines(), name_before, name_after, lineterm="")
    )
