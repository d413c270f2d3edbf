"""Workflows over the sources of a home as its settings and folders name them: fetch, curl, Python functions, and their secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repertoire.model.session import Caller
from support.services import opened, run
from support.web import WebServer, web_server

pytestmark = pytest.mark.anyio

SUMMARIZE = '''
"""Fetch a URL and extract key information."""
async def run(url: str) -> dict:
    content = tools.fetch(url=url)
    paragraphs = [p for p in content.split("\\n\\n") if p.strip()]
    return {"url": url, "summary": paragraphs[0] if paragraphs else "", "word_count": len(content.split())}
'''
SHOP = '''
import os

__tools__ = {"env": ["SHOP_TOKEN"]}

def greet(name: str) -> str:
    """Greet a customer."""
    return f"Hello {name}, {os.environ['SHOP_TOKEN']}"

def fails():
    raise ValueError("refused with " + os.environ["SHOP_TOKEN"])
'''
USES_SHOP = '''
import os
def run() -> list:
    """Greet by the shop's tool."""
    try:
        tools.shop.fails()
    except Exception as error:
        return [tools.shop.greet(name="Ada"), str(error), os.environ.get("SHOP_TOKEN")]
'''


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def home_with(folder: Path, **workflows: str) -> Path:
    (folder / "home" / "workflows").mkdir(parents=True)
    (folder / "home" / "tools").mkdir()
    for name, source in workflows.items():
        (folder / "home" / "workflows" / f"{name}.py").write_text(source)
    return folder / "home"


async def test_the_seeds_summary_of_a_page(tmp_path: Path, web: WebServer) -> None:
    url = web.give("/page", b"First words.\n\nSecond.", Content_Type="text/plain")
    home = home_with(tmp_path, fetch_and_summarize=SUMMARIZE)
    async with opened(home, fetch_private_hosts=web.host) as app:
        done = await run(app, Caller(), "fetch_and_summarize", url=url)
        assert done["result"] == {"url": url, "summary": "First words.", "word_count": 3}, done
    async with opened(home) as app:
        refused = await run(app, Caller(), "fetch_and_summarize", url=url)
        assert "is not a public address" in json.dumps(refused["error"])


async def test_a_functions_secret_stays_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cret-token")
    home = home_with(tmp_path, uses_shop=USES_SHOP)
    (home / "tools" / "shop.py").write_text(SHOP)
    async with opened(home) as app:
        done = await run(app, Caller(), "uses_shop")
        result: list[Any] = done["result"]
        assert result[0] == "Hello Ada, [secret SHOP_TOKEN]" and "refused with [secret SHOP_TOKEN]" in result[1]
        assert result[2] is None
    stored = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"s3cret-token" not in stored and b"[secret SHOP_TOKEN]" in stored


async def test_a_broken_file_of_tools_is_told_and_the_others_work(tmp_path: Path) -> None:
    home = home_with(tmp_path)
    (home / "tools" / "broken.yaml").write_text("command: [")
    (home / "mcp.json").write_text("{")
    async with opened(home) as app:
        rows = {row["source"]: row["trouble"] for row in await app.service.tools.examine()}
        assert rows["fetch"] is None and rows["curl"] is None
        assert (
            "is not YAML" in rows[str(home / "tools" / "broken.yaml")] and "is not JSON" in rows[str(home / "mcp.json")]
        )


async def test_a_search_that_finds_no_tool_names_those_that_there_are(tmp_path: Path) -> None:
    async with opened(tmp_path / "home") as app:
        found = await app.service.tools.search("zebra")
        assert found["tools"] == [] and {"fetch", "curl.get"} <= set(found["others"]) and found["ranking"] == "lexical"
        assert "others" not in await app.service.tools.search("fetch")
