"""Library: searches, lists and finds published workflows; used by the surfaces, by bodies and by the other parts of the service.

It reads the catalog. `Publishing` changes it, and `Versions` shows one workflow with its source and its past.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

from ..errors import UnknownWorkflow
from ..limits import Limits
from ..model.moments import read_moment
from ..model.run import iso
from ..model.session import Caller
from ..model.workflow_version import NAME, Finding, WorkflowVersion
from ..registry.caller_view import View
from ..registry.catalog import Catalog
from ..registry.listing import choose_listed
from ..registry.review import Draft
from ..registry.search import Finder, SearchMatch
from ..store import Store
from ..store.publications import Maker, Publication
from .unknown_workflow import deleted_workflow, only_a_draft, unknown_workflow

Listed = Literal["published", "draft", "deleted"]

_BRIEF_LOOK_S: Final = 2.0
"""A search waits this long for the first reading of the caller's folders."""
_OTHERWISE: Final = (
    "If Python can do it here, publish a workflow with create_workflow. Otherwise tell the user that there is none."
)
_NEAREST_HINT: Final = (
    f"Nothing surely fits, and those in `nearest` probably do not: get_workflow(name) shows one. {_OTHERWISE}"
)
_EMPTY_HINT: Final = f"Nothing fits. {_OTHERWISE}"


