"""The sources of folders of tools together: what comes with Repertoire, what a folder replaces, and what cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from repertoire.upstream.definitions import python_files
from repertoire.upstream.masks import Masks
from repertoire.upstream.own_sources import own_sources
from support.tools import call_tool
from support.web import web_server

pytestmark = pytest.mark.anyio


def test_without_a_folder_there_are_fetch_curl_git_and_grep(tmp_path: Path) -> None:
    found = own_sources([str(tmp_path / "none")], [], Masks())
    assert [source.name for source in found.sources] == ["fetch", "curl", "git", "grep"]
    assert not found.servers and not found.troubles


async def test_a_folder_adds_and_replaces(tmp_path: Path) -> None:
    (tmp_path / "curl.yaml").write_text("name: curl\ncommand: echo\nschema: {positional: [{name: url}]}\n")
    (tmp_path / "pets.yml").write_text("type: openapi\ndocument: pets.json\n")
    (tmp_path / "web.yaml").write_text("type: mcp\ncommand: serve\nenv: {TOKEN: '${env:TOKEN}'}\n")
    (tmp_path / "broken.yaml").write_text("command: [")
    (tmp_path / "code.py").write_text("")
    (tmp_path / "_part.py").write_text("")
    masks = Masks()
    found = own_sources([str(tmp_path), str(tmp_path)], [], masks, {"TOKEN": "s3cret-value"})
    assert sorted(source.name for source in found.sources) == ["curl", "fetch", "git", "grep", "pets"]
    curl = next(source for source in found.sources if source.name == "curl")
    assert await call_tool(curl, "curl", url="x", env={"PATH": "/bin:/usr/bin"}) == "x\n"
    assert [server.command for server in found.servers] == ["serve"] and "s3cret" not in masks.mask("s3cret-value")
    assert list(found.troubles) == [str(tmp_path / "broken.yaml")]
    assert [path.name for path in python_files(tmp_path)] == ["code.py"]


async def test_listed_hosts_are_those_of_fetch_and_curl() -> None:
    with web_server() as web:
        found = {source.name: source for source in own_sources([], [web.host], Masks()).sources}
        web.give("/x", b"here")
        assert await call_tool(found["fetch"], "fetch", url=f"{web.url}/x") == "here"
        assert await call_tool(found["curl"], "get", url=f"{web.url}/x") == "here"
    assert "is not a host" in own_sources([], ["http://x"], Masks()).troubles["fetch_private_hosts"]
