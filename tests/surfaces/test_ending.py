"""A server that ends, or whose home is taken away: every open call is answered first, and nothing is said that is not recorded."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp.server.lowlevel import Server

from repertoire import home as homes
from repertoire.app import open_app
from repertoire.daemon import lifetime
from repertoire.daemon.home_lock import Owner
from repertoire.errors import StorageError
from repertoire.settings import load
from repertoire.store import open_store
from repertoire.store.audit import By
from repertoire.store.file_identity import lost_home
from repertoire.surfaces.mcp.stdio_framing import serve_lines
from support.daemons import PATIENCE_S, Peer, Spoken, until
from support.faults import COMMAND, Host, database, owner_of, query, repertoire, stored_home
from support.transports import Http, http_server

SLOW = '''"""Be slow until a file is there."""
import os
import time

def run(until: str, number: int = 0) -> int:
    print("begun")
    while not os.path.exists(until):
        time.sleep(0.01)
    return number
'''


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = stored_home(tmp_path / "home")
    (home / "workflows" / "slow.py").write_text(SLOW)
    yield home
    if home.exists() and homes.is_owned(str(home)):
        os.kill(owner_of(home), signal.SIGKILL)
        until(lambda: not homes.is_owned(str(home)))


def begun(home: Path, count: int = 1) -> None:
    until(lambda: query(home, "SELECT count(*) FROM run WHERE workflow = 'slow' AND status = 'working'")[0][0] == count)


def answers(host: Spoken, numbers: list[int]) -> dict[int, Any]:
    """The answer to each of these requests, whatever else is told between them."""
    found: dict[int, Any] = {}
    while len(found) < len(numbers):
        said = host.receive()
        assert said is not None, f"the connection ended before {set(numbers) - found.keys()} were answered"
        if said.get("id") in numbers:
            found[said["id"]] = said
    return found


def is_working(answer: dict[str, Any]) -> str:
    """The run's id of a call that the end of the server has met."""
    envelope: dict[str, Any] = answer["result"]["structuredContent"]
    assert (envelope["status"], envelope["result"], answer["result"]["isError"]) == ("working", None, False), envelope
    assert "get_run" in envelope["message"] and "goes on" in envelope["message"]
    return str(envelope["run_id"])


def stop(home: Path) -> None:
    assert repertoire(home, "stop").returncode == 0


def terminate(home: Path) -> None:
    os.kill(owner_of(home), signal.SIGTERM)


@pytest.mark.parametrize("end", [stop, terminate])
def test_r7_open_calls_are_answered_working_before_the_daemon_closes(
    home: Path, tmp_path: Path, end: Callable[[Path], None]
) -> None:
    host = Host(home).begin()
    try:
        until_file = str(tmp_path / "go")
        numbers = [
            host.ask("tools/call", name="slow", arguments={"until": until_file, "number": number})
            for number in range(12)
        ]
        begun(home, 12)
        end(home)
        told = {is_working(answer) for answer in answers(host, numbers).values()}
        until(lambda: not homes.is_owned(str(home)))
        assert told == {run for (run,) in query(home, "SELECT id FROM run WHERE workflow = 'slow'")}
        Path(until_file).touch()
        number = host.ask("tools/call", name="get_run", arguments={"run_id": sorted(told)[0], "wait_s": 20})
        assert answers(host, [number])[number]["result"]["structuredContent"]["status"] == "completed"
        until(lambda: query(home, "SELECT count(*) FROM run WHERE status = 'working'") == [(0,)])
    finally:
        host.close()


def test_r7_who_waits_with_get_run_and_who_creates_is_answered_too(home: Path, tmp_path: Path) -> None:
    """And neither starts the daemon that was stopped again."""
    host, until_file = Host(home).begin(), str(tmp_path / "go")
    try:
        call = host.ask("tools/call", name="slow", arguments={"until": until_file})
        begun(home)
        (run_id,) = query(home, "SELECT id FROM run WHERE workflow = 'slow'")[0]
        waits = host.ask("tools/call", name="get_run", arguments={"run_id": run_id, "wait_s": 30})
        example = {"arguments": {"until": until_file}, "expect": 0}
        arguments = {"name": "slower", "source": SLOW, "examples": [example]}
        creates = host.ask("tools/call", name="create_workflow", arguments=arguments)
        until(lambda: query(home, "SELECT 1 FROM run WHERE workflow = 'slower'"))
        stop(home)
        found = answers(host, [call, waits, creates])
        assert is_working(found[call]) == run_id
        assert found[waits]["result"]["structuredContent"]["status"] == "working"
        refused = found[creates]["result"]
        assert refused["isError"] and refused["structuredContent"]["error"]["code"] == "server_ends", refused
        assert host.lines.silent(0.3) and not homes.is_owned(str(home))
    finally:
        host.close()


