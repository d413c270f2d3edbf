"""Approvals: lists what waits for a person, shows a version with what it needs, approves it, takes an approval back; used by the command
line and by forms of MCP clients.

1. An approval is bound to the hash of the text that the person was shown. It says nothing of the next version.
2. Approving publishes: the name runs the approved version from then on. If its examples fail, it stays an approved draft.
3. No tool of a model leads here. `form` is called only when a client says that it shows forms to a person.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

import msgspec

from ..errors import BadArguments, Refused, UnknownWorkflow
from ..model.needs import Needs
from ..model.session import Caller
from ..model.workflow_version import NAME, Approval, Way, WorkflowVersion
from ..registry.catalog import Catalog
from ..store import Store
from ..store.audit import By
from ..text import escaped
from .library import Library
from .publishing import Publishing
from .trust import TrustRules
from .versions import Versions

_MOST: Final = 1000
_GAP: Final = re.compile(r"(?<=[^\s])[ \t]{40,}(?=[^\s])")
_FORM_CHARS: Final = 12_000
"""A longer source is not shown in a form: a person would approve what nobody has seen."""


class Approvals:
    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        library: Library,
        versions: Versions,
        publishing: Publishing,
        rules: TrustRules,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._library = library
        self._versions = versions
        self._publishing = publishing
        self._rules = rules

    async def waiting(self, caller: Caller) -> dict[str, Any]:
        """The versions that nobody has approved: the newest draft of each name, and the published ones."""
        listed = await self._library.list_workflows(caller, limit=_MOST, status="draft")
        drafts: dict[str, dict[str, Any]] = {}
        for one in listed["workflows"]:
            drafts.setdefault(one["name"], one)
        published = [self._library.item(one) for one in self._catalog.created() if not one.is_trusted]
        rows = [one for one in drafts.values() if one["trust"] == "untrusted"]
        return {
            "authoring": await self._rules.authoring(),
            "waiting": [*rows, *({**one, "status": "published"} for one in published)],
        }

    async def look(self, caller: Caller, name: str, version: str | None = None) -> dict[str, Any]:
        """Everything that a person needs to decide: the source, the difference to the published version, and what it needs. `hash` names
        exactly this text, and `text` shows it all to a person. Left out: the last draft, or else the published version."""
        found = await self._find(caller, name, version)
        published = self._catalog.find_created(found.name)
        before = published.short if published is not None and published.hash != found.hash else None
        shown = await self._versions.get(caller, found.name, found.hash, before)
        answer = {**shown, "hash": found.hash, "replaces": before}
        return {**answer, "text": _readable(answer)}

    async def approve(
        self, caller: Caller, name: str, version: str, way: Way = "command line", *, force: bool = False
    ) -> dict[str, Any]:
        """Trust this version, and let its name run it. Raises Refused where it cannot be published: its approval stays."""
        found = await self._find(caller, name, version)
        known = self._catalog.find_created(found.name)
        is_published = known is not None and known.hash == found.hash
        if not is_published:
            self._rules.check_authoring("publish workflows")
        approval = Approval(principal=caller.principal, client=caller.client, way=way, at=time.time())
        await self._catalog.approve(found, approval, By.of(caller))
        if is_published:
            return {"name": found.name, "version": found.short, "status": "published", "findings": []}
        try:
            return await self._publishing.publish(caller, found.name, found.hash, force)
        except Refused as refused:
            refused.message = f"{found.name} {found.short} is approved, but it is not published. {refused.message}"
            raise

    async def revoke(self, caller: Caller, name: str, version: str | None = None) -> dict[str, Any]:
        """Take an approval back: later runs of the version are untrusted again. Left out: the published version."""
        known = self._catalog.find_created(name)
        found = known if version is None and known is not None else await self._find(caller, name, version)
        revoked = await self._catalog.revoke(found, By.of(caller))
        return {"name": found.name, "version": found.short, "revoked": revoked}

    async def question(self, caller: Caller, name: str, version: str) -> tuple[str, str] | None:
        """The text of a form that asks a person to approve this version, and its hash. None: it is too long to be read in a form."""
        shown = await self.look(caller, name, version)
        return (shown["text"], shown["hash"]) if len(shown["text"]) <= _FORM_CHARS else None

    async def _find(self, caller: Caller, name: str, version: str | None) -> WorkflowVersion:
        if (path := self._catalog.file_of(name)) is not None:
            raise Refused(f"{name!r} comes from the file {path}: it is trusted already.", code="from_a_file")
        if version is not None:
            return await self._versions.find(caller, name, version)
        history = await self._store.history(name) if NAME.fullmatch(name) else []
        if not history:
            raise UnknownWorkflow(
                f"There is no version of {name[:100]!r}.", "`repertoire approve --list` shows what waits."
            )
        if history[0].action == "deleted":
            raise BadArguments(f"{name!r} was deleted.", "Give the version to bring it back with.")
        return await self._versions.find(caller, name, history[0].hash)


def _readable(shown: dict[str, Any]) -> str:
    """A version as a person reads it who decides about it. Nothing in it can pass for a line of ours, or stay unseen."""
    lines = [f"{shown['name']} {shown['version']}: {_in_one_line(shown['description'])}"]
    if made := [one for one in shown["history"] if one["version"] == shown["version"]]:
        lines.append(f"created by: {_in_one_line(made[-1]['client'] or made[-1]['principal'])}, {made[-1]['at']}")
    needs = map(_in_one_line, msgspec.convert(shown["needs"], Needs).sentences())
    lines += [f"needs {one}" if ": " in one else f"It {one}." for one in needs]
    if shown["calls"]["others"]:
        lines.append("It calls workflows or tools whose names are known only when it runs.")
    if shown["options"].get("callable_by_untrusted"):
        lines.append("It lets untrusted code call it (callable_by_untrusted).")
    if shown["examples"]:
        lines.append(f"examples: {len(shown['examples'])}, which run once it is approved")
    if shown.get("diff") is not None:
        lines += [f"changes to the published version {shown['replaces']}:", *_numbered(shown["diff"])]
    return escaped("\n".join([*lines, "source:", *_numbered(shown["source"])]))


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _numbered(text: str) -> list[str]:
    """Code far to the right of a line is not seen, so a long gap is written out."""
    gapless = _GAP.sub(lambda gap: f" [{len(gap[0])} blanks] ", text)
    return [f"{number:>5}  {line}" for number, line in enumerate(gapless.split("\n"), 1)]
