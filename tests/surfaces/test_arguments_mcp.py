"""Arguments as models and hosts send them, through every way in."""

from __future__ import annotations

import pytest

from support.mcp_calls import call, made
from support.signatures import TAGGED
from support.transports import Way

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("way", ["memory-modern", "stdio-legacy", "http-modern"], indirect=True, scope="module"),
]


async def test_m6_m7_m8_calls_of_models_and_hosts_are_understood(way: Way) -> None:
    extras = {"toolCallId": "call_1", "sessionId": "s", "security_context": {"user": "u"}}
    async with way.client() as client:
        answer = await made(client, "tagged", TAGGED, tags='["a"]', limit="2.0", note=None, **extras)
        assert answer["result"] == ["a2-"], answer
        text = '{"tags": "[\\"b\\"]", "limit": null, "toolCallId": 1}'
        answer = await call(client, "run_workflow", {"name": "tagged", "arguments": text, "session_id": None, **extras})
        assert answer["result"] == ["b5-"], answer
        own = await client.call_tool("tagged", {"tags": ["c"], "session_id": None, **extras})
        assert own.structured_content["result"] == ["c5-"]
        found = await call(client, "search_workflows", {"query": "say", "limit": "3", "tags": None, **extras})
        assert not found["is_error"]
        refused = await call(client, "run_workflow", {"name": "tagged", "arguments": {"tags": [], "colour": 1}})
        assert "`colour`: unknown argument" in refused["error"]["message"]


async def test_m8_what_a_workflow_itself_takes_is_never_dropped(way: Way) -> None:
    own = (
        '"""Say it."""\n\ndef run(sessionId: str, **more: str) -> list[str]:\n    return [sessionId, *more.values()]\n'
    )
    async with way.client() as client:
        answer = await made(client, "own_names", own, sessionId="mine", toolCallId="kept")
        assert answer["result"] == ["mine", "kept"], answer