@pytest.mark.anyio
async def test_r7_a_hand_over_answers_what_is_still_open(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifetime, "_DRAIN_S", 0.3)
    ends: list[Any] = []

    def host() -> None:
        peer = Peer(str(home), {"mode": "mcp", "version": "0.1.0"})
        if peer.hello is not None and peer.hello.get("env"):
            peer.send({})  # the environment variables that the daemon asks for: none
        client = {"name": "t", "version": "1"}
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        peer.send({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})
        peer.receive()
        peer.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        params = {"name": "slow", "arguments": {"until": str(tmp_path / "go")}}
        peer.send({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params})
        begun(home)
        newer = Peer(str(home), {"mode": "mcp", "version": "9.0.0"})
        assert newer.hello is not None and newer.hello["ok"], "it is served until then"
        while (line := peer.lines.line()) is not None:
            ends.append(json.loads(line.removeprefix(b"#")))
        newer.close()
        peer.close()

    with Owner(str(home), kind="daemon", version="0.1.0") as owner:
        async with open_app(load(home=str(home), environ={})) as app, anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, host)
            assert await app.serve(owner) == "handed over"
    last, bye = [said for said in ends if "bye" in said or ("jsonrpc" in said and said.get("id") == 2)]
    assert is_working(last) and "version 9.0.0 takes over" in last["result"]["structuredContent"]["message"]
    assert bye == {"bye": "handed over", "rest": False, "to": "9.0.0"}


def test_r7_an_embedded_server_answers_before_it_goes(home: Path, tmp_path: Path) -> None:
    host = Spoken([*COMMAND, "serve", "--embedded", "--home", str(home)])
    try:
        host.initialize()
        call = host.ask("tools/call", name="slow", arguments={"until": str(tmp_path / "go")})
        begun(home)
        host.process.send_signal(signal.SIGTERM)
        assert is_working(answers(host, [call])[call])
    finally:
        host.close()


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["http-modern", "http-legacy", "sse-legacy"])
async def test_r7_a_server_over_http_answers_before_it_goes(home: Path, tmp_path: Path, way: str) -> None:
    with http_server(home, {}) as url:
        told: list[Any] = []
        async with Http(way, home, url).client() as client:

            async def call() -> None:
                result = await client.call_tool("slow", {"until": str(tmp_path / "go")})
                told.append(result.structured_content)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await anyio.to_thread.run_sync(begun, home)
                await anyio.to_thread.run_sync(terminate, home)
            (envelope,) = told
            assert envelope["status"] == "working" and "get_run" in envelope["message"]
    assert query(home, "SELECT status FROM run WHERE id = ?", envelope["run_id"]) == [("working",)]


# The home is taken away.


def _delete(home: Path) -> None:
    shutil.rmtree(home)


def _move(home: Path) -> None:
    home.rename(home.with_name("moved"))


def _replace_database(home: Path) -> None:
    shutil.copy(database(home), home / "copy")
    os.replace(home / "copy", database(home))


def _delete_log(home: Path) -> None:
    Path(f"{database(home)}-wal").unlink()


def _delete_lock(home: Path) -> None:
    Path(homes.lock_path(str(home))).unlink()


@pytest.mark.anyio
@pytest.mark.parametrize("take", [_delete, _move, _replace_database, _delete_log, _delete_lock])
async def test_r8_every_file_that_is_taken_away_is_noticed(tmp_path: Path, take: Callable[[Path], None]) -> None:
    with Owner(str(tmp_path / "home"), kind="daemon", version="0.1.0") as owner:
        async with open_store(str(database(tmp_path / "home"))) as store:
            assert owner.lost_file() is None and store.lost_file() is None
            take(tmp_path / "home")
            lost = owner.lost_file() or store.lost_file()
            assert lost is not None and lost.startswith(str(tmp_path / "home"))
            store.lose(lost_home(lost))
            for verb in (store.pins, partial(store.set_pinned, "any", True, By())):
                with pytest.raises(StorageError, match="was deleted, moved or replaced"):
                    await verb()


