"""Sessions: lists, shows, changes and deletes a caller's sessions, and finds the one a call means; used by `Runs` and the surfaces.

Not a session's state: the engine loads and stores that.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from typing import Any, Final

import msgspec

from ..errors import BadArguments, UnknownSession
from ..limits import Limits
from ..model.run import iso
from ..model.session import Caller, Session, session_of_client
from ..names import new_session_id
from ..store import Store
from ..store.audit import By
from ..store.sessions import StateInUse

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

    async def show(self, caller: Caller, word: str) -> dict[str, Any]:
        """A session by its name, its id or the first characters of its id, with the states that workflows keep in it."""
        session = await self._find(caller, word)
        states = await self._store.states(session.id)
        row = _row(session, [name for name, _, _ in states])
        kept = [{"workflow": name, "stored_at": iso(at), "state": json.loads(text)} for name, text, at in states]
        return {**row, "states": kept}

    async def reset(self, caller: Caller, word: str, workflow: str | None = None) -> dict[str, Any]:
        """Forget the states of a session, or that of one workflow. The session stays."""
        session = await self._find(caller, word)
        try:
            forgotten = await self._store.forget_states(session.id, workflow, By.of(caller))
        except StateInUse as error:
            raise _in_use(session, error.args[0]) from None
        return {"session_id": session.id, "name": session.name, "forgotten": forgotten}

    async def rename(self, caller: Caller, word: str, name: str) -> dict[str, Any]:
        """Name a session, so that whoever has this name gets its state."""
        session = await self._find(caller, word)
        if name != session_of_client(name):
            raise BadArguments(
                f"{name[:80]!r} cannot be a session's name.", "Use up to 60 letters, digits, blanks and . _ - @ / +."
            )
        if not await self._store.rename_session(session, name, By.of(caller)):
            raise BadArguments(
                f"A session {name!r} exists and keeps state.", f"`repertoire sessions delete {name}` deletes it."
            )
        self._named.clear()
        return {"session_id": session.id, "name": name, "former_name": session.name}

    async def delete(self, caller: Caller, word: str) -> dict[str, Any]:
        """Delete a session with its states. Its runs stay."""
        session = await self._find(caller, word)
        try:
            await self._store.delete_session(session.id, By.of(caller))
        except StateInUse as error:
            raise _in_use(session, error.args[0]) from None
        self._named.clear()
        return {"session_id": session.id, "name": session.name, "deleted": True}

    async def _find(self, caller: Caller, word: str) -> Session:
        found = await self._store.sessions_like(caller.principal, word)
        if len(found) > 1:
            raise BadArguments(f"Several sessions begin with {word[:80]!r}.", "Give more of the id.")
        if not found:
            raise UnknownSession(f"There is no session {word[:80]!r}.", "`repertoire sessions --all` lists them.")
        return found[0]

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


def _in_use(session: Session, run_id: str) -> BadArguments:
    return BadArguments(
        f"{run_id} has not ended, and uses the session {session.name or session.id!r}.",
        f"Wait for it, or stop it: `repertoire cancel {run_id}`.",
    )


def _row(session: Session, workflows: list[str]) -> dict[str, Any]:
    row = msgspec.to_builtins(session)
    return {"session_id": row["id"], "name": row["name"], "workflows_with_state": workflows} | {
        "created_at": iso(session.created_at),
        "used_at": iso(session.used_at),
    }
