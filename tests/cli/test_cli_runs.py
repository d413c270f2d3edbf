"""The commands about runs, as a person uses them: a real terminal where one is needed, real processes everywhere."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.shells import Shell
from support.terminals import Terminal

GREET = '''"""Greet somebody, if that is wanted."""

def run(name: str) -> str:
    return f"hello {name}" if ask(f"Greet {name}?", {"type": "boolean"}) else "nothing"
'''
GREET_ALL = '''"""Greet all of them."""

def two(number: int) -> int:
    return 2 * number

def run(names: list[str]) -> list[str]:
    step(two, 3)
    return [workflows.greet(name=name) for name in names]
'''
FORM = '''"""Ask for a form."""

def run() -> dict:
    return ask("Who?", {"type": "object", "properties": {
        "name": {"type": "string"}, "age": {"type": "integer"}, "note": {"type": "string"}}, "required": ["name", "age"]})
'''
NEST = '''"""Steps within steps, one that fails, one that is cancelled."""
import asyncio

def inner(n: int) -> int:
    return n + 1

def outer(n: int) -> int:
    return step(inner, n) * 2

def bad() -> None:
    raise ValueError("no luck")

async def slow() -> None:
    await asyncio.sleep(60)

async def run(file: str) -> int:
    with open(file, "a") as traces:
        traces.write("begun\\n")
    total = step(outer, 3)
    try:
        step(bad)
    except ValueError:
        pass
    try:
        await asyncio.wait_for(step(slow), 0.1)
    except TimeoutError:
        pass
    return total
'''
COUNT = '''"""Three steps, each with an effect."""

def note(file: str, text: str) -> str:
    with open(file, "a") as traces:
        traces.write(text + "\\n")
    return text

def run(file: str) -> str:
    parts = [step(note, file, text) for text in ("one", "two", "three")]
    return "-".join(parts)
'''
SLOW = '''"""Take two steps, and wait between them for a file."""
import os
import time

def note(file: str, text: str) -> str:
    with open(file, "a") as traces:
        traces.write(text + "\\n")
    return text

def run(file: str) -> str:
    step(note, file, "one")
    while not os.path.exists(file + ".go"):
        time.sleep(0.02)
    return step(note, file, "two")
'''
WORKFLOWS = {"greet": GREET, "greet_all": GREET_ALL, "form": FORM, "nest": NEST, "count": COUNT, "slow": SLOW}
PATIENCE_S = 60.0


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    home = tmp_path / "home"
    (home / "workflows").mkdir(parents=True)
    home.chmod(0o700)
    for name, source in WORKFLOWS.items():
        (home / "workflows" / f"{name}.py").write_text(source)
    shell = Shell(home)
    shell.environ["REPERTOIRE_IDLE_EXIT_S"] = "60"
    yield shell
    shell("stop", "--force")


def newest(shell: Shell, workflow: str) -> str:
    run_id: str = shell.json("runs", "--workflow", workflow)[0]["run_id"]
    return run_id


def until_status(shell: Shell, run_id: str, *wanted: str) -> dict[str, Any]:
    give_up = time.monotonic() + PATIENCE_S
    while True:
        run: dict[str, Any] = shell.json("show", run_id)
        if run["status"] in wanted and (run["status"] != "input_required" or run["questions"]):
            return run
        assert time.monotonic() < give_up, run


def test_at_a_terminal_a_run_asks_the_person_there(shell: Shell) -> None:
    """promise: asks-at-the-terminal"""
    terminal = Terminal(shell, "run", "greet_all", "--payload", '{"names": ["Ada", "Bo"]}')
    terminal.until("Greet Ada?\n[y/n] > ")
    terminal.type("perhaps\n")
    terminal.until("'perhaps' is not y or n.")
    terminal.until("[y/n] > ")
    terminal.type("y\n")
    terminal.until("Greet Bo?\n[y/n] > ")
    terminal.type("n\n")
    assert terminal.end() == 0 and '"hello Ada"' in terminal.shown and '"nothing"' in terminal.shown


def test_a_form_is_asked_field_by_field_and_checked(shell: Shell) -> None:
    terminal = Terminal(shell, "run", "form", "--stream")
    terminal.until("name> ")
    terminal.type("Ada\n")
    terminal.until("age> ")
    terminal.type("old\n")
    terminal.until("not a JSON integer")
    terminal.type("36\n")
    terminal.until("(may be left empty)> ")
    terminal.type("\n")
    assert terminal.end() == 0 and '{"name": "Ada", "age": 36}' in terminal.shown


@pytest.mark.parametrize(("typed", "code"), [("\x04", 3), ("interrupt", 130)])
def test_who_leaves_the_question_leaves_the_run_waiting(shell: Shell, typed: str, code: int) -> None:
    terminal = Terminal(shell, "run", "greet", "--payload", '{"name": "Ada"}')
    terminal.until("[y/n] > ")
    if typed == "interrupt":
        terminal.process.send_signal(signal.SIGINT)
    else:
        terminal.type(typed)
    assert terminal.end() == code and "repertoire answer workflow:greet:" in terminal.shown
    run = shell.json("show", newest(shell, "greet"))
    assert run["status"] == "input_required" and run["questions"][0]["question"] == "Greet Ada?"


def test_ctrl_c_cancels_a_run_that_works(shell: Shell, tmp_path: Path) -> None:
    terminal = Terminal(shell, "run", "slow", "--payload", json.dumps({"file": str(tmp_path / "traces")}))
    while not (tmp_path / "traces").exists():
        time.sleep(0.01)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert shell.json("show", newest(shell, "slow"))["status"] == "cancelled"


def test_an_answer_from_elsewhere_ends_the_asking(shell: Shell) -> None:
    """promise: ask-anywhere"""
    terminal = Terminal(shell, "run", "greet", "--payload", '{"name": "Ada"}')
    terminal.until("[y/n] > ")
    assert shell.ok("answer", newest(shell, "greet"), "true") == "answered\n"
    assert terminal.end() == 0 and '"hello Ada"' in terminal.shown


def test_without_a_terminal_it_says_what_is_asked_and_how_to_answer(shell: Shell) -> None:
    """promise: asks-without-terminal"""
    asked = shell("run", "greet_all", "--payload", '{"names": ["Ada"]}')
    assert asked.returncode == 3 and asked.stdout == "" and "asks: Greet Ada?" in asked.stderr
    (command,) = re.findall(r"repertoire (answer .*)", asked.stderr)
    run_id = newest(shell, "greet_all")
    assert command == f"answer {run_id} true"
    listed = shell.ok("runs")
    short = run_id.rpartition(":")[2][:12]
    assert re.search(rf"\n{short} +greet_all +input_required", listed), listed
    assert re.search(r"\n└ \w{12} +greet +input_required .* an answer", listed), listed
    shown = shell.ok("show", run_id)
    assert "workflow greet  open" in shown and "asks: Greet Ada?" in shown
    refused = shell("answer", run_id, "12")
    assert refused.returncode == 2 and "does not fit" in refused.stderr
    assert shell.ok(*command.split()) == "answered\n"
    assert until_status(shell, run_id, "completed")["result"] == ["hello Ada"]
    again = shell("answer", run_id, "true")
    assert again.returncode == 2 and "asks nothing now" in again.stderr


def test_a_run_is_shown_with_its_calls_and_their_times(shell: Shell, tmp_path: Path) -> None:
    done = shell.json("run", "nest", "--payload", json.dumps({"file": str(tmp_path / "traces")}))
    assert done["result"] == 8
    shown = shell.ok("show", done["run_id"])
    heading, lines = shown.splitlines()[0], shown.partition("\ncalls\n")[2].splitlines()
    time_of = r"[\d.e+]+ (?:ms|s)"
    assert re.fullmatch(rf"{done['run_id']}  completed  {time_of}", heading)
    expected = [
        rf"├── \S+  step outer  {time_of}",
        rf"│   └── \S+  step inner  {time_of}  part of its step",
        rf"├── \S+  step bad  {time_of}  failed: ValueError: no luck",
        rf"└── \S+  step slow  {time_of}  cancelled",
    ]
    assert len(lines) == len(expected)
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)
    tree = shell.json("show", done["run_id"])
    assert [call["op"] for call in tree["calls"]] == ["step"] * 4 and tree["calls_left_out"] == 0
    logged = shell.ok("logs", done["run_id"])
    assert re.search(r"call_end   \S+  step bad  \S+ ms  failed: ValueError: no luck", logged)
    assert shell.ok("show", "nest").startswith("name: nest\n")
    unknown = shell("show", "workflow:nest:none")
    assert unknown.returncode == 1 and "no run" in unknown.stderr


def test_runs_are_filtered(shell: Shell, tmp_path: Path) -> None:
    payload = json.dumps({"file": str(tmp_path / "traces")})
    shell.ok("run", "count", "--payload", payload, "--session", "mine")
    shell.ok("run", "count", "--payload", payload)
    (row,) = shell.json("runs", "--session", "mine")
    assert shell.json("runs", "--session", row["session_id"]) == [row]
    assert len(shell.json("runs", "--since", "1h", "--workflow", "count")) == 2
    assert shell.json("runs", "--until", "1h") == [] == shell.json("runs", "--status", "failed")
    assert len(shell.json("runs", "--limit", "1")) == 1
    assert len(shell.json("runs", "--since", row["created_at"])) == 2
    assert shell("runs", "--since", "tuesday").returncode == 2


def test_a_rerun_takes_what_is_recorded_up_to_a_call(shell: Shell, tmp_path: Path) -> None:
    """promise: rerun"""
    traces = tmp_path / "traces"
    first = shell.json("run", "count", "--payload", json.dumps({"file": str(traces)}))
    again = shell.json("rerun", first["run_id"])
    assert again["result"] == "one-two-three" and again["run_id"] != first["run_id"]
    assert traces.read_text().split() == ["one", "two", "three"]
    shell.ok("rerun", first["run_id"], "--from", "1")
    assert traces.read_text().split() == ["one", "two", "three", "two", "three"]
    (tmp_path / "fixed.py").write_text(COUNT.replace('"-".join', '"+".join'))
    assert shell.ok("rerun", first["run_id"], "--source", str(tmp_path / "fixed.py")) == '"one+two+three"\n'
    lines = shell.ok("rerun", first["run_id"], "--stream").splitlines()
    assert json.loads(lines[-1])["status"] == "completed" and json.loads(lines[0])["type"] == "run_start"
    wrong = shell("rerun", first["run_id"], "--from", "9")
    assert wrong.returncode == 2 and "Its calls are: 0, 1, 2." in wrong.stderr
    assert shell("rerun", "count").returncode == 1


def test_a_command_starts_a_daemon_for_what_a_dead_owner_has_left(shell: Shell, tmp_path: Path) -> None:
    """promise: next-command-resumes"""
    run_id, traces = _left_by_a_dead_owner(shell, tmp_path)
    assert shell.json("runs")[0]["status"] == "working"  # and did not wait for its end
    assert shell.json("status")["kind"] == "daemon"
    Path(f"{traces}.go").touch()
    assert until_status(shell, run_id, "completed")["result"] == "two"
    assert traces.read_text().split() == ["one", "two"]
    assert shell("resume", run_id).stdout == "completed\n"


OWNER_DIES_MEANWHILE = """
import sys
from repertoire import home as homes
from repertoire.__main__ import main

