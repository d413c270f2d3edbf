"""All sources of tools of a home, as its folders and mcp.json say."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from repertoire.engine.function_calls import FunctionCalls
from repertoire.service.tool_sources import ToolSources, tool_sources
from repertoire.upstream.catalog import Catalog
from repertoire.upstream.masks import Masks
from support.services import opened

pytestmark = pytest.mark.anyio


async def sources_of(home: Path, folder: Path, *private: str) -> ToolSources:
    async with opened(home, ready_workflows="false") as app:
        calls = FunctionCalls(app.runner._pool, app.settings.limits)
        inspect, mcp_file = app.runner.inspect, str(folder / "mcp.json")
        async with anyio.create_task_group() as tasks:
            found = tool_sources([str(folder)], mcp_file, private, Masks(), tasks, inspect, calls, app.settings.limits)
    return found


async def test_every_kind_of_source_is_found(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"git": {"command": "my-git-server"}}}))
    (tmp_path / "grep.py").write_text("def find(): return 1")
    (tmp_path / "hello.yaml").write_text("name: hello\ncommand: echo\n")
    (tmp_path / "web.yaml").write_text("type: mcp\ncommand: serve\n")
    (tmp_path / "broken.yaml").write_text("[")
    found = await sources_of(tmp_path / "home", tmp_path)
    kinds = {source.name: type(source).__name__ for source in found.sources}
    assert kinds == {
        "fetch": "Fetch", "hello": "CommandSource", "curl": "_Shipped", "grep": "FunctionSource", "web": "McpServer", "git": "McpServer",
    }  # fmt: skip
    assert list(found.troubles) == [str(tmp_path / "broken.yaml")] and not Catalog(found.sources).troubles().get("git")


async def test_a_wrong_mcp_json_and_a_wrong_host_are_troubles(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text("{")
    found = await sources_of(tmp_path / "home", tmp_path, "http://x", "127.0.0.1")
    assert "is not JSON" in found.troubles[str(tmp_path / "mcp.json")]
    assert [source.name for source in found.sources] == ["fetch", "curl", "git", "grep"]
    assert "is not a host" in found.troubles["fetch_private_hosts"]
