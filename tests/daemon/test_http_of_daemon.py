"""`serve --http` while a daemon runs, and what `status` tells of clients, runs and doors."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import Implementation

from support import shells
from support.shells import READY, Shell

pytestmark = pytest.mark.anyio

shell = shells.shell

ASK = '"""Ask."""\n\ndef run() -> str:\n    return ask("Which?")\n'


@asynccontextmanager
async def door(shell: Shell) -> AsyncIterator[tuple[subprocess.Popen[str], str]]:
    """A process with `serve --http`, and its URL."""
    command = [sys.executable, "-P", "-m", "repertoire", "serve", "--http", "127.0.0.1:0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=shell.environ)
    try:
        assert process.stderr is not None
        line = await anyio.to_thread.run_sync(process.stderr.readline)
        assert "through the daemon that runs" in line, line
        yield process, re.findall(r"http://[\d.:]+", line)[0]
    finally:
        process.kill()
        await anyio.to_thread.run_sync(process.communicate)


async def ended(process: subprocess.Popen[str]) -> int:
    return await anyio.to_thread.run_sync(lambda: process.wait(30))


async def test_n15_n18_the_running_daemon_opens_its_door_and_status_names_clients_runs_and_doors(shell: Shell) -> None:
    (shell.home / "workflows" / "ask_it.py").write_text(ASK)
    del shell.environ[READY]
    host = StdioServerParameters(
        command=sys.executable, args=["-P", "-m", "repertoire", "serve"], env=dict(shell.environ)
    )
    stdio = Client(stdio_client(host), mode="legacy", client_info=Implementation(name="claude-code", version="7"))
    async with stdio as session:
        answer = (await session.call_tool("ask_it", {})).structured_content
        assert answer is not None and answer["status"] == "input_required"
        async with door(shell) as (process, url):
            web = Client(f"{url}/mcp", client_info=Implementation(name="inspector", version="2"))
            async with web as page:
                assert not (await page.call_tool("counter", {})).is_error
                text = await anyio.to_thread.run_sync(lambda: shell.ok("status"))
            assert f"door: {url}/mcp" in text and "inspector 2" in text
            assert "claude-code 7, session claude-code" in text
            assert f"{answer['run_id']} input_required" in text and "search: " in text
            process.send_signal(signal.SIGTERM)
            assert await ended(process) == 0
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{url}/healthz")
        told = await anyio.to_thread.run_sync(lambda: shell.json("status"))
        assert told["running"] and told["http"] == [] and [run["run_id"] for run in told["runs"]] == [answer["run_id"]]
        async with door(shell) as (process, url):
            assert httpx2.get(f"{url}/healthz").status_code == 200
            await anyio.to_thread.run_sync(lambda: shell.ok("stop"))
            assert await ended(process) == 0
    stopped = await anyio.to_thread.run_sync(lambda: shell("status"))
    assert stopped.returncode == 0 and "not running" in stopped.stdout
    assert "unfinished runs: 1" in stopped.stdout and answer["run_id"] in stopped.stdout
