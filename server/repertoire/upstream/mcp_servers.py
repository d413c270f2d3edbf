"""MCP servers: sources of tools over MCP; connect at first use, keep the connection, and connect again with back-off when it is lost.

Used by the app, which builds them from the configuration, and by the catalog and the door as `Source`. Not for the protocol itself.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from .config import ServerConfig
from .masks import Masks
from .mcp_answers import tools_of, value_of
from .mcp_connection import Connection, Protocol, SessionForgotten
from .tool import BadToolArguments, Tool, ToolContext, ToolUnavailable

_log = logging.getLogger("repertoire.tools")

_DELAYS_S: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0)
"""Before the next attempt, by attempts that failed in a row."""
_CLOSE_S: Final = 10.0
_PATIENCE_S: Final = 5.0
"""A call waits this long for the next attempt. If it is later, the call fails at once."""


class McpServer:
    """One MCP server. `tasks` holds its connections: they end when it is cancelled, or by `aclose`."""

    def __init__(self, config: ServerConfig, tasks: TaskGroup, masks: Masks) -> None:
        self._config = config
        self._tasks = tasks
        self._masks = masks
        self._connection: Connection | None = None
        self._protocols: tuple[Protocol, ...] = ("auto", "legacy") if config.options.protocol == "auto" else ("legacy",)
        self._held: set[Connection] = set()
        self._separate: set[Connection] = set()
        self._needs_separate = False
        self._shared_calls = 0
        self._turn = anyio.Lock()
        self._listing = anyio.Lock()
        self._tools: tuple[Tool, ...] | None = None
        self._wrapped: frozenset[str] = frozenset()
        self._changes = 0
        self._listed_at = -1
        self._failures = 0
        self._next_at = 0.0
        self._trouble = config.trouble
        self._is_closed = False

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def definition(self) -> ServerConfig:
        """Two servers with the same definition are used in the same way."""
        return self._config

    @property
    def trouble(self) -> str | None:
        return self._trouble and self._masks.mask(self._trouble)

    async def list_tools(self) -> tuple[Tool, ...]:
        if self._tools is not None and self._listed_at == self._changes:
            return self._tools  # each call asks: it need not wait for a turn of the loop
        async with self._listing:
            if self._tools is None or self._listed_at != self._changes:
                connection = await self._connected()
                changes = self._changes
                listed = await connection.list_tools()
                self._tools, self._wrapped = tools_of(self._config, listed)
                self._listed_at = changes
            return self._tools

    async def call(self, tool: Tool, arguments: dict[str, Any], context: ToolContext) -> Any:
        await self._check_present(tool)
        try:
            async with self._connection_for_call() as connection:
                result = await connection.call(tool.original, arguments, context)
        except SessionForgotten:
            async with self._connection_for_call() as connection:
                result = await connection.call(tool.original, arguments, context)
        except BadToolArguments:
            self._changed()  # the server means other arguments, or no longer has the tool
            await self._check_present(tool)
            raise
        return value_of(result, tool, tool.original in self._wrapped)

    async def aclose(self) -> None:
        self._is_closed = True
        held = tuple(self._held)
        for connection in held:
            connection.end("Repertoire closed it.")
        with anyio.move_on_after(_CLOSE_S):  # a task that was cancelled before it began says nothing
            for connection in held:
                await connection.over.wait()

    async def _check_present(self, tool: Tool) -> None:
        """Raises ToolUnavailable when the server no longer has the tool."""
        tools = await self.list_tools()
        if not any(found.original == tool.original for found in tools):
            raise ToolUnavailable(
                f"The MCP server {self._config.original} no longer has the tool {tool.original}.",
                f"Its tools are: {', '.join(found.name for found in tools[:20]) or 'none'}.",
            )

    @asynccontextmanager
    async def _connection_for_call(self) -> AsyncIterator[Connection]:
        """The shared connection. If the server asks without saying for which call, a call has its connection to itself."""
        shared = self._connection
        if self._needs_separate and self._shared_calls:
            async with self._separate_connection() as connection:
                yield connection
            return
        if self._needs_separate and shared is not None and shared.has_abandoned:
            shared.end("A call on it was given up.")
        self._shared_calls += 1
        try:
            shared = await self._connected()
            yield shared
        finally:
            self._shared_calls -= 1
            self._needs_separate |= shared is not None and shared.is_ambiguous

    @asynccontextmanager
    async def _separate_connection(self) -> AsyncIterator[Connection]:
        connection = self._open(is_separate=True)
        try:
            await connection.ready.wait()
            self._check_usable(connection)
            yield connection
        finally:
            connection.end("Its call has ended.")

    async def _connected(self) -> Connection:
        """The shared connection, opened if there is none. Raises ToolUnavailable."""
        connection = self._connection
        if connection is None or connection.is_ending:
            async with self._turn:
                connection = self._connection
                if connection is None or connection.is_ending:
                    await self._wait_for_attempt()
                    connection = self._connection = self._open()
        if not connection.ready.is_set():
            await connection.ready.wait()
        self._check_usable(connection)
        return connection

    async def _wait_for_attempt(self) -> None:
        delay = self._next_at - anyio.current_time()
        if delay > _PATIENCE_S:
            raise self._unavailable(f"The next attempt is in {delay:.0f} s.")
        if delay > 0:
            await anyio.sleep(delay)

    def _open(self, *, is_separate: bool = False) -> Connection:
        if self._config.trouble or self._is_closed:
            raise self._unavailable()
        connection = Connection(
            self._config, self._protocols, _ignore if is_separate else self._changed, self._masks.mask
        )
        self._held.add(connection)
        if is_separate:
            self._separate.add(connection)
        self._tasks.start_soon(self._hold, connection, name=f"mcp {self.name}")
        return connection

    async def _hold(self, connection: Connection) -> None:
        """Hold one connection to its end, and draw the consequences."""
        try:
            await connection.run()
        finally:
            self._held.discard(connection)
        if connection.protocol:
            self._protocols = (connection.protocol,)
        if self._is_closed or connection in self._separate:
            self._separate.discard(connection)
            return
        self._failures = 0 if connection.has_answered else self._failures + 1
        self._next_at = anyio.current_time() + _DELAYS_S[min(self._failures, len(_DELAYS_S) - 1)]
        if connection is self._connection:
            self._trouble = connection.trouble
        _log.warning(
            "the connection to the MCP server %s is over: %s",
            self._config.original,
            self._masks.mask(connection.trouble),
        )

    def _check_usable(self, connection: Connection) -> None:
        if connection.over.is_set():
            self._trouble = connection.trouble
            raise self._unavailable()
        self._trouble = None

    def _changed(self) -> None:
        self._changes += 1

    def _unavailable(self, more: str = "") -> ToolUnavailable:
        message = f"The MCP server {self._config.original} does not work: {self.trouble or 'it was closed.'} {more}"
        return ToolUnavailable(
            message.strip(), "Go on without it, or tell the operator: `repertoire tools doctor` has the details."
        )


def mcp_servers(configs: Iterable[ServerConfig], tasks: TaskGroup, masks: Masks) -> tuple[McpServer, ...]:
    """A source for each configured server. Nothing is started yet."""
    return tuple(McpServer(config, tasks, masks) for config in configs)


def _ignore() -> None:
    """The shared connection tells of changes. One that is for a single call need not."""
