"""The Python client against real servers: over stdio, Streamable HTTP and legacy SSE, with and without async."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client

from repertoire_client import Event, RepertoireCallError, RepertoireClient, SyncRepertoireClient
from support.transports import http_server, way_in

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("without_walls")]

CLIENTS = Path(__file__).parents[2] / "clients"
CONFIGS = CLIENTS / "configs"
PLACEHOLDER = "/path/to/.venv/bin/repertoire"
OVER_STDIO = ["claude-desktop.json", "claude-code.mcp.json", "cursor.json", "vscode.json"]
OVER_HTTP = ["http.json", "sse.json"]
DEADLINE_S = 1.0
ENVIRON = {"REPERTOIRE_INLINE_DEADLINE_S": str(DEADLINE_S), "REPERTOIRE_WORKERS": "2"}

DOUBLE = '''"""Give back twice a number."""

def run(number: int) -> int:
    """Give back twice a number."""
    progress(1, 2, "half")
    log.info("nearly")
    return number * 2
'''
COUNT = '''"""Count the calls of a session."""

def run() -> int:
    session_state["count"] = session_state.get("count", 0) + 1
    return session_state["count"]
'''
WAIT = '''"""Wait for a file, saying something first and last."""
import pathlib
import time

def run(file: str) -> str:
    pathlib.Path(file + ".started").touch()
    log.info("first")
    while not pathlib.Path(file).exists():
        time.sleep(0.02)
    log.info("last")
    return "seen"
'''
LONG = '"""Give a long text."""\n\ndef run(length: int) -> list[str]:\n    return ["é" * length, "end"]\n'
CHATTY = '"""Log much."""\n\ndef run(lines: int) -> None:\n    for i in range(lines):\n        log.info(str(i))\n'
FAIL = '"""Fail."""\n\ndef run() -> None:\n    raise ValueError("no luck")\n'


@dataclass(frozen=True)
class Door:
    """A server of this module; a new client of it as often as wanted."""

    name: str
    home: Path
    url: str | None

    def client(self, session: str = "default") -> RepertoireClient:
        return RepertoireClient.http(self.url) if self.url else RepertoireClient.stdio(self.home, session)

    def sync(self) -> SyncRepertoireClient:
        return SyncRepertoireClient.http(self.url) if self.url else SyncRepertoireClient.stdio(self.home)


@contextmanager
def variables(environ: dict[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environ.items():
            patch.setenv(key, value)
        yield


@pytest.fixture(params=["stdio", "http", "sse"], scope="module")
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    home = tmp_path_factory.mktemp("client") / "home"
    with variables(ENVIRON), way_in(request.param, home, ENVIRON) as way:
        url: str | None = getattr(way, "url", None)
        yield Door(request.param, home, f"{url}/sse" if request.param == "sse" else url)


async def test_a_workflow_is_created_found_read_run_and_deleted(door: Door) -> None:
    async with door.client() as client:
        created = await client.workflows.create("double_it", DOUBLE, replace=True)
        assert created.name == "double_it" and created.findings[0]["severity"] == "info"
        (best, *_) = await client.workflows.search("twice a number", limit=3)
        assert (best.name, best.score, best.version) == ("double_it", 1, created.version)
        assert "double_it" in [item.name for item in await client.workflows.list()]
        read = await client.workflows.get("double_it")
        assert read.source == DOUBLE and read.input_schema["required"] == ["number"]
        assert read.versions[0]["version"] == created.version
        run = await client.workflows.run("double_it", {"number": 4})
        assert (run.status, run.result, run.error, run.is_final) == ("completed", 8, None, True)
        assert await client.runs.result(run.run_id) == 8
        assert (await client.runs.get(run.run_id, after_event=1)).events[0]["n"] == 2
        assert await client.workflows.delete("double_it") and not await client.workflows.delete("double_it")
        with pytest.raises(FrozenInstanceError):
            run.status = "failed"  # type: ignore[misc]


async def test_every_event_is_heard_once_and_in_order(door: Door, tmp_path: Path) -> None:
    heard: list[Event] = []

    async def hear(event: Event) -> None:
        heard.append(event)
        if event["data"].get("message") == "first":  # heard while the run goes on: it waits for this file
            (tmp_path / "go").touch()

    async with door.client() as client:
        await client.workflows.create("wait_for", WAIT, replace=True)
        with anyio.fail_after(30):
            run = await client.workflows.run("wait_for", {"file": str(tmp_path / "go")}, on_event=hear)
    assert run.result == "seen"
    assert [event["n"] for event in heard] == list(range(1, len(heard) + 1))
    assert [event["data"]["message"] for event in heard if event["type"] == "log"] == ["first", "last"]
    assert heard[-1]["type"] == "run_end"


async def test_more_events_than_one_answer_holds_are_all_heard(door: Door) -> None:
    heard: list[int] = []
    async with door.client() as client:
        await client.workflows.create("chatty", CHATTY, replace=True)
        await client.workflows.run("chatty", {"lines": 1200}, on_event=lambda event: heard.append(event["n"]))
    assert heard == list(range(1, 1203))


async def test_progress_is_heard_during_the_call(door: Door) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(done: float, total: float | None, message: str | None) -> None:
        heard.append((done, total, message))

    async with door.client() as client:
        await client.workflows.create("double_it", DOUBLE, replace=True)
        await client.workflows.run("double_it", {"number": 4}, on_progress=hear)
    assert heard and heard[0][1] == 2


async def test_a_run_can_be_left_followed_and_cancelled(door: Door, tmp_path: Path) -> None:
    async with door.client() as client:
        await client.workflows.create("wait_for", WAIT, replace=True)
        left = await client.workflows.run("wait_for", {"file": str(tmp_path / "go")}, wait_s=0)
        assert (left.status, left.result, left.is_final) == ("working", None, False)
        (tmp_path / "go").touch()
        assert await client.runs.result(left.run_id) == "seen"

        stopped = await client.workflows.run("wait_for", {"file": str(tmp_path / "never")}, wait_s=0)
        assert (await client.runs.cancel(stopped.run_id)).status == "cancelled"
        with pytest.raises(RepertoireCallError) as raised:
            await client.runs.result(stopped.run_id)
        assert (raised.value.code, raised.value.run_id) == ("cancelled", stopped.run_id)


async def until_exists(path: Path) -> None:
    with anyio.fail_after(30):
        while not path.exists():
            await anyio.sleep(0.01)


async def test_a_call_that_is_cancelled_before_its_answer_stops_its_run(tmp_path: Path) -> None:
    """With the deadline as it is: one second would be a race."""
    with (
        variables({"REPERTOIRE_INLINE_DEADLINE_S": "45"}),
        way_in("stdio", tmp_path / "home", {}),
    ):
        async with RepertoireClient.stdio(tmp_path / "home") as client, anyio.create_task_group() as tasks:
            await client.workflows.create("wait_for", WAIT)
            tasks.start_soon(client.workflows.run, "wait_for", {"file": str(tmp_path / "never")})
            await until_exists(tmp_path / "never.started")
            tasks.cancel_scope.cancel()
        shown = [sys.executable, "-P", "-m", "repertoire", "runs", "--json", "--home", str(tmp_path / "home")]
        with anyio.fail_after(30):
            while (runs := json.loads(subprocess.check_output(shown)))[0]["status"] == "working":
                await anyio.sleep(0.1)
    assert [run["status"] for run in runs] == ["cancelled"]


async def test_a_lost_server_raises_with_the_run_that_can_be_asked_for(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with variables({"REPERTOIRE_INLINE_DEADLINE_S": "45"}), way_in("stdio", home, {}):
        async with RepertoireClient.stdio(home) as client, anyio.create_task_group() as tasks:
            await client.workflows.create("wait_for", WAIT)

            async def kill() -> None:
                await until_exists(tmp_path / "never.started")
                os.kill(json.loads((home / "daemon.json").read_text())["pid"], signal.SIGKILL)

            tasks.start_soon(kill)
            with anyio.fail_after(60), pytest.raises(RepertoireCallError) as raised:
                await client.workflows.run("wait_for", {"file": str(tmp_path / "never")})
            assert raised.value.code == "protocol_error" and raised.value.run_id is not None
            (tmp_path / "never").touch()
            with anyio.fail_after(60):  # the next daemon goes on with it
                assert await client.runs.result(raised.value.run_id) == "seen"


async def test_a_long_result_comes_whole(door: Door) -> None:
    async with door.client() as client:
        await client.workflows.create("long_text", LONG, replace=True)
        run = await client.workflows.run("long_text", {"length": 90_000})
        assert run.result == ["é" * 90_000, "end"] and run.parts == 3
        assert await client.runs.result(run.run_id) == run.result
        assert (await client.runs.get(run.run_id)).result is None


async def test_what_failed_is_an_answer_and_what_was_refused_raises(door: Door) -> None:
    async with door.client() as client:
        await client.workflows.create("fail_it", FAIL, replace=True)
        run = await client.workflows.run("fail_it")
        assert run.status == "failed" and run.error is not None
        assert (run.error.type, run.error.message, run.error.line) == ("ValueError", "no luck", 4)
        refused: list[tuple[str, Any]] = [
            ("unknown_workflow", partial(client.workflows.run, "nobody")),
            ("unknown_workflow", partial(client.workflows.get, "nobody")),
            ("unknown_run", partial(client.runs.get, "workflow:x:1")),
            ("unknown_session", partial(client.workflows.run, "fail_it", session_id="s_none")),
            ("name_taken", partial(client.workflows.create, "fail_it", FAIL)),
        ]
        for code, call in refused:
            with pytest.raises(RepertoireCallError) as raised:
                await call()
            assert raised.value.code == code and raised.value.message and raised.value.hint
        with pytest.raises(RepertoireCallError) as raised:
            await client.workflows.create("broken", '"""Broken."""\n\ndef run(:\n')
        assert raised.value.line == 3


async def test_a_session_is_made_with_new_and_used_by_its_id(door: Door) -> None:
    async with door.client() as client:
        await client.workflows.create("count_it", COUNT, replace=True)
        first = await client.workflows.run("count_it", session_id="new")
        second = await client.workflows.run("count_it", session_id=first.session_id)
        assert (first.result, second.result) == (1, 2) and first.session_id == second.session_id


async def test_a_question_is_answered_and_the_same_key_is_the_same_run(door: Door) -> None:
    async with door.client() as client:
        await client.workflows.create(
            "ask_it", '"""Ask."""\n\ndef run() -> str:\n    return ask("Well?")\n', replace=True
        )
        asking = await client.workflows.run("ask_it", session_id="new", idempotency_key=f"once-{door.name}")
        assert asking.status == "input_required" and asking.questions[0].question == "Well?"
        again = await client.workflows.run("ask_it", session_id="new", idempotency_key=f"once-{door.name}")
        assert again.run_id == asking.run_id
        assert asking.run_id in [run.run_id for run in await client.runs.list("ask_it", status="input_required")]
        answered = await client.runs.answer(asking.run_id, "very", asking.questions[0].id)
        assert answered.run_id == asking.run_id and await client.runs.result(asking.run_id) == "very"
        assert (await client.runs.list("ask_it", limit=1))[0].status == "completed"


async def test_what_the_body_raises_leaves_unwrapped(door: Door) -> None:
    with pytest.raises(RepertoireCallError, match="unknown_workflow"):
        async with door.client() as client:
            await client.workflows.run("nobody")


async def test_without_async_the_same_names_do_the_same(door: Door) -> None:
    def work() -> None:
        heard: list[int] = []
        with door.sync() as client:
            assert client.workflows.create("double_it", DOUBLE, replace=True).name == "double_it"
            assert client.workflows.search("twice a number")[0].name == "double_it"
            assert "double_it" in [item.name for item in client.workflows.list()]
            assert client.workflows.get("double_it").source == DOUBLE
            run = client.workflows.run("double_it", {"number": 4}, on_event=lambda event: heard.append(event["n"]))
            assert run.result == client.runs.result(run.run_id) == 8
            assert heard == list(range(1, len(heard) + 1)) and len(heard) >= 4
            assert client.runs.get(run.run_id).status == client.runs.cancel(run.run_id).status == "completed"
            assert client.workflows.delete("double_it")
        with pytest.raises(RepertoireCallError, match="unknown_workflow"), door.sync() as client:
            client.workflows.run("nobody")

    await anyio.to_thread.run_sync(work)


async def test_stdio_hosts_have_sessions_by_name_and_folders_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "count_it.py").write_text(COUNT)
    with way_in("stdio", tmp_path / "home", {}):
        counts = []
        for session in ("a", "b", "a"):
            async with RepertoireClient.stdio(tmp_path / "home", session, [folder]) as client:
                counts.append((await client.workflows.run("count_it")).result)
    assert counts == [1, 1, 2]


@pytest.mark.parametrize(
    "client",
    [
        partial(RepertoireClient.http, "http://127.0.0.1:9/mcp"),
        partial(RepertoireClient.stdio, command=[sys.executable, "-c", "raise SystemExit(3)"]),
        partial(RepertoireClient.stdio, command=[os.devnull]),
    ],
    ids=["nobody-listens", "ends-at-once", "no-program"],
)
async def test_no_server_is_one_clear_error(client: Any) -> None:
    with anyio.fail_after(30), pytest.raises(RepertoireCallError) as raised:
        async with client():
            pass
    assert raised.value.code == "not_connected"


def test_no_server_is_the_same_error_without_async() -> None:
    with pytest.raises(RepertoireCallError, match="not_connected"), SyncRepertoireClient.http("http://127.0.0.1:9"):
        pass


async def test_the_example_of_the_docs_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (CLIENTS.parent / "docs" / "clients.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "sales.csv").write_text("day,sum\n1,10\n2,20\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPERTOIRE_HOME", str(tmp_path / "home"))
    with way_in("stdio", tmp_path / "home", {}):
        exec(compile(example, "docs/clients.md", "exec"), names := dict[str, Any]())
        await names["profile"](Path("sales.csv"))
    printed = capsys.readouterr().out
    assert "'type': 'run_end'" in printed and "\ncompleted {" in printed


def shown(name: str) -> dict[str, Any]:
    """The server's entry in a configuration of clients/configs."""
    config = json.loads((CONFIGS / name).read_text())
    (servers,) = config.values()
    entry: dict[str, Any] = servers["repertoire"]
    assert list(config) == ["servers" if name == "vscode.json" else "mcpServers"] and list(servers) == ["repertoire"]
    return entry


