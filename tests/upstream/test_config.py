from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from repertoire.errors import BadSettings
from repertoire.upstream.config import ServerConfig, read_servers
from repertoire.upstream.masks import Masks

ENVIRON = {"GITHUB_TOKEN": "ghp_123456", "HOME": "/home/ada"}


def read(folder: Path, servers: dict[str, Any], masks: Masks | None = None) -> dict[str, ServerConfig]:
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": servers}))
    return {config.original: config for config in read_servers(path, ENVIRON, masks or Masks())}


def test_servers_of_each_kind_are_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {
            "file-system": {"command": "npx", "args": ["-y", "server", "${env:HOME}/x", 8080], "env": {"A": "${B:-none}"}, "cwd": "sub"},
            "docs": {"url": "https://docs.example/mcp", "headers": {"Authorization": "Bearer ${env:GITHUB_TOKEN}"}},
            "old": {"type": "sse", "url": "http://localhost:1/sse", "alwaysAllow": ["x"]},
            "new": {"type": "streamable-http", "url": "http://localhost:1/mcp"},
            "off": {"command": "x", "disabled": True},
            "tuned": {"command": "x", "repertoire": {"timeout_s": 5, "tools": ["get_*"], "key_parameters": {"pay": "key"}}},
        },
    )  # fmt: skip
    first = found["file-system"]
    assert (first.name, first.kind, first.command) == ("file_system", "stdio", "npx")
    assert first.args == ("-y", "server", "/home/ada/x", "8080")
    assert (first.env, first.cwd) == ({"A": "none"}, str(tmp_path / "sub"))
    assert found["docs"].headers == {"Authorization": "Bearer ghp_123456"}
    assert [found[name].kind for name in ("docs", "old", "new")] == ["http", "sse", "http"]
    assert "off" not in found
    assert (found["tuned"].options.timeout_s, found["tuned"].options.tools) == (5, ("get_*",))
    assert not any(config.trouble for config in found.values())


def test_secrets_are_masked_and_not_shown(tmp_path: Path) -> None:
    masks = Masks()
    found = read(
        tmp_path,
        {
            "a": {"command": "x", "args": ["${env:GITHUB_TOKEN}", "${env:HOME}"], "env": {"API_KEY": "literal-key", "MODE": "verbose"}},
            "b": {"url": "https://me:pass-word@x.example/mcp?api_key=in-the-url", "headers": {"Authorization": "Bearer hidden-one"}},
        },
        masks,
    )  # fmt: skip
    said = "ghp_123456 literal-key pass-word in-the-url hidden-one /home/ada verbose"
    assert masks.mask(said) == (
        "[secret GITHUB_TOKEN] [secret API_KEY] [secret password] [secret api_key] [secret Authorization] /home/ada verbose"
    )
    assert "ghp" not in repr(found)


@pytest.mark.parametrize(
    ("entry", "trouble"),
    [
        ({"command": "x", "args": ["${env:NOT_SET}"]}, "The environment variable NOT_SET is not set where Repertoire runs."),
        ({"command": "x", "args": ["${input:token}"]}, "${input:token} is not supported here: use ${env:NAME}."),
        ({}, 'It has neither "command" nor "url".'),
        ({"url": "ftp://x/y"}, 'Its "url" is not an http or https address.'),
        ({"url": "http://[x"}, 'Its "url" is not an http or https address.'),
        ({"type": "ws", "url": "ws://x"}, "Its \"type\" is 'ws'; it can be stdio, http or sse."),
        ({"command": "x", "args": "a b"}, '"args" is not a list.'),
        ({"command": "x", "args": [{}]}, 'A value in "args" is not a text.'),
        ({"command": "x", "args": ["a\0"]}, 'A value in "args" contains a NUL.'),
        ({"command": "x", "env": []}, None),
        ({"command": "x", "env": ["A"]}, '"env" is not an object.'),
        ("npx", "Its entry is not an object."),
        ({"command": "x", "repertoire": {"time": 5}}, '"repertoire": Object contains unknown field `time`.'),
        ({"command": "x", "repertoire": {"timeout_s": 0}}, '"repertoire": a limit must be above 0.'),
    ],
)  # fmt: skip
def test_a_fault_of_one_server_is_its_own_trouble(tmp_path: Path, entry: Any, trouble: str | None) -> None:
    found = read(tmp_path, {"bad": entry, "good": {"command": "x"}})
    assert found["bad"].trouble == trouble
    assert found["good"].trouble is None


@pytest.mark.parametrize("text", ["{", "[]", '{"mcpServers": []}', "\xff"])
def test_a_broken_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(BadSettings, match=r"mcp\.json"):
        read_servers(path, {}, Masks())


def test_no_file_means_no_servers(tmp_path: Path) -> None:
    assert read_servers(tmp_path / "mcp.json", {}, Masks()) == ()


def test_two_servers_of_one_name_get_different_ones(tmp_path: Path) -> None:
    found = read(tmp_path, {"a-b": {"command": "x"}, "a_b": {"command": "x"}, "search": {"command": "x"}})
    assert {name: config.name for name, config in found.items()} == {"a-b": "a_b_2", "a_b": "a_b", "search": "search_"}
