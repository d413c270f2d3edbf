"""Change notifications: tells every MCP client that the lists of tools and resources have changed; used by build_server and http.py.

Clients of 2026-07-28 listen on a bus of the SDK. The SDK has no registry of legacy connections, so they are remembered here.
The catalog calls `announce` at most every half second while folders are read (registry/catalog.py).
"""

from __future__ import annotations

import weakref

import anyio
from mcp.server.connection import Connection
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.subscriptions import ResourcesListChanged, ToolsListChanged

from .sdk_adapter import Context, connection_of, is_modern


class Changes:
    """Notifies every client of both revisions that the workflows have changed. One for the whole app."""

    def __init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self._legacy: weakref.WeakSet[Connection] = weakref.WeakSet()
        self.listen = ListenHandler(self._bus)

    def remember(self, ctx: Context) -> None:
        if not is_modern(ctx):
            self._legacy.add(connection_of(ctx))

    async def announce(self) -> None:
        """Notify all clients. Each workflow is a tool and a resource, so both lists have changed."""
        await self._bus.publish(ToolsListChanged())
        await self._bus.publish(ResourcesListChanged())
        async with anyio.create_task_group() as tasks:
            for connection in list(self._legacy):
                tasks.start_soon(_tell, connection)


async def _tell(connection: Connection) -> None:
    with anyio.move_on_after(1):  # a client that does not read must not delay the others
        await connection.send_tool_list_changed()
        await connection.send_resource_list_changed()