class Library:
    def __init__(self, store: Store, catalog: Catalog, finder: Finder, limits: Limits) -> None:
        self._store = store
        self._catalog = catalog
        self._finder = finder
        self._limits = limits
        self._listed: dict[tuple[str, ...], tuple[int, list[WorkflowVersion]]] = {}

    def view(self, caller: Caller) -> View:
        return self._catalog.view(caller.roots)

    def on_change(self, listener: Callable[[], Awaitable[None]]) -> None:
        """Call `listener()` whenever the set of workflows has changed."""
        self._catalog.on_change(listener)

    async def refresh(self, caller: Caller) -> None:
        """Read changed files now. A command may follow right after its file was written, and must see it."""
        await self._catalog.rescan(caller.roots)

    async def wait_until_settled(self, caller: Caller, seconds: float = 5.0) -> None:
        """Wait until the caller's folders have been read once, for at most `seconds`."""
        await self._catalog.wait_until_settled(caller.roots, seconds)

    async def listed_tools(self, caller: Caller, fixed: int) -> list[WorkflowVersion]:
        """Workflows that tools/list shows besides the `fixed` tools. The list changes only when the catalog does."""
        known = self._listed.get(caller.roots)
        if known is None or known[0] != self._catalog.generation:
            generation, view = self._catalog.generation, self.view(caller)
            places = max(self._limits.max_listed_tools - fixed, 0)
            usage = await self._store.usage() if len(view.names) > places else {}
            names = choose_listed(view, places, self._catalog.pins, self._catalog.newest(), usage)
            known = self._listed[caller.roots] = (generation, [view.names[name] for name in names])
        return known[1]

    async def count_unlisted(self, caller: Caller, listed: Sequence[WorkflowVersion]) -> int | None:
        """How many workflows the `listed` ones leave out. None: the caller's folders have not been read yet, so nobody knows."""
        is_settled = await self._catalog.wait_until_settled(caller.roots, 0)
        return max(len(self.view(caller).names) - len(listed), 0) if is_settled else None

    async def search(
        self,
        caller: Caller,
        query: str,
        limit: int = 5,
        tags: Sequence[str] | None = None,
        include_source: bool = False,
        *,
        wait_s: float | None = None,
    ) -> dict[str, Any]:
        """Best matches of the query among the workflows with all `tags`; if nothing fits, the nearest, in `nearest`.

        `ranking` is "semantic" only if the encoder gave every score. `wait_s`: how long to wait for an encoder that is starting or
        indexing. After that words decide about what is not indexed.
        """
        await self.wait_until_settled(caller, _BRIEF_LOOK_S)  # a server that has just started would find nothing
        view = self.view(caller)
        limit = max(1, min(limit, 100))
        found = await self._finder.find(caller.roots, view, query, limit, tuple(tags or ()), wait_s=wait_s)
        matches = [_match(view.names[one.name], one, include_source) for one in found.matches]
        answer: dict[str, Any] = {"matches": matches, "ranking": found.ranking}
        if not matches:
            answer["nearest"] = [
                {"name": one.name, "description": view.names[one.name].description} for one in found.nearest
            ]
            answer["hint"] = _NEAREST_HINT if found.nearest else _EMPTY_HINT
        if found.note:
            answer["note"] = found.note
        return answer

    @property
    def indexing(self) -> tuple[int, int] | None:
        """Progress of the encoder, as (workflows indexed, workflows new); None while it has nothing to index."""
        return index.progress if (index := self._finder.embedding_index) is not None else None

    @property
    def encoder_status(self) -> str:
        """Whether search is by meaning now, for `repertoire status`."""
        index = self._finder.embedding_index
        if index is None:
            return "off: search is by words"
        if index.pid is None:
            return index.trouble or "not running: the next search starts it"
        if index.progress is not None and index.progress[0] < index.progress[1]:
            return f"pid {index.pid}, {index.progress[0]} of {index.progress[1]} workflows are indexed"
        return f"pid {index.pid}, search is by meaning"

    async def list_workflows(
        self,
        caller: Caller,
        cursor: str | None = None,
        limit: int = 50,
        created_by: str | None = None,
        since: str | None = None,
        tags: Sequence[str] | None = None,
        status: Listed = "published",
    ) -> dict[str, Any]:
        """A page of all workflows in alphabetical order; `cursor` is the last name of the page before. Drafts and deleted ones come
        newest first, on one page.

        `created_by`: "me" for the caller's client, or a part of a client's name: whoever created it, or published its last version.
        `since`: published (kept, deleted) at or after it.
        """
        limit = max(1, min(limit, 1000))
        fits = Filter.of(caller, created_by, since, tags)
        if status != "published":
            found = await self._store.unpublished(status)
            lines = [one for one in found if fits(one[0], [Maker(one[1].principal, one[1].client)], one[1].at)]
            return {"workflows": [self._line(*one) for one in lines[:limit]], "broken": [], "next_cursor": None}
        names = self.view(caller).names
        rest = [one for name, one in names.items() if (cursor is None or name > cursor) and fits(one, *self._made(one))]
        page = rest[:limit]
        return {
            "workflows": [self.item(version) for version in page],
            "broken": [] if cursor or fits.is_given else self.list_broken(caller),
            "next_cursor": page[-1].name if len(rest) > limit else None,
        }

    def _made(self, version: WorkflowVersion) -> tuple[list[Maker], float]:
        """Who created and who changed it, nobody for a file; and when it was published, or its file read first."""
        if version.path is not None:
            return [], version.created_at
        made = self._catalog.made(version.name)
        return [made.creator, made.changer], made.changed_at

    def _line(self, version: WorkflowVersion, line: Publication) -> dict[str, Any]:
        """A version that its name does not run, with who kept it as a draft, or deleted the name."""
        by, at = ("deleted_by", "deleted_at") if line.action == "deleted" else ("created_by", "created_at")
        return {**_item(version), "status": line.action, by: line.client or line.principal, at: iso(line.at)}

    def list_broken(self, caller: Caller) -> list[dict[str, Any]]:
        """Files of the caller's folders that are not published, with their findings."""
        return [_broken(file.path, file.findings) for file in self.view(caller).broken]

    def item(self, version: WorkflowVersion) -> dict[str, Any]:
        """A published version as lists show it."""
        item = {**_item(version), "pinned": version.name in self._catalog.pins}
        if version.path is not None or not (made := self._catalog.made(version.name)).changed_at:
            return item
        item |= {"created_by": made.creator.shown, "created_at": iso(made.created_at)}
        if made.changer.shown != made.creator.shown:
            item["changed_by"] = made.changer.shown
        return item if made.changed_at == made.created_at else {**item, "changed_at": iso(made.changed_at)}

    def all_names(self) -> frozenset[str]:
        """Names of all published workflows, also of those that only other callers see."""
        return frozenset(one.name for one in self._catalog.everything())

    async def awaited_drafts(self) -> dict[str, Draft]:
        """The newest draft of each name that was kept after the published version."""
        found = [
            one for one, at in reversed(await self._store.drafts()) if at > self._catalog.made(one.name).changed_at
        ]
        return {one.name: Draft(one.short, one.input_schema) for one in found}

    def find(self, caller: Caller, name: str) -> WorkflowVersion:
        """Raises UnknownWorkflow, with close names or with the problem of the file that has this name."""
        view = self.view(caller)
        version = view.find(name)
        if version is None:
            raise unknown_workflow(name, view)
        return version

    async def find_or_explain(self, caller: Caller, name: str) -> WorkflowVersion:
        """As `find`. The error says that the name has only a draft, or who deleted the workflow."""
        try:
            return self.find(caller, name)
        except UnknownWorkflow as unknown:
            if (draft := await self._last_draft(name)) is not None:
                raise only_a_draft(draft, await self._store.checked(draft.hash)) from unknown
            if (deletion := await self.deletion(name)) is not None:
                raise deleted_workflow(name, deletion) from unknown
            raise

    async def _last_draft(self, name: str) -> WorkflowVersion | None:
        """The draft that was the last thing kept under the name. None: it was deleted or published since, or there was none."""
        history = await self._store.history(name) if NAME.fullmatch(name) else []
        return await self._store.version(history[0].hash) if history and history[0].action == "draft" else None

    async def deletion(self, name: str) -> Publication | None:
        """Who deleted the created workflow of this name, and when. None: nobody, or its text is gone by now."""
        line = await self._store.deletion(name) if NAME.fullmatch(name) else None
        return line if line is not None and await self._store.version(line.hash) is not None else None

    async def find_or_wait(self, caller: Caller, name: str) -> WorkflowVersion:
        """As `find`. An unknown name waits first until the caller's folders have been read."""
        if self.view(caller).find(name) is None:
            await self.wait_until_settled(caller, self._limits.inspect_timeout_s)
        return await self.find_or_explain(caller, name)


