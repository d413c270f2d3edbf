"""CallGraph: tells which published workflows call which, read off their sources; used before a publish or a delete and by `Versions`.

It sees calls by a literal name. A name that is only known at run time is not seen.
"""

from __future__ import annotations

from typing import Final

import anyio.to_thread

from ..errors import Refused
from ..limits import Limits
from ..model.workflow_version import WorkflowVersion
from ..registry.caller_view import View
from ..registry.catalog import Catalog
from ..registry.review import ChangeProblem, Reference, References, change_problem, references
from ..registry.source import parse

_MOST_CALLERS: Final = 10
_MOST_PROBLEMS: Final = 5


class CallGraph:
    def __init__(self, catalog: Catalog, limits: Limits) -> None:
        self._catalog = catalog
        self._limits = limits

    async def calls_of(self, version: WorkflowVersion) -> References:
        """Calls in the version's source, which is parsed in a thread."""
        return await anyio.to_thread.run_sync(self._references, version)

    async def callers_of(self, name: str) -> list[tuple[WorkflowVersion, Reference]]:
        """Published workflows that call this one by its name, each with the call.

        A source that creates the workflow itself does not depend on the published one, so it is left out.
        """
        mentioning = [one for one in self._catalog.everything() if name in one.source and one.name != name]

        def look() -> list[tuple[WorkflowVersion, Reference]]:
            read = [(one, self._references(one)) for one in mentioning]
            return [
                (one, call) for one, all in read for call in all.workflows if call.name == name and name not in all.own
            ]

        return await anyio.to_thread.run_sync(look)

    async def visible_callers(self, view: View, name: str) -> list[str]:
        """Names of the callers in this view. Files in other hosts' folders are private to those hosts."""
        return sorted({one.name for one, _ in await self.callers_of(name) if one.hash in view.by_hash})

    async def check_not_called(self, name: str) -> None:
        """Raises Refused where another workflow calls this one."""
        if callers := sorted({one.name for one, _ in await self.callers_of(name)}):
            raise Refused(
                f"{name!r} is called by {', '.join(callers[:_MOST_CALLERS])}.",
                "Change those first, or delete it with force=true.",
                code="in_use",
                details={"called_by": callers},
            )

    async def check_callers_fit(self, before: WorkflowVersion, after: WorkflowVersion) -> list[WorkflowVersion]:
        """The callers of `before`, if `after` takes other arguments. Raises Refused where one of them calls in a way that `after` does
        not take."""
        if before.input_schema == after.input_schema:
            return []
        callers = await self.callers_of(after.name)
        problems = [
            (caller, problem)
            for caller, call in callers
            if (problem := change_problem(before.input_schema, after.input_schema, call))
        ]
        if problems:
            raise _in_use(after.name, problems)
        return [caller for caller, _ in callers]

    def _references(self, version: WorkflowVersion) -> References:
        return references(parse(version.source, self._limits.max_source_bytes))


def _in_use(name: str, problems: list[tuple[WorkflowVersion, ChangeProblem]]) -> Refused:
    """The refusal, with what is certain. If nothing is, it says that the sources do not tell."""
    certain = [one for one in problems if one[1].is_certain]
    told = certain or problems
    shown = "; ".join(f"{caller.name}: {one.text.rstrip('.')}" for caller, one in told[:_MOST_PROBLEMS])
    if certain:
        message = f"Other workflows call {name!r} and could not any more: {shown}."
        hint = "Change those workflows first and then publish this. Or keep its parameters (a new one needs a default), or use force=true."
    else:
        message = f"Other workflows call {name!r}, and their sources do not tell if they still could: {shown}."
        hint = "If those values fit, use force=true. Otherwise keep the type, or change those workflows first."
    if files := sorted({caller.path for caller, _ in told if caller.path is not None}):
        hint += f" Files are changed by hand: {', '.join(files[:_MOST_PROBLEMS])}."
    details = {"called_by": sorted({caller.name for caller, _ in told})}
    return Refused(message, hint, code="in_use", details=details)
