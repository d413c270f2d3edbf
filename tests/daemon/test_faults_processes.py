"""Processes that die without a word, and what they leave behind: fronts, daemons, both; stale files; other versions.

Every process is the real one. What was acknowledged before the fault is stored; what was going on goes on, begun again from its journal.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from repertoire import home as homes
from repertoire.cli.control_client import ControlError, control_client
from repertoire.daemon.greeting import Hello
from repertoire.daemon.home_lock import Owner, read_info
from support.daemons import PATIENCE_S, Peer, until
from support.faults import COMMAND, Host, kept, owner_of, query, repertoire, stored_home
from support.transports import http_server

SLOW = '''"""Be slow, and say where."""
import os
import time

def run(until: str) -> str:
    session_state["begun"] = session_state.get("begun", 0) + 1
    print(os.getpid())
    while not os.path.exists(until):
        time.sleep(0.01)
    return "done"
'''


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = stored_home(tmp_path / "home")
    (home / "workflows" / "slow.py").write_text(SLOW)
    yield home
    if homes.is_owned(str(home)):
        os.kill(owner_of(home), signal.SIGKILL)
        until(lambda: not homes.is_owned(str(home)))


@pytest.fixture
def host(home: Path) -> Iterator[Any]:
    hosts: list[Host] = []

    def start(*words: str) -> Host:
        hosts.append(Host(home, *words))
        return hosts[-1]

    yield start
    for each in hosts:
        each.close()


def begun(home: Path) -> tuple[str, int]:
    """The run of `slow` that is going on, and its worker's process, once it has said so."""
    statement = (
        "SELECT run_id, json_extract(data, '$.message') FROM event JOIN run ON run.id = run_id WHERE type = 'log' "
    )
    run_id, message = until(lambda: query(home, statement + "AND workflow = 'slow' AND status = 'working'"))[0]
    return run_id, int(message)


def goes_on(home: Path, run_id: str, file: Path) -> None:
    """The run whose server died ends as if nothing had happened, once its file is there."""
    file.touch()
    until(lambda: query(home, "SELECT 1 FROM run WHERE id = ? AND status != 'working'", run_id))
    assert query(home, "SELECT status, result FROM run WHERE id = ?", run_id) == [("completed", '"done"')]
    events = query(home, "SELECT n, type FROM event WHERE run_id = ? ORDER BY n", run_id)
    assert events == [(1, "run_start"), (2, "log"), (3, "resumed"), (4, "run_end")], (
        "what it said before is not said again"
    )


def statuses(home: Path) -> list[str]:
    return [status for (status,) in query(home, "SELECT status FROM run ORDER BY created_at")]


def state(home: Path, workflow: str) -> Any:
    ((value,),) = query(home, "SELECT value FROM state WHERE workflow = ?", workflow)
    return json.loads(value)


