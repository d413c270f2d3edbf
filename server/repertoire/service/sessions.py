"""Sessions: lists a caller's sessions, and resolves the session that a call means to its id; used by `Runs` and the surfaces.

Not a session's state: the engine loads and stores that.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any, Final

import msgspec

from ..errors import UnknownSession
from ..model.run import iso
from ..model.session import Caller, Session
from ..names import new_session_id
from ..settings import Limits
from ..store import Store

_MAX_NAMED: Final = 10_000
"""Ids of named sessions that are remembered without asking the store."""


class Sessions:
    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._named: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def list_sessions(self, caller: Caller) -> list[dict[str, Any]]:
        rows = await self._store.sessions(caller.principal)
        return [_row(session, workflows) for session, workflows in rows]

    async def resolve(self, caller: Caller, session_id: str | None) -> str:
        """The id of the caller's session. None: the caller's default session; "new": a fresh one. Raises UnknownSession."""
        if session_id is None and caller.session_name is not None:
            return await self._id_of_name(caller.principal, caller.session_name)
        if session_id is None or session_id == "new":
            return new_session_id()
        session = await self._store.session(session_id)
        if session is None or session.principal != caller.principal:
            raise UnknownSession(
                f"There is no session {session_id[:100]!r}.", 'Leave session_id out, or give "new" for a fresh one.'
            )
        if time.time() - session.used_at > self._limits.session_ttl_s:
            raise UnknownSession(f"The session {session_id!r} has expired.", 'Give "new" for a fresh one.')
        return session.id

    async def _id_of_name(self, principal: str, name: str) -> str:
        known = self._named.get((principal, name))
        if known is None:
            known = (await self._store.named_session(principal, name)).id
            self._named[principal, name] = known
            if len(self._named) > _MAX_NAMED:
                self._named.popitem(last=False)
        return known


def _row(session: Session, workflows: list[str]) -> dict[str, Any]:
    row = msgspec.to_builtins(session)
    return {"session_id": row["id"], "name": row["name"], "workflows_with_state": workflows} | {
        "created_at": iso(session.created_at),
        "used_at": iso(session.used_at),
    }
