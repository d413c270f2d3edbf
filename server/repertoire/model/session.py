"""Principal and Session: who calls, and that caller's persisted, named state."""

from __future__ import annotations

import msgspec

LOCAL = "local"
"""The principal of stdio, the daemon's socket and HTTP without tokens: the user who runs the server."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """An opaque handle owned by a principal. `name` is set for default sessions, which are looked up by it. Times: epoch seconds."""

    id: str
    principal: str
    name: str | None = None
    created_at: float
    used_at: float


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who makes a call and what they see. `session_name` names the default session; None: each call without one mints its own."""

    principal: str = LOCAL
    session_name: str | None = "default"
    roots: tuple[str, ...] = ()
    env: dict[str, str] = {}
    """Of the caller's own environment, the variables that bodies may see (`worker_env`): one host's keys serve no other host."""

    cwd: str | None = None
    """The folder in which the caller works: relative paths in its calls mean files there. None over HTTP, where nobody knows it."""
    lane: str = ""
    """Who takes turns with others where calls have to wait: a connection, or a session of HTTP. "": the command line."""
    client: str = ""
    """What the program calls itself through which the call came."""

    call: tuple[str, str] | None = None
    """Where a body calls: its run and the call's path. What the call changes is changed once, however often it is made again."""

    def __repr__(self) -> str:
        return f"Caller({self.principal!r}, session_name={self.session_name!r})"  # env may hold keys: not for a log