really, looks = homes.is_owned, []

def look(home):
    looks.append(home)
    return len(looks) == 1 or really(home)

homes.is_owned = look
sys.exit(main())
"""


def test_a_command_whose_owner_dies_before_it_connects_does_not_own_the_home_for_others_runs(
    shell: Shell, tmp_path: Path
) -> None:
    """It would hold up everybody else until all unfinished runs have ended."""
    run_id, traces = _left_by_a_dead_owner(shell, tmp_path)
    command = [sys.executable, "-P", "-c", OWNER_DIES_MEANWHILE, "runs", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=shell.environ, cwd=tmp_path)
    assert json.loads(done.stdout)[0]["status"] == "working", done.stderr
    assert shell.json("status")["kind"] == "daemon"
    Path(f"{traces}.go").touch()
    assert until_status(shell, run_id, "completed")["result"] == "two"


def _left_by_a_dead_owner(shell: Shell, tmp_path: Path) -> tuple[str, Path]:
    """A run between its two steps, and where it leaves its traces."""
    traces = tmp_path / "traces"
    command = [sys.executable, "-P", "-m", "repertoire", "run", "slow", "--payload", json.dumps({"file": str(traces)})]
    watching = subprocess.Popen(command, env=shell.environ, cwd=shell.home, stdout=subprocess.DEVNULL)
    give_up = time.monotonic() + PATIENCE_S
    while not (traces.exists() and shell.json("runs")[0]["status"] == "working"):
        assert time.monotonic() < give_up
    events = shell.ok("logs", run_id := newest(shell, "slow"))
    while "step note" not in events:  # the record of the first step is committed
        events = shell.ok("logs", run_id)
    os.kill(shell.json("status")["pid"], signal.SIGKILL)
    watching.wait()
    return run_id, traces
