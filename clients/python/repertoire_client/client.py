"""`RepertoireClient`: one connection to a Repertoire server, over stdio or HTTP. `sync` is the same without async."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp_types import Implementation

from .calls import Calls
from .errors import RepertoireCallError
from .runs import Runs
from .workflows import Workflows

_OWN_NAME: Final = Implementation(name="repertoire-client", version="1")
"""The client's own name for the server, which names the default session after it."""


class RepertoireClient:
    """A connection, open within `async with`. Made by `stdio` or `http`; each object connects once.

    `workflows` has list, search, get, create, delete and run; `runs` has get, cancel and result. There is no tool that makes a
    session: `workflows.run(..., session_id="new")` does, and its answer's `session_id` is for the calls that follow.
    """

    def __init__(self, client: Client) -> None:
        """For an MCP client of one's own making, not yet entered."""
        self._client = client
        calls = Calls(client)
        self.runs = Runs(calls)
        self.workflows = Workflows(calls, self.runs)

    @classmethod
    def stdio(
        cls,
        home: str | os.PathLike[str] | None = None,
        session: str | None = None,
        workflows: Sequence[str | os.PathLike[str]] = (),
        *,
        command: Sequence[str] | None = None,
    ) -> Self:
        """Start `repertoire serve`, which finds or starts the home's daemon.

        Args:
            home: Where the data lives; left out, the platform's user data folder.
            session: Name of the session whose state runs without a `session_id` use; left out, `repertoire-client`.
            workflows: Folders of workflow files, besides the home's own.
            command: How to start `repertoire`, where that is not this Python's own.
        """
        start = list(command or (sys.executable, "-P", "-m", "repertoire"))
        start += ["serve", *([] if session is None else ["--session", session])]
        start += [] if home is None else ["--home", os.path.abspath(home)]
        for folder in workflows:
            start += ["--workflows", os.path.abspath(folder)]
        server = StdioServerParameters(command=start[0], args=start[1:], env=dict(os.environ))
        return cls(Client(server, client_info=_OWN_NAME))

    @classmethod
    def http(cls, url: str) -> Self:
        """A server that was started with `repertoire serve --http HOST:PORT`. A bare address means its `/mcp`; `/sse` is the
        legacy transport. Each run without a `session_id` has a new session there."""
        parts = urlsplit(url)
        if parts.path in ("", "/"):
            url = urlunsplit(parts._replace(path="/mcp"))
        return cls(Client(sse_client(url) if parts.path.endswith("/sse") else url, client_info=_OWN_NAME))

    async def __aenter__(self) -> Self:
        """Raises RepertoireCallError (`not_connected`) where there is no server to talk to."""
        try:
            await self._client.__aenter__()
        except Exception as error:  # the process edge: the SDK lets the transport's own errors through, in groups
            raise RepertoireCallError("not_connected", f"No connection to Repertoire: {_cause(error)}.") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """What the body raised leaves as it is: the SDK's task groups would wrap it."""
        try:
            await self._client.__aexit__(kind, error, at)
        except BaseExceptionGroup as group:
            if error is None or _cause(group) is not error:
                raise


def _cause(error: BaseException) -> BaseException:
    """The one error inside groups, or the group that holds several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
