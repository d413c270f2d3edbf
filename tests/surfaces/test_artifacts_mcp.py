"""Artifacts over MCP: as resources, and images as image content."""

from __future__ import annotations

import base64
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from support.mcp_calls import create
from support.transports import Memory

pytestmark = pytest.mark.anyio

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SOURCE = f'''"""Save and give."""

PNG = {PNG!r}

def run(what: str):
    if what == "chart":
        return {{"title": "A chart", "charts": [artifacts.save("charts/a b.png", PNG, "A dot."), artifacts.get("charts/a b.png")]}}
    if what == "large":
        return artifacts.save("large", bytes(8 * 1024 * 1024 + 1))["size"]
    if what == "forged":
        return {{**artifacts.get("charts/a b.png"), "sha256": "0" * 64}}
    artifacts.save("report.json", {{"rows": [1]}})
    artifacts.save("notes.md", "# Notes")
    return artifacts.list()
'''


@pytest.mark.parametrize("era", ["memory-modern", "memory-legacy"])
async def test_artifacts_are_resources_and_images_are_shown(tmp_path: Path, era: str) -> None:
    async with Memory(era, tmp_path, {"REPERTOIRE_READY_WORKFLOWS": "false"}).client() as client:
        await create(client, "keep", SOURCE)
        before = await client.list_resources(cache_mode="refresh")
        assert [one.name for one in before.resources] == ["keep"] and before.next_cursor is None
        answer = await client.call_tool("run_workflow", {"name": "keep", "arguments": {"what": "chart"}})
        assert [block.type for block in answer.content] == ["text", "image"]  # each image once
        image = answer.content[1]
        assert image.type == "image" and (base64.b64decode(image.data), image.mime_type) == (PNG, "image/png")
        again = await client.call_tool("get_run", {"run_id": answer.structured_content["run_id"]})
        assert [block.type for block in again.content] == ["text", "image"]
        forged = await client.call_tool("run_workflow", {"name": "keep", "arguments": {"what": "forged"}})
        assert [block.type for block in forged.content] == ["text"]
        await client.call_tool("run_workflow", {"name": "keep", "arguments": {"what": "more"}})

        first = await client.list_resources(cache_mode="refresh")
        assert first.next_cursor is not None
        page = await client.list_resources(cursor=first.next_cursor)
        found = {str(one.uri): one for one in page.resources}
        assert list(found) == ["artifact:///charts/a%20b.png", "artifact:///notes.md", "artifact:///report.json"]
        chart = found["artifact:///charts/a%20b.png"]
        assert (chart.mime_type, chart.size, chart.description) == ("image/png", len(PNG), "A dot.")
        templates = (await client.list_resource_templates()).resource_templates
        assert "artifact:///{+name}" in [one.uri_template for one in templates]

        (blob,) = (await client.read_resource("artifact:///charts/a%20b.png")).contents
        assert base64.b64decode(blob.blob) == PNG and blob.mime_type == "image/png"  # type: ignore[union-attr]
        (text,) = (await client.read_resource("artifact:///report.json")).contents
        assert (text.text, text.mime_type) == ('{"rows": [1]}', "application/json")  # type: ignore[union-attr]
        (text,) = (await client.read_resource("artifact:///notes.md")).contents
        assert (text.text, text.mime_type) == ("# Notes", "text/markdown")  # type: ignore[union-attr]
        large = await client.call_tool("run_workflow", {"name": "keep", "arguments": {"what": "large"}})
        assert not large.is_error
        with pytest.raises(MCPError, match="too large for a message"):
            await client.read_resource("artifact:///large")
        for wrong in ("artifact:///none", "artifact:///../repertoire.db", "artifact:///a/%2e%2e/b"):
            with pytest.raises(MCPError, match="Unknown resource"):
                await client.read_resource(wrong)


MANY = '''"""Save many."""

def run() -> int:
    for n in range(20):
        artifacts.save(f"n/{n}", n)
    return n
'''


@pytest.mark.parametrize("era", ["memory-modern", "memory-legacy"])
async def test_clients_are_told_once_of_many_artifacts(tmp_path: Path, era: str) -> None:
    heard: list[object] = []

    async def on_message(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/list_changed":
            heard.append(message)

    memory = Memory(era, tmp_path, {"REPERTOIRE_READY_WORKFLOWS": "false", "REPERTOIRE_SEARCH_MODEL": "off"})
    async with memory.client(message_handler=on_message) as client, AsyncExitStack() as stack:
        await create(client, "many", MANY)
        await anyio.sleep(0.1)  # what was told of the new workflow is here
        if era == "memory-modern":
            changes = await stack.enter_async_context(client.listen(resources_list_changed=True))
        before = len(heard)
        await client.call_tool("run_workflow", {"name": "many", "arguments": {}})
        with anyio.fail_after(30):
            if era == "memory-modern":
                await anext(aiter(changes))
            while era == "memory-legacy" and len(heard) == before:
                await anyio.sleep(0.02)
        assert len(heard) - before <= 3, "twenty artifacts are told together"
