"""MCP servers over HTTP in the protocol of 2026 and before: questions, progress, changes, sizes, refusals."""

from __future__ import annotations

import anyio
import pytest

from repertoire.upstream.tool import ToolFailed, ToolUnavailable
from support.upstreams import Run, call, http_server, opened

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("protocol", ["auto", "legacy"])
async def test_all_of_a_call_works_over_http(protocol: str) -> None:
    with http_server(protocol=protocol, max_message_mb=1) as config:
        async with opened(config) as server:
            assert await call(server, "add", a=1, b=2) == {"sum": 3}
            run = Run({"name": "Ada"})
            assert (await call(server, "ask", run)).startswith("accept {'name': 'Ada'}")
            assert await call(server, "flood", run, times=200) == "flooded"
            assert run.told[-1][:2] == (200, 200)
            assert len(run.told) < 150
            with pytest.raises(ToolFailed):
                await call(server, "fails")
            with pytest.raises((ToolFailed, ToolUnavailable)):
                await call(server, "big", size=20_000_000)
            assert await call(server, "change") == "changed"
            with anyio.fail_after(20):
                while protocol == "auto" and "later" not in {tool.name for tool in await server.list_tools()}:
                    await anyio.sleep(0.01)
            assert await call(server, "add", a=1, b=2) == {"sum": 3}


async def test_an_answer_without_a_stream_has_a_bound_too() -> None:
    with http_server("json", max_message_mb=1) as config:
        async with opened(config) as server:
            with pytest.raises(ToolFailed, match="more than 1,048,576 bytes"):
                await call(server, "big", size=20_000_000)
            assert len(await call(server, "big", size=1_000_000)) == 1_000_000


async def test_a_key_in_the_headers_is_sent_and_its_absence_is_explained() -> None:
    with http_server("key=open-sesame", headers={"X-Key": "open-sesame"}) as config:
        async with opened(config) as server:
            assert await call(server, "add", a=1, b=2) == {"sum": 3}
    with http_server("key=open-sesame") as config:
        async with opened(config) as server:
            with pytest.raises(ToolUnavailable, match="HTTP 401 Unauthorized"):
                await server.list_tools()
