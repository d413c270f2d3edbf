"""The daemon's socket, lifetime and control verbs, through raw connections to a real process."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire import home as homes
from repertoire.cli.control_client import ControlError, NoDaemon, control_client
from repertoire.daemon.greeting import Hello
from repertoire.daemon.home_lock import HomeInUse, Owner, read_info
from repertoire.daemon.line_channel import LineChannel
from repertoire.daemon.server import EX_TEMPFAIL
from repertoire.version import as_numbers
from support.daemons import PATIENCE_S, Home, until

HELLO = Hello(mode="control", version="0.1.0")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(str(tmp_path / "home"))
    yield home
    home.close()


# The hello.


def test_a_good_hello_is_answered_with_who_is_there(home: Home) -> None:
    process = home.start()
    assert home.connect(mode="mcp").hello == {"ok": True, "version": "0.1.0", "pid": process.pid}


@pytest.mark.parametrize(
    "first",
    [b"GET / HTTP/1.1\n", b"[]\n", b'{"mode":"mcp"}\n', b'{"mode":"root","version":"1"}\n', b"\xff\xfe\n"],
)
def test_a_bad_hello_is_answered_with_the_reason_and_closed(home: Home, first: bytes) -> None:
    home.start()
    peer = home.peer()
    peer.socket.sendall(first)
    answer = peer.receive()
    assert answer["ok"] is False and "not a hello" in answer["reason"]
    assert peer.receive() is None


def test_an_oversized_hello_is_refused_before_its_end(home: Home) -> None:
    home.start()
    peer = home.peer()
    peer.socket.sendall(b"x" * (64 * 1024 + 1))
    assert "64 KiB" in peer.receive()["reason"]
    assert peer.receive() is None


def test_a_client_that_says_nothing_is_sent_away(home: Home) -> None:
    home.start()
    peer = home.peer()
    assert "within 5 s" in peer.receive()["reason"]
    assert peer.receive() is None


def test_a_hello_and_what_follows_may_come_in_one_piece(home: Home) -> None:
    home.start()
    peer = home.peer()
    long = json.dumps({"id": 7, "verb": "status", "args": {"x": "y" * 100_000}})
    peer.socket.sendall(b'{"mode":"control","version":"0.1.0"}\n' + long.encode() + b"\n")
    assert peer.receive()["ok"] is True
    assert peer.receive()["id"] == 7


# MCP lines.


def test_a_line_over_16_mib_is_answered_with_an_error_and_closed(home: Home) -> None:
    home.start()
    peer = home.connect(mode="mcp")
    with pytest.raises(OSError):
        for _ in range(64):
            peer.socket.sendall(b"x" * 1024 * 1024)
    answer = peer.receive()
    assert answer["error"]["code"] == -32600 and answer["id"] is None
    assert home.connect().call("status")["result"]["live_runs"] == 0, "and the daemon lives"


def test_a_client_that_does_not_read_holds_up_only_itself(home: Home) -> None:
    home.start()
    deaf = home.connect(mode="mcp")
    deaf.socket.settimeout(0.5)
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": "x" * 100_000}).encode() + b"\n"
    with pytest.raises(TimeoutError):
        for _ in range(1000):
            deaf.socket.sendall(line)
    assert home.connect().call("count", to=0)["result"] == 0


# Control.


def test_status_says_who_is_connected(home: Home) -> None:
    process = home.start()
    home.connect(mode="mcp", session="claude")
    status = home.connect().call("status")["result"]
    assert status["pid"] == process.pid and status["home"] == home.path
    assert status["version"] == "0.1.0" and status["kind"] == "daemon"
    assert status["live_runs"] == 0 and status["draining"] is False
    assert sorted((c["mode"], c["session"]) for c in status["connections"]) == [
        ("control", None),
        ("mcp", "claude"),
    ]
    info = read_info(home.path)
    assert info is not None and info["started_at"] == status["started_at"] and info["pid"] == process.pid


def test_a_control_client_gets_events_results_and_errors(home: Home) -> None:
    home.start()

    async def main() -> None:
        async with control_client(home.path, HELLO) as client:
            events: list[dict[str, Any]] = []
            assert await client.call("count", {"to": 3}, events.append) == 3
            assert events == [{"n": 0}, {"n": 1}, {"n": 2}]
            with pytest.raises(ControlError) as refused:
                await client.call("refuse")
            assert (refused.value.code, refused.value.message, refused.value.hint) == (
                "refused",
                "no",
                "ask differently",
            )
            with pytest.raises(ControlError) as unknown:
                await client.call("nonsense")
            assert unknown.value.code == "internal"

    anyio.run(main)


def test_several_verbs_are_open_at_once_and_leaving_cancels_them(home: Home) -> None:
    home.start()

    async def main() -> None:
        async with control_client(home.path, HELLO) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.call, "wait")
            while not home.heard(verb="wait"):
                await anyio.sleep(0.005)
            assert await client.call("count", {"to": 0}) == 0
            tasks.cancel_scope.cancel()

    anyio.run(main)
    until(lambda: home.heard(cancelled="wait"))


def test_a_call_whose_daemon_dies_says_so(home: Home) -> None:
    home.start()

    async def main() -> None:
        async with control_client(home.path, HELLO) as client, anyio.create_task_group() as tasks:

            async def call() -> None:
                with pytest.raises(ControlError) as ended:
                    await client.call("wait")
                assert ended.value.code == "daemon_ended"

            tasks.start_soon(call)
            while not home.heard(verb="wait"):
                await anyio.sleep(0.005)
            await anyio.to_thread.run_sync(home.kill)

    anyio.run(main)


def test_without_a_daemon_the_control_client_says_so(home: Home) -> None:
    async def main() -> None:
        async with control_client(homes.make_home(home.path), HELLO):
            raise AssertionError("nobody is there")

    with pytest.raises(NoDaemon):
        anyio.run(main)


def test_a_line_that_is_no_request_is_answered(home: Home) -> None:
    home.start()
    peer = home.connect()
    peer.socket.sendall(b"what?\n")
    assert peer.receive()["error"]["code"] == "invalid_request"
    assert peer.call("status")["result"]


# Ends.


@pytest.mark.parametrize(("force", "end"), [(False, "stopped"), (True, "forced")])
def test_stop_is_answered_before_everything_closes(home: Home, force: bool, end: str) -> None:
    process = home.start()
    front = home.connect(mode="mcp")
    peer = home.connect()
    assert peer.call("stop", force=force)["result"]["pid"] == process.pid
    assert peer.receive() is None
    assert json.loads((front.lines.line() or b"")[1:]) == {"bye": end, "rest": True, "to": None}
    assert front.receive() is None
    assert process.wait(PATIENCE_S) == 0
    assert home.heard(ended=end)
    assert not os.path.exists(homes.socket_path(home.path)) and read_info(home.path) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(home: Home, number: signal.Signals) -> None:
    process = home.start()
    peer = home.connect()
    process.send_signal(number)
    assert peer.receive() is None
    assert process.wait(PATIENCE_S) == 0
    assert home.heard(ended="asked")


def test_it_ends_when_nobody_is_connected_and_nothing_runs(home: Home) -> None:
    process = home.start(FAKE_IDLE_S="0.2")
    peer = home.connect()
    assert peer.call("live", by=1)["result"] == 1
    peer.close()
    with pytest.raises(AssertionError):
        _wait_for_end(process, 0.6)
    again = home.connect()
    assert again.call("live", by=-1)["result"] == 0
    with pytest.raises(AssertionError):
        _wait_for_end(process, 0.6)
    again.close()
    _wait_for_end(process, PATIENCE_S)
    assert home.heard(ended="idle")


def _wait_for_end(process: Any, within_s: float) -> None:
    import subprocess

    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        raise AssertionError("it still runs") from None


def test_an_idle_daemon_hands_over_to_a_newer_version_at_once(home: Home) -> None:
    process = home.start()
    other = home.connect(mode="mcp")
    assert home.connect(version="0.1.1").hello == {"ok": False, "retry": True, "reason": "handing over"}
    assert json.loads((other.lines.line() or b"")[1:]) == {"bye": "handed over", "rest": False, "to": "0.1.1"}
    assert process.wait(PATIENCE_S) == 0
    assert home.heard(ended="handed over")


def test_a_busy_daemon_serves_a_newer_version_and_hands_over_when_its_runs_have_ended(home: Home) -> None:
    process = home.start()
    older = home.connect()
    older.call("live", by=1)
    newer = home.connect(version="0.10.0")
    assert newer.hello is not None and newer.hello["ok"] is True
    assert older.call("status")["result"]["draining"] is True
    older.send({"id": 1, "verb": "live", "args": {"by": -1}})
    assert newer.receive() is None
    assert process.wait(PATIENCE_S) == 0


def test_an_older_version_is_simply_served(home: Home) -> None:
    home.start(FAKE_VERSION="0.10.0")
    peer = home.connect(version="0.9.0")
    assert peer.call("status")["result"]["draining"] is False


def test_versions_compare_as_numbers() -> None:
    assert as_numbers("0.10.0") > as_numbers("0.9.9") > as_numbers("0.9") > as_numbers("what")
    assert as_numbers("1.2.3rc1") == (1, 2, 3)


# Owning.


def test_a_home_has_one_owner(home: Home) -> None:
    process = home.start()
    with pytest.raises(HomeInUse) as in_use, Owner(home.path, kind="command", version="0.1.0"):
        pass
    assert (in_use.value.pid, in_use.value.kind) == (process.pid, "daemon")
    assert home.start().wait(PATIENCE_S) == EX_TEMPFAIL
    assert home.connect().call("status")["result"]["pid"] == process.pid, "the first one is untouched"


def test_what_a_killed_owner_left_is_replaced(home: Home) -> None:
    home.start()
    killed = home.kill()
    assert (read_info(home.path) or {})["pid"] == killed
    with Owner(home.path, kind="http", version="0.1.0") as owner:
        assert (read_info(home.path) or {})["pid"] == os.getpid()
        assert stat.S_IMODE(os.stat(owner.socket_path).st_mode) == 0o600
        assert homes.is_owned(owner.home)
    assert read_info(home.path) is None
    assert sorted(os.listdir(home.path)) == ["heard.jsonl", "owner.lock"]


def test_asking_whether_a_home_is_owned_keeps_nobody_from_owning_it(home: Home) -> None:
    for _ in range(50):
        assert not homes.is_owned(homes.make_home(home.path))
        with Owner(home.path, kind="command", version="0.1.0"):
            assert homes.is_owned(home.path)


def test_a_socket_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setattr(homes, "socket_path", lambda home: str(shared / "x.sock"))
    with (
        pytest.raises(PermissionError, match="this user alone"),
        Owner(str(tmp_path / "h"), kind="command", version="1"),
    ):
        pass
    assert not homes.is_owned(str(tmp_path / "h")), "the lock is given back"


# Lines, without a socket.


def _lines(*parts: bytes) -> list[bytes]:
    async def main() -> list[bytes]:
        channel = LineChannel()
        for part in parts:
            channel.data_received(part)
        channel.eof_received()
        found = []
        while (line := await channel.receive()) is not None:
            found.append(line)
        return found

    return anyio.run(main)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_lines_do_not_depend_on_how_they_were_cut(size: int) -> None:
    text = b"one\n\ntwo three\n{}\n\r\nlast\n"
    assert _lines(*(text[at : at + size] for at in range(0, len(text), size))) == [b"one", b"two three", b"{}", b"last"]
