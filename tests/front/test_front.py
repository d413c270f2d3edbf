"""The front as a host sees it: real processes, a real socket, and daemons that are killed under it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from repertoire import home as homes
from repertoire.daemon.home_lock import Owner
from support import fronts
from support.daemons import PATIENCE_S, Home, Host, until
from support.fronts import Start

home, host = fronts.home, fronts.host


def test_a_front_starts_the_daemon_and_a_second_one_finds_it(home: Home, host: Start) -> None:
    first = host("--session", "claude").begin()
    assert host("--session=cursor").begin() == first
    assert [line["session"] for line in home.heard(method="initialize")] == ["claude", "cursor"]


def test_ten_fronts_at_once_start_one_daemon(home: Home, host: Start) -> None:
    hosts = [host() for _ in range(10)]
    assert len({each.begin() for each in hosts}) == 1
    assert len(home.heard(started=True)) == 1


def test_home_socket_and_log_are_for_this_user_only(home: Home, host: Start) -> None:
    os.makedirs(home.path)
    os.chmod(home.path, 0o755)
    host().begin()
    modes = {
        name: stat.S_IMODE(os.stat(os.path.join(home.path, name)).st_mode)
        for name in ("", "daemon.sock", "logs", "logs/daemon.log", "daemon.json", "owner.lock", "start.lock")
    }
    assert modes == {
        "": 0o700,
        "daemon.sock": 0o600,
        "logs": 0o700,
        "logs/daemon.log": 0o600,
        "daemon.json": 0o600,
        "owner.lock": 0o600,
        "start.lock": 0o600,
    }


def test_a_home_with_a_long_path_works(tmp_path: Path) -> None:
    home = Home(str(tmp_path / ("long" * 30) / "home"))
    first, second = Host(home), Host(home, XDG_RUNTIME_DIR=str(tmp_path))
    try:
        assert first.begin() == second.begin()
        assert stat.S_IMODE(os.stat(os.path.dirname(homes.socket_path(home.path))).st_mode) == 0o700
    finally:
        first.close()
        second.close()
        home.close()


def test_a_stale_socket_and_daemon_json_are_no_obstacle(home: Home, host: Start) -> None:
    killed = home.start().pid
    home.kill()
    assert os.path.exists(homes.socket_path(home.path)) and os.path.exists(homes.info_path(home.path))
    assert host().begin() != killed


def test_a_front_waits_for_an_owner_that_is_not_ready_and_starts_nothing_beside_it(home: Home, host: Start) -> None:
    with Owner(home.path, kind="command", version="0.1.0") as owner:
        waiting = host()
        waiting.ask("tools/list")
        owner.listener.setblocking(True)
        client, _ = owner.listener.accept()
        client.close()  # an owner that ends before it has greeted
    answer = waiting.receive()
    assert answer["result"]["pid"] == home.pid()
    assert len(home.heard(started=True)) == 1


def test_a_daemon_that_cannot_start_is_explained_to_host_and_user(host: Start) -> None:
    failing = host(FAKE_FAILS="1")
    failing.ask("initialize")
    error = failing.receive()["error"]
    assert error["code"] == -31001
    assert "status 3" in error["message"] and "the test said: fail" in error["message"]
    assert "daemon.log" in error["message"]
    assert failing.process.wait(PATIENCE_S) == 1
    assert b"the test said: fail" in failing.stderr.read()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--frobnicate"], "--frobnicate"),
        (["--session"], "--session needs a value"),
        (["--workflows", "/nowhere/at/all"], "/nowhere/at/all"),
        (["--config", "/nowhere.toml"], "/nowhere.toml"),
    ],
)
def test_wrong_words_end_it_with_2(host: Start, words: list[str], said: str) -> None:
    wrong = host(*words)
    assert wrong.process.wait(PATIENCE_S) == 2
    assert said in wrong.stderr.read().decode()


def test_an_open_call_of_a_killed_daemon_names_its_run_and_the_next_request_works(home: Home, host: Start) -> None:
    it = host()
    it.begin()
    call = it.ask("tools/call", name="slow", arguments={"sleep_s": 60})
    until(lambda: home.heard(noted=call))
    killed = home.kill()
    answer = it.receive()
    assert answer["id"] == call and answer["error"]["code"] == -31000
    assert answer["error"]["data"] == {"run_id": "workflow:slow:01"}
    assert "ask get_run with that id" in answer["error"]["message"]
    fresh = it.answer("tools/list")["result"]["pid"]
    assert fresh != killed
    assert [line["method"] for line in home.heard(pid=fresh) if "method" in line] == [
        "initialize",
        "notifications/initialized",
        "tools/list",
    ]
    assert it.lines.silent(0.05), "the answer to the replayed initialize is not for the host"


def test_a_call_without_a_known_run_does_not_claim_to_know(home: Home, host: Start) -> None:
    it = host()
    it.begin()
    call = it.ask("tools/call", name="slow", arguments={"sleep_s": 60, "noted": False})
    until(lambda: home.heard(id=call))
    home.kill()
    error = it.receive()["error"]
    assert "may not have begun" in error["message"] and "data" not in error


def test_reading_calls_and_standing_wishes_are_repeated_to_the_next_daemon(home: Home, host: Start) -> None:
    it = host()
    it.begin()
    it.answer("logging/setLevel", level="info")
    it.answer("resources/subscribe", uri="a:1")
    it.answer("resources/subscribe", uri="a:2")
    it.answer("resources/unsubscribe", uri="a:1")
    call = it.ask("tools/call", name="get_run", arguments={"sleep_s": 2})
    until(lambda: home.heard(noted=call))
    home.kill()
    answer = it.receive()
    assert answer["id"] == call and "result" in answer
    told = [line["method"] for line in home.heard(pid=home.pid()) if "method" in line]
    expected = ["initialize", "notifications/initialized", "logging/setLevel", "resources/subscribe", "tools/call"]
    assert told == expected


def test_a_listener_is_brought_to_the_next_daemon_at_once(home: Home, host: Start) -> None:
    it = host()
    listening = it.ask("subscriptions/listen")
    until(lambda: home.heard(id=listening))
    killed = home.kill()
    again = until(lambda: [line for line in home.heard(id=listening) if line["pid"] != killed])
    assert again[0]["method"] == "subscriptions/listen"


def test_a_stopped_daemon_is_not_started_again_by_a_listener(home: Home, host: Start) -> None:
    it = host()
    listening = it.ask("subscriptions/listen")
    stopped = until(lambda: home.heard(id=listening))[0]["pid"]
    home.connect().call("stop")
    until(lambda: not homes.is_owned(home.path))
    assert it.lines.silent(0.2) and not homes.is_owned(home.path)
    fresh = it.answer("tools/list")["result"]["pid"]
    assert fresh != stopped
    assert home.heard(pid=fresh, id=listening), "but it listens again as soon as there is a daemon"


def test_a_request_that_kills_every_daemon_is_answered_in_the_end(home: Home, host: Start) -> None:
    it = host()
    it.begin()
    crash = it.ask("crash")
    answer = it.receive()
    assert answer["id"] == crash and "3 times" in answer["error"]["message"]
    assert len(home.heard(method="crash")) == 3
    assert it.answer("tools/list")["result"]


def test_a_newer_front_gets_a_newer_daemon_and_the_older_one_follows(home: Home, host: Start) -> None:
    older = host()
    listening = older.ask("subscriptions/listen")
    old = until(lambda: home.heard(id=listening))[0]["pid"]
    new = host(FAKE_VERSION="0.2.0").begin()
    assert new != old
    until(lambda: home.heard(pid=new, id=listening))
    assert older.answer("tools/list")["result"]["pid"] == new
    assert len(home.heard(started=True)) == 2


def test_end_of_input_ends_the_front_but_not_the_daemon(home: Home, host: Start) -> None:
    it = host()
    daemon = it.begin()
    assert it.end() == 0
    assert home.pid() == daemon


def test_what_was_asked_before_the_end_of_input_is_still_answered(host: Start) -> None:
    it = host()
    it.write(b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n{"jsonrpc":"2.0","id":2,"method":"tools/list"}')
    assert it.end() == 0
    answers = [json.loads(line)["id"] for line in it.stdout.read().splitlines()]
    assert sorted(answers) == [1, 2]


def test_an_open_call_at_the_end_of_input_is_left_with_a_word(home: Home, host: Start) -> None:
    it = host()
    it.begin()
    call = it.ask("tools/call", name="slow", arguments={"sleep_s": 60})
    until(lambda: home.heard(noted=call))
    assert it.end() == 0
    assert json.loads(it.stdout.read())["error"]["data"] == {"run_id": "workflow:slow:01"}


def test_a_host_that_stops_reading_for_good_ends_it_quietly(host: Start) -> None:
    it = host()
    it.begin()
    it.stdout.close()
    it.tell("anything")
    assert it.process.wait(PATIENCE_S) == 0
    assert it.stderr.read() == b""


def test_long_lines_pass_whole_in_both_directions(host: Start) -> None:
    it = host()
    for size in (70_000, 1_000_000, 4_000_000):
        text = "ü" * (size // 2)
        number = it.ask("echo", text=text)
        answer = it.receive()
        assert answer["id"] == number and answer["result"]["params"]["text"] == text


def test_a_line_over_the_limit_is_refused_and_the_connection_stays(host: Start) -> None:
    it = host()
    it.write(b'"' + b"x" * (17 * 1024 * 1024) + b'"\n')
    assert it.receive()["error"]["code"] == -32600
    assert it.answer("tools/list")["result"]


def test_a_host_that_reads_late_gets_every_answer_in_order_and_the_front_sleeps_meanwhile(host: Start) -> None:
    it = host()
    it.begin()
    numbers: list[int] = []

    def write() -> None:
        for _ in range(300):  # 15 MB: more than every buffer on the way, so this blocks until somebody reads
            numbers.append(it.ask("echo", text="x" * 50_000))

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    until(lambda: _stalled(numbers))
    before = _cpu_s(it.process.pid)
    time.sleep(0.3)  # not waiting for something: measuring that nothing is done
    assert len(numbers) < 300 and _cpu_s(it.process.pid) - before < 0.1
    answered = [it.receive()["id"] for _ in range(300)]
    writer.join(PATIENCE_S)
    assert answered == numbers


def _stalled(numbers: list[int]) -> bool:
    """Whether nothing was written for a while, so that everything on the way is full."""
    written = len(numbers)
    time.sleep(0.2)
    return 0 < written == len(numbers)


def _cpu_s(pid: int) -> float:
    if not os.path.exists(f"/proc/{pid}/stat"):
        pytest.skip("needs /proc")
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_front_imports_nothing_heavy() -> None:
    code = "import sys, repertoire.front; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.path.join(os.path.dirname(__file__), "..", "..", "server")}
    out = subprocess.run([sys.executable, "-S", "-c", code], env=environment, capture_output=True, check=True).stdout
    loaded = set(out.decode().split())
    assert not loaded & {
        "asyncio",
        "subprocess",
        "pathlib",
        "tempfile",
        "argparse",
        "typing",
        "inspect",
        "mcp",
        "logging",
    }
    ours = {name for name in loaded if name.startswith("repertoire")}
    assert ours == {
        f"repertoire{part}"
        for part in (
            "",
            ".front",
            ".front.connect",
            ".front.host_pipe",
            ".front.installed_version",
            ".front.open_requests",
            ".front.options",
            ".front.pump",
            ".front.reconnect",
            ".home",
            ".version",
        )
    }


def test_an_interrupt_from_the_terminal_ends_it_without_a_traceback(host: Start) -> None:
    it = host()
    it.begin()
    it.process.send_signal(signal.SIGINT)
    assert it.process.wait(PATIENCE_S) == 130
    assert it.stderr.read() == b""