def alive(pid: int) -> bool:
    """A zombie is dead, whoever is to bury it."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# Killed.


def test_front_and_daemon_killed_under_a_run(home: Path, host: Any, tmp_path: Path) -> None:
    it = host().begin()
    it.ask("tools/call", name="slow", arguments={"until": str(tmp_path / "go")})
    run_id, worker = begun(home)
    it.process.kill()
    os.kill(owner_of(home), signal.SIGKILL)
    until(lambda: not homes.is_owned(str(home)))
    until(lambda: not alive(worker))
    again = host().begin()
    assert again.call("get_run", run_id=run_id)["status"] == "working"
    goes_on(home, run_id, tmp_path / "go")
    later = again.call("slow", until="/")
    assert later["result"] == "done", "the run that went on holds nobody up"
    assert again.call("count")["result"] == 3
    assert state(home, "slow") == {"begun": 2}, "each of them has counted once"


def test_a_killed_http_server_leaves_its_runs_to_the_next(home: Path, tmp_path: Path) -> None:
    answers: list[httpx2.Response | httpx2.TransportError] = []
    with http_server(home, {}) as url:

        def call() -> None:
            try:
                answers.append(_call_over_http(url, "slow", {"until": str(tmp_path / "go")}))
            except httpx2.TransportError as error:
                answers.append(error)

        caller = threading.Thread(target=call)
        caller.start()
        run_id, worker = begun(home)
        os.kill(owner_of(home), signal.SIGKILL)
        caller.join(PATIENCE_S)
        assert isinstance(answers[0], httpx2.TransportError), "the connection broke"
        until(lambda: not alive(worker))
    with http_server(home, {}) as url:
        goes_on(home, run_id, tmp_path / "go")
        found = _call_over_http(url, "get_run", {"run_id": run_id}).json()["result"]["structuredContent"]
        assert (found["status"], found["result"]) == ("completed", "done")


def _call_over_http(url: str, tool: str, arguments: dict[str, Any]) -> httpx2.Response:
    prefix = "io.modelcontextprotocol/"
    meta = {f"{prefix}protocolVersion": "2026-07-28", f"{prefix}clientCapabilities": {}}
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28"}
    headers |= {"Mcp-Method": "tools/call", "Mcp-Name": tool}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return httpx2.post(f"{url}/mcp", json=body, headers=headers, timeout=PATIENCE_S)


def test_a_killed_embedded_server_leaves_its_runs_to_the_next(home: Path, host: Any, tmp_path: Path) -> None:
    it = host("--embedded").begin()
    it.ask("tools/call", name="slow", arguments={"until": str(tmp_path / "go")})
    run_id, worker = begun(home)
    it.process.kill()
    until(lambda: not alive(worker))
    again = host("--embedded").begin()
    assert again.call("get_run", run_id=run_id)["status"] == "working"
    goes_on(home, run_id, tmp_path / "go")
    assert again.call("slow", until="/")["result"] == "done" and again.call("count")["result"] == 3


def test_a_killed_command_leaves_its_run_to_the_daemon(home: Path, tmp_path: Path) -> None:
    words = ["run", "slow", "--payload", json.dumps({"until": str(tmp_path / "go")}), "--home", str(home)]
    command = subprocess.Popen([*COMMAND, *words], stderr=subprocess.DEVNULL)
    run_id, worker = begun(home)
    command.kill()
    command.wait()
    status = json.loads(repertoire(home, "status", "--json").stdout)
    assert [one["mode"] for one in status["connections"]] == ["control"], "only that of the command which asks"
    assert alive(worker) and statuses(home)[-1] == "working"
    (tmp_path / "go").touch()
    until(lambda: statuses(home)[-1] == "completed")
    events = query(home, "SELECT type FROM event WHERE run_id = ? ORDER BY n", run_id)
    assert events == [("run_start",), ("log",), ("run_end",)]


def test_every_answer_that_came_before_a_kill_is_stored(home: Path, host: Any) -> None:
    """Killed among twenty calls that are under way, three times: no acknowledged run is missing, none is counted twice."""
    acknowledged: dict[str, int] = {}
    for killed_after in (1, 5, 9):
        it = host().begin()
        asked = {it.ask("tools/call", name="count", arguments={}) for _ in range(20)}
        while asked:
            answer = it.receive()
            if "id" not in answer:  # a notification
                continue
            asked.remove(answer["id"])
            if "error" in answer:
                assert answer["error"]["code"] == -31000, answer
                continue
            said = answer["result"]["structuredContent"]
            acknowledged[said["run_id"]] = said["result"]
            if len(asked) == 20 - killed_after:
                os.kill(owner_of(home), signal.SIGKILL)
        it.close()
    repertoire(home, "stop", "--force")
    runs = dict(query(home, "SELECT id, status || ' ' || coalesce(result, '') FROM run"))
    assert len(acknowledged) > 3
    assert {run_id: runs[run_id] for run_id in acknowledged} == {
        run_id: f"completed {result}" for run_id, result in acknowledged.items()
    }
    completed = sorted(int(end.split()[1]) for end in runs.values() if end.startswith("completed"))
    assert completed == list(range(1, len(completed) + 1)), "the state has counted each completed run once"
    assert state(home, "count") == {"count": completed[-1]}


def test_an_owner_that_hangs_is_named_to_a_command_and_serves_again_when_it_goes_on(home: Path, host: Any) -> None:
    it = host().begin()
    pid = owner_of(home)

    async def ask() -> None:
        async with control_client(str(home), Hello(mode="control", version="0"), patience_s=0.2):
            raise AssertionError("nobody can have answered")

    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ControlError, match=f"process {pid}, which owns .* does not answer") as hangs:
            anyio.run(ask)
        assert f"kill {pid}" in (hangs.value.hint or "")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert it.call("count")["result"] == 3


# What a dead process, or somebody else, left in the home.


@pytest.mark.parametrize("text", ["{", '{"pid": 1, "version": "99", "socket": "/nowhere", "kind": "daemon"}'])
def test_any_file_in_the_place_of_daemon_json_socket_or_lock_is_no_obstacle(home: Path, host: Any, text: str) -> None:
    for name in ("daemon.json", "daemon.sock", "owner.lock", "start.lock"):
        (home / name).unlink(missing_ok=True)
        (home / name).write_text(text)
    assert host().begin().call("count")["result"] == 3
    assert owner_of(home) > 1 and homes.is_owned(str(home))


def test_a_folder_in_such_a_place_is_named(home: Path, host: Any) -> None:
    for name in ("daemon.sock", "owner.lock", "daemon.json"):
        (home / name).unlink(missing_ok=True)
        (home / name).mkdir()
        it = host()
        it.ask("initialize")
        error = it.receive()["error"]
        assert error["code"] == -31001 and str(home / name) in error["message"], error
        assert "Traceback" not in error["message"]
        assert it.process.wait(PATIENCE_S) == 1
        done = repertoire(home, "runs")
        assert done.returncode == 1 and str(home / name) in done.stderr and "Traceback" not in done.stderr, done
        (home / name).rmdir()
    kept(home)


def test_an_owner_that_speaks_something_else_is_named(home: Path, host: Any) -> None:
    words = [b"220 mail.example ESMTP\r\n", b"[]\n", b'{"ok": false}\n', b"x" * 300_000, b"\xff\xfe\n"]
    with Owner(str(home), kind="command", version="0.1.0") as owner:
        owner.listener.setblocking(True)

        def speak() -> None:
            for said in (*words, words[0]):
                client, _ = owner.listener.accept()
                client.recv(65536)
                try:
                    client.sendall(said)
                    client.recv(1)
                except ConnectionError:
                    pass
                client.close()

        speaker = threading.Thread(target=speak, daemon=True)
        speaker.start()
        for _ in words:
            it = host()
            it.ask("initialize")
            error = it.receive()["error"]
            assert (
                error["code"] == -31001 and "not Repertoire" in error["message"] and "daemon.sock" in error["message"]
            )
            assert it.process.wait(PATIENCE_S) == 1 and b"Traceback" not in it.stderr.read()
        done = repertoire(home, "runs")
        assert done.returncode == 1 and "not Repertoire" in done.stderr and "Traceback" not in done.stderr, done
        speaker.join(PATIENCE_S)
    kept(home)


# Other versions, with the real house.

_OTHER = """
import sys
import repertoire.version
repertoire.version.VERSION = sys.argv[1]
from repertoire.daemon_process import main
sys.exit(main(["--home", sys.argv[2]]))
"""


def other_daemon(home: Path, version: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-P", "-c", _OTHER, version, str(home)], stderr=subprocess.DEVNULL)
    until(lambda: homes.is_owned(str(home)) and (read_info(str(home)) or {}).get("version") == version)
    return process


def test_an_older_daemon_ends_for_a_newer_front_and_leaves_it_everything(home: Path, host: Any) -> None:
    older = other_daemon(home, "0.0.1")
    it = host().begin()
    assert older.wait(PATIENCE_S) == 0
    assert it.call("count")["result"] == 3 and owner_of(home) != older.pid
    assert statuses(home) == ["completed"] * 3


def test_an_older_daemon_with_a_live_run_ends_when_the_run_has(home: Path, host: Any, tmp_path: Path) -> None:
    older = other_daemon(home, "0.0.1")
    peer = Peer(str(home), {"mode": "control", "version": "0.0.1"})
    peer.send({})  # of its environment there is nothing to tell
    peer.send({"id": 1, "verb": "run", "args": {"name": "slow", "arguments": {"until": str(tmp_path / "go")}}})
    run_id, _ = begun(home)
    it = host().begin()
    assert owner_of(home) == older.pid and it.call("count")["result"] == 3, "nobody waits for the run"
    (tmp_path / "go").touch()
    assert older.wait(PATIENCE_S) == 0
    peer.close()
    assert it.call("get_run", run_id=run_id)["result"] == "done" and owner_of(home) != older.pid
    assert it.call("count")["result"] == 4


def test_an_older_front_is_served_by_a_newer_daemon(home: Path, host: Any) -> None:
    newer = other_daemon(home, "99.0.0")
    assert host().begin().call("count")["result"] == 3 and owner_of(home) == newer.pid
    assert repertoire(home, "stop").stdout == "stopped\n"
    assert newer.wait(PATIENCE_S) == 0
