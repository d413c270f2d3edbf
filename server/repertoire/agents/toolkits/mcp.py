"""MCP toolkits: `MCPTools` and `MultiMCPTools`, over the MCP servers that the operator has configured. Used by workflow files.

A file that starts a server of its own, by a command or an address, is given the configured server whose name occurs in it: `github` for
`npx -y @modelcontextprotocol/server-github`. A worker never starts one, because its keys and its process belong to the operator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ...authoring.tools import ToolName, tools
from ...values.refusals import NotAvailable
from .toolkit import Toolkit


class MCPTools(Toolkit):
    """The tools of one configured MCP server.

    Args:
        command, url, server_params: How the file would reach the server. The server's name is looked for in it.
        name: The server's name in mcp.json, if it does not occur there.
        transport, session, env, timeout_seconds, client: Accepted and ignored.
        options: The options of every toolkit.
    """

    def __init__(
        self,
        command: str | None = None,
        *,
        url: str | None = None,
        name: str | None = None,
        server_params: Any = None,
        **options: Any,
    ) -> None:
        self._described = name or " ".join(filter(None, (command, url, _words_of(server_params))))
        for ignored in ("transport", "session", "env", "timeout_seconds", "client"):
            options.pop(ignored, None)
        self.host_tools: list[ToolName] = []
        super().__init__("MCPTools", (), **options)

    async def connect(self) -> None:
        """Find the configured server. Raises NotAvailable that says how to configure it."""
        self.host_tools = [await _source_of(self._described)]

    async def close(self) -> None:
        """Nothing is open: the server belongs to the operator."""

    async def __aenter__(self) -> MCPTools:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class MultiMCPTools(MCPTools):
    """The tools of several configured MCP servers."""

    def __init__(
        self, commands: Iterable[str] | None = None, urls: Iterable[str] | None = None, **options: Any
    ) -> None:
        self._each = [*(commands or ()), *(urls or ()), *map(_words_of, options.pop("server_params_list", None) or ())]
        super().__init__(None, **options)

    async def connect(self) -> None:
        self.host_tools = [await _source_of(one) for one in self._each]


def _words_of(parameters: Any) -> str:
    parts = [
        getattr(parameters, "command", None),
        *(getattr(parameters, "args", None) or ()),
        getattr(parameters, "url", None),
    ]
    return " ".join(str(part) for part in parts if part)


async def _source_of(described: str) -> ToolName:
    """`tools.NAME` of the configured server whose name occurs in this text."""
    words = {re.sub(r"\W", "_", word).lower() for word in re.split(r"[\s/@:]+|server-|mcp-|-mcp|-server", described)}
    listed = await tools.list.aio()
    sources = sorted({str(one["name"]).partition(".")[0] for one in listed if "." in str(one["name"])})
    found = next((name for name in sources if name.lower() in words), None)
    if found is None:
        raise NotAvailable(
            f"no MCP server is configured for {described[:200]!r}",
            hint=f"Add it to mcp.json under a name that occurs there; configured are {', '.join(sources) or 'none'}. "
            f"Then MCPTools finds it, and a body can also call tools.NAME itself.",
        )
    return ToolName(found)