@pytest.mark.parametrize("take", [_delete, _replace_database])
def test_r8_a_home_that_is_taken_away_is_noticed_and_its_daemon_ends(
    home: Path, tmp_path: Path, take: Callable[[Path], None]
) -> None:
    host = Host(home).begin()
    try:
        call = host.ask("tools/call", name="slow", arguments={"until": str(tmp_path / "go")})
        said = "SELECT 1 FROM event JOIN run ON run.id = run_id WHERE workflow = 'slow' AND type = 'log'"
        until(lambda: query(home, said))  # the body has begun: it needs no file of the home any more
        daemon = owner_of(home)
        take(home)
        answer = answers(host, [call])[call]["result"]
        assert answer["isError"] and "was deleted, moved or replaced" in str(answer["structuredContent"]["error"])
        until(lambda: not os.path.exists(f"/proc/{daemon}"))
        (tmp_path / "go").touch()
        number = host.ask("tools/call", name="list_workflows", arguments={})
        assert not answers(host, [number])[number]["result"]["isError"]
        assert owner_of(home) != daemon, "a second start finds or makes a home"
        stop(home)
        assert repertoire(home, "runs").returncode == 0
    finally:
        host.close()


def test_r8_a_daemon_that_was_left_without_its_home_takes_nothing_from_the_next_one(home: Path) -> None:
    """Whichever of the two ends last."""
    first = Host(home).begin()
    daemon = owner_of(home)
    os.kill(daemon, signal.SIGSTOP)  # so that it has not noticed yet when the next one is up
    shutil.rmtree(home)
    second = Host(home).begin()
    try:
        assert owner_of(home) != daemon
        os.kill(daemon, signal.SIGCONT)
        until(lambda: not os.path.exists(f"/proc/{daemon}"))
        assert os.path.exists(homes.socket_path(str(home))) and homes.is_owned(str(home))
        assert "workflows" in second.call("list_workflows")
    finally:
        first.close()
        second.close()


@pytest.mark.anyio
async def test_r8_a_server_over_http_says_so_and_ends_with_an_error(home: Path) -> None:
    command = [*COMMAND, "serve", "--http", "127.0.0.1:0", "--home", str(home)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        while "serves" not in process.stderr.readline():
            pass
        shutil.rmtree(home)
        said = process.stderr.read()
        assert process.wait(PATIENCE_S) == 1 and f"{home}" in said and "Traceback" not in said, said
        assert "was deleted, moved or replaced" in said
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_r8_a_disk_that_does_not_answer_has_lost_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Owner(str(home), kind="daemon", version="0.1.0") as owner:
        assert owner.lost_file() is None

        def stalled(path: object) -> os.stat_result:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patched:
            patched.setattr(os, "stat", stalled)
            assert owner.lost_file() is None


class _Broken:
    """Lines whose input ends while a call is open."""

    def __init__(self, called: anyio.Event) -> None:
        self._called = called
        self._asked = False
        self.written: list[dict[str, Any]] = []

    async def receive(self) -> bytes | None:
        if self._asked:
            await self._called.wait()
            return None
        self._asked = True
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = {"name": "slow", "arguments": {}, "_meta": meta}
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()

    async def send(self, line: bytes) -> None:
        self.written.append(json.loads(line))


@pytest.mark.anyio
@pytest.mark.parametrize("to_front", [True, False])
async def test_a_call_that_is_broken_off_is_answered_by_the_front_which_knows_more(to_front: bool) -> None:
    called = anyio.Event()

    async def slow(ctx: Any, params: Any) -> Any:
        called.set()
        await anyio.sleep_forever()

    lines = _Broken(called)
    with anyio.fail_after(10):
        await serve_lines(Server("test", on_call_tool=slow), lines, to_front=to_front)
    assert [answer["error"]["code"] for answer in lines.written] == ([] if to_front else [-32000])
