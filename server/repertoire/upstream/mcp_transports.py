"""Transports: open the SDK's transport for a configured MCP server, with bounds on what the server sends; used by mcp_connection.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import httpx2
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from .config import ServerConfig
from .inbox import Inbox, InboxStream
from .stdio_process import StdioNotes, stdio_process

_HTTP_S: Final = 30.0
"""For connecting and writing. Reading has no bound of its own: a call has one."""
_SSE_IDLE_S: Final = 24 * 3600.0


class HttpNotes:
    """Notes on one HTTP connection for the operator: its refusals and the last one's status."""

    def __init__(self) -> None:
        self.refusals = 0
        self.status = 0
        self.reason = ""

    def __str__(self) -> str:
        return f" It answered with HTTP {self.status} {self.reason}.".replace(" .", ".") if self.refusals else ""


Notes = StdioNotes | HttpNotes


_Streams = tuple[Any, Any]


class TooLarge(httpx2.StreamError):
    """Raised when a response is larger than the server may send. Being a StreamError, it fails its request and not the connection."""


@asynccontextmanager
async def open_transport(config: ServerConfig, inbox: Inbox, notes: Notes) -> AsyncIterator[_Streams]:
    """The server's messages, through the inbox, and the stream to the server: a `Transport` of the SDK."""
    opened: AbstractAsyncContextManager[_Streams]
    if isinstance(notes, StdioNotes):
        opened = stdio_process(config, notes, inbox)
    else:
        opened = _http(config, notes, inbox)
    async with opened as streams:
        yield streams


@asynccontextmanager
async def _http(config: ServerConfig, notes: HttpNotes, inbox: Inbox) -> AsyncIterator[_Streams]:
    limit = int(config.options.max_message_mb * 1024 * 1024)

    async def check(response: httpx2.Response) -> None:
        _check_response(response, limit, notes)

    def client(
        headers: dict[str, str] | None = None, timeout: Any = None, auth: httpx2.Auth | None = None
    ) -> httpx2.AsyncClient:
        """As the SDK's own factory, but a response has a bound, and is not compressed, so that the bound is for what is read."""
        return httpx2.AsyncClient(
            headers={**(headers or {}), "Accept-Encoding": "identity"},
            timeout=timeout or httpx2.Timeout(_HTTP_S, read=None),
            auth=auth,
            event_hooks={"response": [check]},
        )

    if config.kind == "sse":
        async with sse_client(
            config.url, config.headers, timeout=_HTTP_S, sse_read_timeout=_SSE_IDLE_S, httpx_client_factory=client
        ) as (messages, outward):
            yield InboxStream(messages, inbox), outward
    else:
        async with (
            client(config.headers) as http,
            streamable_http_client(config.url, http_client=http, max_sse_event_size=limit) as (messages, outward),
        ):
            yield InboxStream(messages, inbox), outward


def _check_response(response: httpx2.Response, limit: int, notes: HttpNotes) -> None:
    """Bound a response that is one document. A stream of events has a bound for each event."""
    if response.status_code >= 400 and response.status_code != 405:  # 405: no stream of its own for notifications
        notes.refusals += 1
        notes.status, notes.reason = response.status_code, response.reason_phrase
    if response.headers.get("content-encoding", "identity") != "identity":
        raise TooLarge("The server compresses its answers although it was asked not to.")
    if response.headers.get("content-type", "").lower().startswith("text/event-stream"):
        return
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream, limit)


class _Bounded(httpx2.AsyncByteStream):
    """A response's body, which raises when there is more than `limit`."""

    def __init__(self, inner: httpx2.AsyncByteStream, limit: int) -> None:
        self._inner = inner
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > self._limit:
                raise TooLarge(f"The answer has more than {self._limit:,} bytes.")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
