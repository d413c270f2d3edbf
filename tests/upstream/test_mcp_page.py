"""The page on MCP servers: its example is read, and its options are those of the code."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from repertoire.upstream.config import ServerOptions, read_servers
from repertoire.upstream.masks import Masks
from support.pages import blocks

PAGE = (Path(__file__).parents[2] / "docs" / "mcp-servers.md").read_text()


def test_the_example_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(blocks(PAGE, "json")[0])
    masks = Masks()
    github, files = read_servers(path, {"GITHUB_TOKEN": "ghp_123456", "HOME": "/home/ada"}, masks)
    assert (github.trouble, files.trouble) == (None, None)
    assert github.headers == {"Authorization": "Bearer ghp_123456"}
    assert "ghp" not in masks.mask("ghp_123456") and masks.mask("/home/ada") == "/home/ada"
    assert files.options == ServerOptions(timeout_s=120, destructive=("move_file", "write_*"))


def test_the_options_are_those_of_the_code() -> None:
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if line.startswith("| `")
    ]
    shown = {name: json.loads(default) for name, default, _ in rows}
    assert shown == json.loads(msgspec.json.encode(ServerOptions()))