class Filter(NamedTuple):
    """The filters of a list of workflows, each None where it is not given."""

    caller: Caller
    created_by: str | None
    since: float | None
    tags: frozenset[str]

    @classmethod
    def of(cls, caller: Caller, created_by: str | None, since: str | None, tags: Sequence[str] | None) -> Filter:
        return cls(caller, created_by, None if since is None else read_moment("since", since), frozenset(tags or ()))

    @property
    def is_given(self) -> bool:
        return self.created_by is not None or self.since is not None or bool(self.tags)

    def __call__(self, version: WorkflowVersion, makers: Iterable[Maker], at: float) -> bool:
        if self.since is not None and at < self.since:
            return False
        return self.tags.issubset(version.options.tags) and (self.created_by is None or any(map(self._is_by, makers)))

    def _is_by(self, maker: Maker) -> bool:
        """Whether its client is the caller's own, in any version of that program, or has the given text in its name."""
        if self.created_by is None:
            return False
        if self.created_by != "me":
            return self.created_by.lower() in maker.client.lower()
        return maker.principal == self.caller.principal and _program(maker.client) == _program(self.caller.client)


def _program(client: str) -> str:
    """The client's name without its version."""
    return client.rpartition(" ")[0] or client


def _item(version: WorkflowVersion) -> dict[str, Any]:
    item: dict[str, Any] = {"name": version.name}
    if version.options.title is not None:
        item["title"] = version.options.title
    return item | {
        "description": version.description,
        "version": version.short,
        "origin": version.origin,
        "trust": version.trust,
        **({"approved": version.approval.public()} if version.trust == "approved" and version.approval else {}),
        "tags": list(version.options.tags),
    }


def _match(version: WorkflowVersion, found: SearchMatch, include_source: bool) -> dict[str, Any]:
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