def test_every_configuration_is_tested() -> None:
    assert {path.name for path in CONFIGS.iterdir()} == {*OVER_STDIO, *OVER_HTTP}


@pytest.mark.parametrize("name", OVER_STDIO)
async def test_the_command_of_a_configuration_starts_and_lists_tools(name: str, tmp_path: Path) -> None:
    entry = shown(name)
    assert entry["command"] == PLACEHOLDER and entry.get("type", "stdio") == "stdio"
    assert entry["args"] == ["serve", "--session", name.partition(".")[0]]
    home = tmp_path / "home"
    arguments = ["-P", "-m", "repertoire", *entry["args"]]
    server = StdioServerParameters(
        command=sys.executable, args=arguments, env={**os.environ, "REPERTOIRE_HOME": str(home)}
    )
    with way_in("stdio", home, {}):
        async with Client(server) as client:
            assert "run_workflow" in [tool.name for tool in (await client.list_tools()).tools]


@pytest.mark.parametrize("name", OVER_HTTP)
async def test_the_address_of_a_configuration_answers(name: str, tmp_path: Path) -> None:
    entry = shown(name)
    assert entry["type"] == name.partition(".")[0]
    with http_server(tmp_path / "home", {}) as url:
        address = entry["url"].replace("http://127.0.0.1:8080", url)
        assert address.startswith(url)
        async with Client(sse_client(address) if entry["type"] == "sse" else address) as client:
            assert "run_workflow" in [tool.name for tool in (await client.list_tools()).tools]
