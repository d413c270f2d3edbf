"""Which session a client has when it names none: its own name's, and the command line's is `cli`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import Implementation

from repertoire.model.session import session_of_client
from support import shells
from support.shells import READY, Shell

pytestmark = pytest.mark.anyio

shell = shells.shell


async def count(home: Path, client: str, mode: str, *words: str) -> int:
    """Run `counter` once as the client with this name."""
    arguments = ["-P", "-m", "repertoire", "serve", "--home", str(home), *words]
    server = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
    info = Implementation(name=client, version="1")
    async with Client(stdio_client(server), mode="legacy" if mode == "legacy" else "auto", client_info=info) as session:
        answer = (await session.call_tool("counter", {})).structured_content
    assert answer is not None
    return int(answer["result"]["count"])


async def test_n2_each_client_has_the_session_of_its_own_name_and_the_command_line_has_cli(shell: Shell) -> None:
    home = shell.home
    del shell.environ[READY]
    try:
        assert await count(home, "claude-code", "modern", "--session", "default") == 1  # what an earlier version kept
        assert [await count(home, "claude-code", mode) for mode in ("modern", "legacy")] == [1, 2]
        assert await count(home, "cursor", "legacy") == 1
        assert shell.json("run", "counter")["result"]["count"] == 1
        assert shell.json("run", "counter", "--session", "default")["result"]["count"] == 2
        assert {row["name"] for row in shell.json("sessions")} == {"claude-code", "cursor", "cli", "default"}
    finally:
        shell.ok("stop")


def test_n2_a_clients_name_is_no_way_into_the_session_of_a_connection() -> None:
    assert session_of_client("http:0123abcd") == "http-0123abcd"
    assert session_of_client("Claude Code") == "Claude Code"
    assert [session_of_client(name) for name in ("", " \n", "x" * 100)] == ["default", "default", "x" * 60]
    assert session_of_client("a\x1b[31mb") == "a-31mb"
