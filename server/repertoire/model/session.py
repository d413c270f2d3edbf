"""Session and Caller: a named state that is stored for a principal, and the caller of a request; used everywhere."""

from __future__ import annotations

import re
from typing import Final

import msgspec

LOCAL = "local"
"""The principal of stdio, the daemon's socket and HTTP without tokens: the user who runs the server."""


UNNAMED: Final = "default"
"""The session of a host that names neither its session nor itself."""
COMMAND_LINE: Final = "cli"
"""The session of the command line."""
_MAX_NAME_CHARS: Final = 60


def session_of_client(name: str) -> str:
    """The name of the default session of the client program `name`. A colon is not kept: `http:ID` is the session of a connection."""
    kept = re.sub(r"[^\w.@/+ -]+", "-", " ".join(name.split()))[:_MAX_NAME_CHARS].strip()
    return kept or UNNAMED


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session, owned by a principal. `name` is set for default sessions, which are found by it. Times are seconds since the epoch."""

    id: str
    principal: str
    name: str | None = None
    created_at: float
    used_at: float


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The caller of a request. `session_name` names the default session; None: each call without a session gets a new one."""

    principal: str = LOCAL
    session_name: str | None = UNNAMED
    roots: tuple[str, ...] = ()
    env: dict[str, str] = {}
    """The caller's environment variables that bodies may see (`worker_env`): one host's keys are not used for another host."""

    provider_env: dict[str, str] = {}
    """The caller's variables of model providers, keys among them. No body sees them."""
    cwd: str | None = None
    """The caller's working folder: relative paths in its calls mean files there. None over HTTP, where it is unknown."""
    lane: str = ""
    """The name of its queue where calls wait for their turn: a connection, or a session of HTTP. "": the command line."""
    client: str = ""
    """The own name of the client program."""

    call: tuple[str, str] | None = None
    """For a call of a body: its run and the call's path. A repeated call changes nothing a second time."""

    def __repr__(self) -> str:
        return f"Caller({self.principal!r}, session_name={self.session_name!r})"  # env may hold keys: not for a log
