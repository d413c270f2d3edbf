"""Sessions of earlier revisions over HTTP: bounded, the longest idle goes first, and none holds up the end of the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from repertoire.app import open_app
from repertoire.settings import load
from repertoire.surfaces.http import build_app, build_http_server, serve_http

pytestmark = pytest.mark.anyio

HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
CLIENT = {"name": "t", "version": "1"}


@asynccontextmanager
async def door(home: Path, most: int) -> AsyncIterator[httpx2.AsyncClient]:
    settings = load(home=str(home), environ={"REPERTOIRE_MAX_HTTP_SESSIONS": str(most)})
    async with open_app(settings, watch=False) as app:
        server = build_http_server(app.service, settings.limits, app.changes, app.state_key, app.ending)
        async with (
            serve_http(build_app(server, "127.0.0.1", settings.limits.max_http_sessions), "127.0.0.1", 0) as port,
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=60) as client,
        ):
            yield client


async def session(client: httpx2.AsyncClient) -> str:
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": CLIENT}
    answer = await client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
    assert answer.status_code == 200, answer.text
    return str(answer.headers["mcp-session-id"])


async def ping(client: httpx2.AsyncClient, number: str) -> int:
    answer = await client.post(
        "/mcp", json={"jsonrpc": "2.0", "id": 2, "method": "ping"}, headers={"Mcp-Session-Id": number}
    )
    return answer.status_code


async def test_r22_the_session_that_was_idle_for_longest_goes_first(tmp_path: Path) -> None:
    async with door(tmp_path / "home", 3) as client:
        first, second, third = [await session(client) for _ in range(3)]
        assert await ping(client, first) == 200
        fourth = await session(client)
        assert [await ping(client, number) for number in (first, second, third, fourth)] == [200, 404, 200, 200]
        for _ in range(20):
            last = await session(client)
        assert [await ping(client, number) for number in (first, third, fourth, last)] == [404, 404, 404, 200]


async def test_r22_one_with_an_open_stream_stays_and_new_ones_are_refused_where_all_have_one(tmp_path: Path) -> None:
    async with door(tmp_path / "home", 2) as client, AsyncExitStack() as streams:
        numbers = [await session(client) for _ in range(2)]
        for number in numbers:
            await streams.enter_async_context(client.stream("GET", "/mcp", headers={"Mcp-Session-Id": number}))
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": CLIENT}
        answer = await client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
        assert answer.status_code == 503
        assert [await ping(client, number) for number in numbers] == [200, 200]


async def test_r22_abandoned_sessions_do_not_hold_up_the_end(tmp_path: Path) -> None:
    async with door(tmp_path / "home", 100) as client:
        for _ in range(150):
            await session(client)
