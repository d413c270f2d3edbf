"""Change notifications: tells every MCP client that the lists of tools and resources have changed; used by build_server and http.py.

Clients of 2026-07-28 listen on a bus of the SDK. The SDK has no registry of legacy connections, so they are remembered here.
The catalog calls `announce` at most every half second while folders are read (registry/catalog.py). Artifacts come and go one by one, in any
number: they are announced half a second after the first, together.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Final

import anyio
from mcp.server.connection import Connection
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.subscriptions import ResourcesListChanged, ToolsListChanged

from .sdk_adapter import Context, connection_of, is_modern

logger = logging.getLogger(__name__)

_TOGETHER_S: Final = 0.5


class Changes:
    """Notifies every client of both revisions that the workflows have changed. One for the whole app."""

    def __init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self._legacy: weakref.WeakSet[Connection] = weakref.WeakSet()
        self.listen = ListenHandler(self._bus)
        self._announcing: asyncio.Task[None] | None = None

    def remember(self, ctx: Context) -> None:
        if not is_modern(ctx):
            self._legacy.add(connection_of(ctx))

    async def announce(self) -> None:
        """Notify all clients. Each workflow is a tool and a resource, so both lists have changed."""
        await self._bus.publish(ToolsListChanged())
        await self._bus.publish(ResourcesListChanged())
        await self._tell_legacy(_tell_both)

    def note_artifacts(self) -> None:
        """Artifacts have come or gone: clients are notified soon, once for all until then."""
        if self._announcing is None:
            self._announcing = asyncio.get_running_loop().create_task(
                self._announce_artifacts(), name="artifacts changed"
            )

    async def _announce_artifacts(self) -> None:
        await asyncio.sleep(_TOGETHER_S)
        self._announcing = None
        try:
            await self._bus.publish(ResourcesListChanged())
            await self._tell_legacy(_tell_resources)
        except Exception:  # this task has no caller that could be told
            logger.exception("telling clients that artifacts have changed")

    async def _tell_legacy(self, tell: Callable[[Connection], Coroutine[Any, Any, None]]) -> None:
        async with anyio.create_task_group() as tasks:
            for connection in list(self._legacy):
                tasks.start_soon(tell, connection)


async def _tell_both(connection: Connection) -> None:
    with anyio.move_on_after(1):  # a client that does not read must not delay the others
        await connection.send_tool_list_changed()
        await connection.send_resource_list_changed()


async def _tell_resources(connection: Connection) -> None:
    with anyio.move_on_after(1):
        await connection.send_resource_list_changed()
