"""AuditLog: reads the log of who did what, for the operator; used by the command line.

The log is the operator's, not a caller's own: it has the lines of every principal. So no MCP tool reads it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, get_args

import anyio

from ..errors import BadArguments
from ..model.audit_line import Action
from ..model.moments import read_moment
from ..store import Store
from ..store.audit import AuditFilter

_MAX_PAGE: Final = 1_000
"""Lines of one answer: a third of a megabyte."""
_LOOK_AGAIN_S: Final = 0.5


class AuditLog:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, before: int | None = None, limit: int = 50, **filters: Any) -> dict[str, Any]:
        """{lines, next_before}, newest first. `before`: only lines with lower numbers. Filters: since (ISO 8601), workflow, who, action."""
        limit = max(1, min(limit, _MAX_PAGE))
        found = await self._store.audit(_filter(**filters), before=before, limit=limit)
        more = found[-1].n if len(found) == limit else None
        return {"lines": [line.public() for line in found], "next_before": more}

    async def follow(self, after: int, **filters: Any) -> AsyncIterator[dict[str, Any]]:
        """The lines with numbers above `after`, and then each new one. It never ends."""
        wanted = _filter(**filters)
        while True:
            for line in await self._store.audit_after(after, wanted):
                yield line.public()
                after = line.n
            await anyio.sleep(_LOOK_AGAIN_S)

    async def last(self) -> int:
        """The number of the newest line."""
        return await self._store.last_audit()


def _filter(
    since: str | None = None, workflow: str | None = None, who: str | None = None, action: str | None = None
) -> AuditFilter:
    if action is not None and action not in get_args(Action):
        raise BadArguments(f"There is no action {action[:60]!r}.", f"Actions are {', '.join(get_args(Action))}.")
    moment = None if since is None else read_moment("since", since)
    return AuditFilter(since=moment, workflow=workflow, who=who, action=action)
