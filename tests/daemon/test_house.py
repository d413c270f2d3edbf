"""The real house under the front: a killed daemon, a host that leaves, several hosts on one home."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError

from support.mcp_calls import call, create, eventually
from support.transports import Stdio, runs_of, way_in

pytestmark = pytest.mark.anyio

SLOW = '"""Be slow."""\nimport time\n\ndef run(seconds: float = 60) -> str:\n    print("begun")\n    time.sleep(seconds)\n    return "done"\n'


@pytest.fixture
def home(tmp_path: Path) -> Any:
    with way_in("stdio-legacy", tmp_path / "home", {}) as way:
        yield way


def daemon_pid(home: Stdio) -> int:
    pid: int = json.loads((home.home / "daemon.json").read_text())["pid"]
    return pid


async def test_a_daemon_killed_under_a_call_is_answered_with_its_run_and_started_again(home: Stdio) -> None:
    async with home.client() as client:
        await create(client, "slow", SLOW)
        failures: list[MCPError] = []

        async def slow() -> None:
            try:
                await client.call_tool("slow", {})
            except MCPError as error:
                failures.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slow)

            async def begun() -> bool:
                return bool(await runs_of(home.home, "--status", "working"))

            await eventually(begun)
            first = daemon_pid(home)
            os.kill(first, signal.SIGKILL)
        run_id = failures[0].error.data["run_id"]
        assert run_id in str(failures[0]) and run_id.startswith("workflow:slow:")
        found = await call(client, "get_run", {"run_id": run_id})
        assert found["status"] == "working" and daemon_pid(home) != first, "it goes on there"
        assert (await call(client, "cancel_run", {"run_id": run_id}))["status"] == "cancelled"
        assert (await call(client, "slow", {"seconds": 0}))["result"] == "done"


async def test_a_host_that_leaves_lets_its_run_go_on(home: Stdio) -> None:
    async with home.client() as client:
        await create(client, "slow", SLOW)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "slow", {"seconds": 8})

            async def begun() -> bool:
                return bool(await runs_of(home.home, "--status", "working"))

            await eventually(begun)
            os.kill(_front_of(home), signal.SIGKILL)
            tasks.cancel_scope.cancel()
    async with home.client() as later:
        run_id = (await runs_of(home.home))[0]["run_id"]
        answer = await call(later, "get_run", {"run_id": run_id, "wait_s": 20})
        assert (answer["status"], answer["result"]) == ("completed", "done")


def _front_of(home: Stdio) -> int:
    """The process that serves this home over stdio, found as `ps` finds it."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"serve" in words and str(home.home).encode() in words:
                return int(entry.name)
    raise AssertionError("no front")


async def test_hosts_share_what_was_created_and_have_their_own_sessions(home: Stdio) -> None:
    count = '"""Count."""\n\ndef run() -> int:\n    session_state["n"] = session_state.get("n", 0) + 1\n    return session_state["n"]\n'
    async with home.client(session="one") as one, home.client(session="two") as two:
        await create(one, "counts", count)
        assert [(await call(host, "counts"))["result"] for host in (one, one, two)] == [1, 2, 1]
        mine = (await call(one, "counts"))["session_id"]
        assert (await call(two, "counts", {"session_id": mine}))["result"] == 4


async def test_roots_are_each_hosts_own(home: Stdio, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "mine.py").write_text('"""Mine."""\n\ndef run() -> int:\n    return 1\n')

    @asynccontextmanager
    async def rooted() -> AsyncIterator[Client]:
        words = [
            "-P",
            "-m",
            "repertoire",
            "serve",
            "--home",
            str(home.home),
            "--workflows",
            str(tmp_path / "project"),
        ]
        async with Client(
            stdio_client(StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ)))
        ) as client:
            yield client

    async with rooted() as with_root, home.client() as without:
        assert (await call(with_root, "mine"))["result"] == 1
        with pytest.raises(MCPError, match="Unknown tool"):
            await without.call_tool("mine", {})


async def test_an_idle_daemon_ends_and_the_next_host_starts_another(tmp_path: Path) -> None:
    with way_in("stdio-modern", tmp_path / "home", {"REPERTOIRE_IDLE_EXIT_S": "0.5"}) as way:
        async with way.client() as client:
            await create(client, "kept", '"""Keep."""\n\ndef run() -> int:\n    return 1\n')
        first = way.home / "daemon.json"

        async def ended() -> bool:
            return not first.exists()

        await eventually(ended)
        async with way.client() as client:
            assert (await call(client, "kept"))["result"] == 1
