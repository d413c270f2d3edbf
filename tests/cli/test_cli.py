"""The command line, as a person uses it: real processes, exit codes, data on stdout and everything else on stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from repertoire.cli import doctor
from repertoire.settings import Settings
from support import shells
from support.shells import ECHO, READY, Shell

shell = shells.shell

SPIN = '"""Spin."""\n\ndef run() -> None:\n    print("spinning")\n    while True:\n        pass\n'


def test_a_run_prints_its_result_and_only_that_on_stdout(shell: Shell) -> None:
    done = shell("run", "echo_it", "--payload", '{"number": "7"}')
    assert (done.returncode, done.stdout) == (0, "7\n") and "hello" in done.stderr
    (shell.home / "payload.json").write_text('{"number": 8}')
    assert shell.json("run", "echo_it", "--payload", "@payload.json")["result"] == 8
    lines = [
        json.loads(line) for line in shell.ok("run", "echo_it", "--payload", '{"number": 9}', "--stream").splitlines()
    ]
    assert [line.get("type") for line in lines] == ["run_start", "log", "progress", "run_end", None] and lines[-1][
        "result"
    ] == 9
    rows = shell.json("runs")
    assert [row["status"] for row in rows] == ["completed"] * 3
    assert set(rows[0]) >= {"run_id", "workflow", "version", "session_id", "status", "started_at"}
    events = [json.loads(line) for line in shell.ok("logs", rows[0]["run_id"], "--json").splitlines()]
    assert [event["n"] for event in events] == [1, 2, 3, 4]
    assert "hello" in shell.ok("logs", rows[0]["run_id"], "--after", "1")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "nobody"], 1, "no workflow 'nobody'"),
        (["run", "echo_it", "--payload", "{"], 2, "not JSON"),
        (["run", "echo_it", "--payload", "[]"], 2, "JSON object"),
        (["run", "echo_it", "--payload", "@missing"], 2, "Cannot read missing"),
        (["run", "echo_it"], 2, "`number`: missing"),
        (["run"], 2, "Missing argument"),
        (["nonsense"], 2, "No such command"),
        (["logs", "workflow:x:1"], 1, "no run"),
        (["delete", "nobody"], 1, "no workflow"),
        (["list", "--workflows", "missing"], 2, "no folder 'missing'"),
        (["serve", "--http", "0.0.0.0:1"], 1, "no authentication"),
        (["create", "1x", "workflows/echo_it.py"], 1, "not a workflow name"),
    ],
)
def test_what_is_wrong_is_said_on_stderr_with_an_exit_code(
    shell: Shell, words: list[str], code: int, said: str
) -> None:
    done = shell(*words)
    assert done.returncode == code and said in done.stderr and done.stdout == ""


def test_create_keeps_a_file_and_delete_removes_it(shell: Shell) -> None:
    source = '"""Say hello."""\n\ndef run(name: str = "you") -> str:\n    return f"Hello, {name}!"\n'
    kept = shell.home / "workflows" / "greet.py"
    assert str(kept) in shell.ok("create", "greet", "-", input=source)
    assert kept.read_text() == source
    assert shell.ok("run", "greet") == '"Hello, you!"\n'
    assert shell("create", "greet", "-", input=source).returncode == 1
    assert shell("create", "greet", "-", "--replace", input="def run(:").returncode == 1
    assert kept.read_text() == source
    shell.ok("create", "greet", "-", "--replace", input=source.replace("Hello", "Good day"))
    assert shell.ok("run", "greet") == '"Good day, you!"\n'
    assert shell.json("show", "greet")["input_schema"]["properties"]["name"]["default"] == "you"
    assert [match["name"] for match in shell.json("search", "hello")["matches"]][:1] == ["greet"]
    shell.ok("delete", "greet")
    assert not kept.exists() and shell("run", "greet").returncode == 1


def test_list_and_doctor_name_broken_files_with_line_and_reason(shell: Shell) -> None:
    (shell.home / "workflows" / "broken.py").write_text('"""x"""\n\ndef run(:\n')
    listed = shell("list")
    assert listed.returncode == 0 and "echo_it" in listed.stdout and "broken.py:3: Syntax error" in listed.stderr
    examined = shell("doctor")
    assert examined.returncode == 1 and "broken.py:3: Syntax error" in examined.stdout
    (shell.home / "workflows" / "broken.py").unlink()
    assert shell.ok("doctor")
    checks = shell.json("doctor")
    assert {check["check"] for check in checks} >= {"python", "sqlite", "home", "search", "ruff", "workflows"}


def test_doctor_says_whether_ruff_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=str(tmp_path / "home"))
    (row,) = [one for one in doctor.examine(settings) if one["check"] == "ruff"]
    assert row["ok"] and os.access(row["message"], os.X_OK) and row["hint"] is None
    monkeypatch.setattr(doctor, "ruff_path", lambda: None)
    (row,) = [one for one in doctor.examine(settings) if one["check"] == "ruff"]
    assert row["ok"] and "not found" in row["message"] and "pip install ruff" in row["hint"]


def test_doctor_says_what_is_wrong_with_a_home(shell: Shell) -> None:
    shell.home.chmod(0o755)
    shell.ok("list")
    assert shell.home.stat().st_mode & 0o777 == 0o700
    for file in shell.home.glob("repertoire.db*"):
        file.write_bytes(b"not a database at all" * 100)
    examined = shell("doctor")
    assert examined.returncode == 1 and "cannot be read" in examined.stdout
    assert (shell.home / "repertoire.db").read_bytes() == b"not a database at all" * 100


def test_workflows_of_the_current_folder_count_for_commands(shell: Shell, tmp_path: Path) -> None:
    folder = shell.home / "project" / "workflows"
    folder.mkdir(parents=True)
    (folder / "local_one.py").write_text(ECHO)
    command = [sys.executable, "-P", "-m", "repertoire", "list", "--json"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=shell.environ, cwd=folder.parent)
    assert "local_one" in found.stdout
    assert "local_one" not in shell.ok("list", "--json", "--workflows", str(shell.home / "workflows"))


def test_state_and_sessions_of_the_command_line(shell: Shell) -> None:
    del shell.environ[READY]
    for _ in range(2):
        shell.ok("run", "counter")
    shell.ok("run", "counter", "--session", "other")
    sessions = {row["name"]: row["workflows_with_state"] for row in shell.json("sessions")}
    assert sessions == {"cli": ["counter"], "other": ["counter"]}
    assert shell.json("run", "counter")["result"]["count"] == 3


def test_a_run_is_cancelled_from_another_terminal(shell: Shell) -> None:
    (shell.home / "workflows" / "spin.py").write_text(SPIN)
    answers: list[subprocess.CompletedProcess[str]] = []
    thread = threading.Thread(target=lambda: answers.append(shell("run", "spin")))
    thread.start()
    rows: list[Any] = []
    while not rows:
        rows = shell.json("runs", "--status", "working")
    assert shell.ok("cancel", rows[0]["run_id"]) == "cancelled\n"
    thread.join(30)
    assert answers[0].returncode == 1 and "cancelled" in answers[0].stderr
    assert shell.json("runs")[0]["status"] == "cancelled"


def test_status_and_stop_of_a_home_that_nobody_owns(shell: Shell) -> None:
    assert shell.ok("status").startswith("not running")
    assert shell.json("status") == {"running": False, "runs": []}
    assert shell.ok("stop") == "not running\n"
    assert shell.ok("--version").strip()


def test_the_demo(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "repertoire", "demo"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert done.returncode == 0, done.stderr
    assert "session_state says 2" in done.stdout and "All of it worked" in done.stdout
    assert list(tmp_path.iterdir()) == []
