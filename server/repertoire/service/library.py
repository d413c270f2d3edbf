"""Verbs that read the registry: find, list and show workflows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import UnknownWorkflow
from ..model.session import Caller
from ..model.workflow import Finding, WorkflowVersion
from ..registry.caller_view import View
from ..registry.listing import listed
from ..registry.search import Match
from .parts import Parts, Verbs


class Library(Verbs):
    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._dropped = frozenset(parts.settings.dropped_arguments)
        self._listed: dict[tuple[str, ...], tuple[int, list[WorkflowVersion]]] = {}

    def view(self, caller: Caller) -> View:
        return self._catalog.view(caller.roots)

    def on_change(self, listener: Any) -> None:
        """Call `listener()` whenever the set of workflows has changed."""
        self._catalog.on_change(listener)

    @property
    def own_env(self) -> dict[str, str]:
        """For callers who have no environment of their own here, as over HTTP."""
        return self._settings.own_env()

    @property
    def dropped_arguments(self) -> frozenset[str]:
        """Names that hosts add to the arguments of a call."""
        return self._dropped

    @property
    def own_roots(self) -> tuple[str, ...]:
        """The folders that this process's own command line names: what HTTP callers see."""
        return self._settings.roots

    async def refresh(self, caller: Caller) -> None:
        """Read changed files now: a command line just written to expects to be obeyed."""
        await self._catalog.rescan(caller.roots)

    def has_settled(self, caller: Caller) -> bool:
        """Whether the caller's folders have been read once."""
        return self._catalog.has_settled(caller.roots)

    async def settled(self, caller: Caller, seconds: float = 5.0) -> None:
        """Wait until the caller's folders have been read once, or `seconds` are over."""
        await self._catalog.settled(caller.roots, seconds)

    async def listed(self, caller: Caller, fixed: int) -> list[WorkflowVersion]:
        """What tools/list shows besides the `fixed` tools. Changes only when the catalog does."""
        known = self._listed.get(caller.roots)
        if known is None or known[0] != self._catalog.generation:
            generation, view = self._catalog.generation, self.view(caller)
            places = max(self._limits.max_listed_tools - fixed, 0)
            usage = await self._store.usage() if len(view.names) > places else {}
            names = listed(view, places, self._catalog.pins, self._catalog.newest(), usage)
            known = self._listed[caller.roots] = (generation, [view.names[name] for name in names])
        return known[1]

    async def search(
        self, caller: Caller, query: str, limit: int = 5, tags: Sequence[str] | None = None, include_source: bool = False, *,
        wait_s: float | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """What fits the query, of the workflows with all `tags`. `ranking` is semantic only if the encoder gave every score.

        `wait_s`: how long to wait for an encoder that is starting or indexing, before words have to do.
        """
        view = self.view(caller)
        limit = max(1, min(limit, 100))
        found = await self._finder.find(caller.roots, view, query, limit, tuple(tags or ()), wait_s=wait_s)
        matches = [_match(view.names[one.name], one, include_source) for one in found.matches]
        answer: dict[str, Any] = {"matches": matches, "ranking": found.ranking}
        if found.note:
            answer["note"] = found.note
        if not matches:
            answer["hint"] = "Nothing fits. Try other words, or write the workflow and publish it with create_workflow."
        return answer

    @property
    def indexing(self) -> tuple[int, int] | None:
        """How many of how many new workflows the encoder has taken in, while it has any to do."""
        return self._finder.meaning.progress if self._finder.meaning is not None else None

    async def list_workflows(self, caller: Caller, cursor: str | None = None, limit: int = 50) -> dict[str, Any]:
        """A page of all workflows in alphabetical order; `cursor` is the last name of the page before."""
        view = self.view(caller)
        limit = max(1, min(limit, 1000))
        rest = [version for name, version in view.names.items() if cursor is None or name > cursor]
        page = rest[:limit]
        return {
            "workflows": [self._item(version) for version in page],
            "broken": [] if cursor else [_broken(file.path, file.findings) for file in view.broken],
            "next_cursor": page[-1].name if len(rest) > limit else None,
        }

    def _item(self, version: WorkflowVersion) -> dict[str, Any]:
        return {
            "name": version.name,
            "title": version.title,
            "description": version.description,
            "version": version.short,
            "origin": version.origin,
            "tags": list(version.options.tags),
            "pinned": version.name in self._catalog.pins,
        }

    async def found(self, caller: Caller, name: str) -> WorkflowVersion:
        """The same, but where the caller's folders are still being read, a name that is not known yet is waited for."""
        if self.view(caller).find(name) is None:
            await self.settled(caller, self._limits.inspect_timeout_s)
        return self.find(caller, name)

    def find(self, caller: Caller, name: str) -> WorkflowVersion:
        """Raises UnknownWorkflow, with close names, or with what is wrong with the file of that name."""
        view = self.view(caller)
        version = view.find(name)
        if version is None:
            raise _unknown(name, view)
        return version

    def broken(self, caller: Caller) -> list[dict[str, Any]]:
        return [_broken(file.path, file.findings) for file in self.view(caller).broken]


def _unknown(name: str, view: View) -> UnknownWorkflow:
    for file in view.broken:
        if file.name == name and file.findings:
            finding = file.findings[0]
            line = "" if finding.line is None else f", line {finding.line}"
            return UnknownWorkflow(
                f"The workflow {name!r} cannot be run: {file.path}{line}: {finding.message}",
                finding.hint or "Correct that file.",
            )
    close = view.close_to(name)
    hint = f"Did you mean {' or '.join(close)}?" if close else "search_workflows and list_workflows show what there is."
    return UnknownWorkflow(f"There is no workflow {name[:100]!r}.", hint)


def _match(version: WorkflowVersion, found: Match, include_source: bool) -> dict[str, Any]:
    match = {
        "name": version.name,
        "description": version.description,
        "score": found.score,
        "why": {"meaning": found.meaning, "words": list(found.words)},
        "input_schema": version.input_schema,
        "version": version.short,
    }
    return {**match, "source": version.source} if include_source else match


def _broken(path: str, findings: tuple[Finding, ...]) -> dict[str, Any]:
    return {"file": path, "findings": [finding.public() for finding in findings]}
