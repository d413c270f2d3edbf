"""Several hosts on one home at once: stdio fronts and HTTP clients over one process share workflows, runs and named sessions, not keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from support.mcp_calls import call, create, eventually
from support.transports import Http, Stdio, http_server, runs_of, way_in

pytestmark = pytest.mark.anyio

SAY = '"""Say who made this."""\n\ndef run() -> str:\n    return {!r}\n'
COUNT = '''"""Count the calls of a session."""

def run() -> int:
    log.info("counting")
    session_state["n"] = session_state.get("n", 0) + 1
    return session_state["n"]
'''
SLOW = '"""Take a minute."""\nimport time\n\ndef run() -> str:\n    progress(1, 2, "begun")\n    time.sleep(60)\n    return "done"\n'
KEY = '"""Say the key."""\nimport os\n\ndef run() -> str | None:\n    return os.environ.get("PROVIDER_KEY")\n'


@asynccontextmanager
async def everybody(home: Path, url: str) -> AsyncIterator[dict[str, Client]]:
    """Five fronts, two of them with one session name, and three clients of HTTP: all connected at once."""
    ways: dict[str, Any] = {
        f"front{n}": Stdio("stdio-modern" if n % 2 else "stdio-legacy", home, {}).client(session=name)
        for n, name in enumerate(["shared", "shared", "c", "d", "e"])
    }
    ways |= {name: Http(name, home, url).client() for name in ("http-modern", "http-legacy", "sse-legacy")}
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(way) for name, way in ways.items()}


async def test_five_fronts_and_three_http_clients_share_one_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "workflows").mkdir(parents=True)
    home.chmod(0o700)
    with http_server(home, {}) as url:
        owner = json.loads((home / "daemon.json").read_text())["pid"]
        async with everybody(home, url) as clients:
            await _share_what_they_create(clients)
            await _have_sessions_by_name(clients)
            await _see_each_others_runs(home, clients)
            assert json.loads((home / "daemon.json").read_text())["pid"] == owner


async def _share_what_they_create(clients: dict[str, Client]) -> None:
    names = {f"made_by_{name.replace('-', '_')}": name for name in clients}
    async with anyio.create_task_group() as tasks:
        for made, name in names.items():
            tasks.start_soon(create, clients[name], made, SAY.format(name))
    for client in clients.values():
        assert names.keys() <= {tool.name for tool in (await client.list_tools()).tools}

    async def calls_all(client: Client) -> None:
        for made, name in names.items():
            assert (await call(client, made))["result"] == name

    async with anyio.create_task_group() as tasks:
        for client in clients.values():
            tasks.start_soon(calls_all, client)


async def _have_sessions_by_name(clients: dict[str, Client]) -> None:
    await create(clients["front0"], "counts", COUNT)
    assert [(await call(clients[f"front{n}"], "counts"))["result"] for n in (0, 1, 2, 0)] == [1, 2, 1, 3]
    shared = (await call(clients["front1"], "counts"))["session_id"]
    seen: list[int] = []

    async def increments(client: Client) -> None:
        seen.append((await call(client, "counts", {"session_id": shared}))["result"])

    async with anyio.create_task_group() as tasks:
        for client in clients.values():
            tasks.start_soon(increments, client)
    assert sorted(seen) == list(range(5, 5 + len(clients)))


async def _see_each_others_runs(home: Path, clients: dict[str, Client]) -> None:
    await create(clients["front2"], "slow", SLOW)
    starter, watcher, stopper = clients["front3"], clients["http-modern"], clients["front4"]
    answers: list[dict[str, Any]] = []
    told: list[str | None] = []

    async def start() -> None:
        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            told.append(message)

        answer = await starter.call_tool("slow", {}, progress_callback=on_progress)
        assert isinstance(answer.structured_content, dict)
        answers.append(answer.structured_content)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start)

        async def begun() -> bool:
            return bool(told)

        await eventually(begun)
        run_id = (await runs_of(home, "--status", "working"))[0]["run_id"]
        seen = await call(watcher, "get_run", {"run_id": run_id})
        assert seen["status"] == "working" and [event["type"] for event in seen["events"]] == ["run_start", "progress"]
        assert (await call(stopper, "cancel_run", {"run_id": run_id}))["status"] == "cancelled"
    assert answers[0]["run_id"] == run_id and answers[0]["status"] == "cancelled"
    ended = await call(watcher, "get_run", {"run_id": run_id, "after_event": 2})
    assert [event["type"] for event in ended["events"]] == ["run_end"]


async def test_the_keys_of_one_host_serve_no_other(tmp_path: Path) -> None:
    """The daemon was started by the first host and has its whole environment; bodies see that of whoever calls."""
    (tmp_path / "home" / "workflows").mkdir(parents=True)
    (tmp_path / "home" / "repertoire.toml").write_text('worker_env = ["PROVIDER_KEY"]\n')
    (tmp_path / "home" / "workflows" / "from_file.py").write_text(KEY)
    with way_in("stdio-modern", tmp_path / "home", {"PROVIDER_KEY": "first"}) as way:

        def host(**environ: str) -> Any:
            return Stdio("stdio-legacy", way.home, environ).client()

        async with way.client() as first, host(PROVIDER_KEY="second") as second, host() as third:
            await create(third, "from_tool", KEY)
            for name in ("from_file", "from_tool"):
                answers = [(await call(client, name))["result"] for client in (first, second, third, first)]
                assert answers == ["first", "second", None, "first"], name
            command = [sys.executable, "-P", "-m", "repertoire", "run", "from_file", "--home", str(way.home), "--json"]
            done = subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PROVIDER_KEY": "cli"})
            assert json.loads(done.stdout)["result"] == "cli"
