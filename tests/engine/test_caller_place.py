"""What is the caller's in a run: working folder, time zone; and what a run says is shown verbatim: long integers, names, its own words."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from repertoire.limits import Limits
from repertoire.values import big_integers
from support.faults import Host
from support.mcp_calls import call, made
from support.shells import Shell
from support.transports import Memory, http_server

PLACE = '''"""Say where and when."""
import os, time
from repertoire import workflows

HOME = os.getcwd()

def run(below: bool = False) -> dict:
    here = {"cwd": os.getcwd(), "loaded_in": HOME, "hour": time.localtime(0).tm_hour, "seen": sorted(os.listdir("."))}
    return here | ({"below": workflows.place()} if below else {})
'''
SLEEPS = '''"""Sleep, then say where."""
import os

def run() -> str:
    sleep(6)
    return os.path.abspath("x")
'''
LONG = '''"""Give a long integer."""
import math

def run(what: str = "result"):
    value = math.factorial(2000)
    log.info("big", n=value, more=[value, 2**70])
    return {"n": [value, 2**70]} if what == "inside" else value
'''
TYPED = '"""Give a long integer."""\nimport math\n\ndef run() -> int:\n    return math.factorial(2000)\n'
ABOVE = '''"""Use one."""
import math
from repertoire import workflows

def run() -> bool:
    return workflows.typed_long() == math.factorial(2000)
'''
PACKAGE = '''"""Say :book: and [red]no red[/red]."""

def run() -> str:
    print(":book: [bold]x[/bold]")
    return ":book:"
'''
FACTORIAL = big_integers.decimal(math.factorial(2000), 10_000)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("place") / "home"
    (home / "workflows").mkdir(parents=True)
    home.chmod(0o700)
    sources = {
        "place": PLACE,
        "sleeps": SLEEPS,
        "long_one": LONG,
        "typed_long": TYPED,
        "above": ABOVE,
        "package": PACKAGE,
    }
    for name, source in sources.items():
        (home / "workflows" / f"{name}.py").write_text(source)
    return home


@pytest.fixture(scope="module")
def shell(home: Path) -> Iterator[Shell]:
    """With a daemon whose own folder and time zone are others than the callers'."""
    shell = Shell(home)
    shell.environ["TZ"] = "America/New_York"
    host = Host(home, ready=True)
    host.begin()
    yield shell
    host.close()
    shell("stop", "--force")


def in_folder(shell: Shell, folder: Path, zone: str | None, *words: str) -> Any:
    folder.mkdir(exist_ok=True)
    there = Shell(folder)
    there.environ = {name: value for name, value in shell.environ.items() if name != "TZ"} | (
        {"TZ": zone} if zone else {}
    )
    return json.loads(there.ok(*words))


# Cases M11, W24
def test_a_body_works_in_its_callers_folder_and_time_zone_through_a_daemon(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("1")
    said = in_folder(shell, tmp_path, "Asia/Tokyo", "run", "place", "--payload", '{"below": true}')
    assert (said["cwd"], said["seen"], said["hour"]) == (str(tmp_path), ["one.txt"], 9)
    assert said["loaded_in"] == str(shell.home / "workflows")
    assert said["below"] == {name: said[name] for name in ("cwd", "loaded_in", "hour", "seen")}
    other = in_folder(shell, tmp_path / "other", "UTC", "run", "place")
    assert (other["cwd"], other["seen"], other["hour"]) == (str(tmp_path / "other"), [], 0)


# Case M11
def test_ready_workflows_read_relative_paths_from_the_callers_folder(shell: Shell, tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("x = 1\n")
    found = in_folder(shell, tmp_path, None, "run", "find_duplicates", "--payload", '{"folder": "."}')
    assert [Path(path).name for path in found[0]["paths"]] == ["a.py", "b.py"]
    assert in_folder(shell, tmp_path, None, "run", "source_report", "--payload", '{"path": "."}')["root"] == str(
        tmp_path
    )


# Case M11
def test_a_run_that_goes_on_later_is_in_the_same_folder(shell: Shell, tmp_path: Path) -> None:
    """It is parked while it sleeps, and begun again from its row."""
    said = in_folder(shell, tmp_path, None, "run", "sleeps")
    assert said == str(tmp_path / "x")


# Case M11
@pytest.mark.anyio
async def test_over_http_a_file_works_in_its_own_folder(home: Path, tmp_path: Path) -> None:
    own = tmp_path / "home"
    (own / "workflows").mkdir(parents=True)
    own.chmod(0o700)
    (own / "workflows" / "place.py").write_text(PLACE)
    with http_server(own, {}) as url:
        async with Client(f"{url}/mcp") as client:
            answer = await call(client, "run_workflow", {"name": "place"})
    assert answer["result"]["cwd"] == str(own / "workflows")


# Case W21
def test_a_long_integer_is_readable_at_the_command_line(shell: Shell, tmp_path: Path) -> None:
    assert in_folder(shell, tmp_path, None, "run", "long_one") == FACTORIAL
    inside = in_folder(shell, tmp_path, None, "run", "long_one", "--payload", '{"what": "inside"}')
    assert inside == {"n": [FACTORIAL, 2**70]}
    assert shell.ok("run", "typed_long").strip() == FACTORIAL
    assert in_folder(shell, tmp_path, None, "run", "above") is True
    run_id = shell.json("runs", "--workflow", "long_one")[0]["run_id"]
    assert FACTORIAL in shell.ok("logs", run_id)
    refused = shell("run", "long_one", "--payload", '{"what": ' + "9" * 5000 + "}")
    assert refused.returncode != 0 and "4,300 digits" in refused.stderr and "Traceback" not in refused.stderr


# Case W21
@pytest.mark.anyio
async def test_a_long_integer_is_readable_by_clients_as_text_and_where_an_integer_is_promised_in_parts(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    async with Memory("memory-modern", home, {}).client() as client:
        answer = await made(client, "long_one", LONG)
        assert answer["result"] == FACTORIAL
        events = (await call(client, "get_run", {"run_id": answer["run_id"], "events": "all"}))["events"]
        (told,) = [event["data"] for event in events if event["type"] == "log"]
        assert told["n"] == FACTORIAL
        answer = await made(client, "typed_long", TYPED)
        assert (answer["status"], answer["result"], answer["parts"]) == ("completed", None, 1)
        part = await call(client, "get_run", {"run_id": answer["run_id"], "part": 1})
        assert part["text"] == answer["result_preview"] == FACTORIAL
        assert (await client.call_tool("typed_long", {})).is_error is False


# Case W23
def test_names_and_sources_are_shown_verbatim(shell: Shell, tmp_path: Path) -> None:
    done = shell("run", "package")
    assert json.loads(done.stdout) == ":book:"
    listed = shell.ok("runs", "--workflow", "package")
    assert re.search(r"\n01\w{10}  package +completed", listed)
    run_id = shell.json("runs", "--workflow", "package")[0]["run_id"]
    assert run_id in shell.ok("show", run_id) and ":book: [bold]x[/bold]" in shell.ok("logs", run_id)
    assert shell.ok("show", "package").rstrip().endswith(PACKAGE.rstrip())
    assert ":book: and [red]no red[/red]." in shell.ok("list")
    unknown = shell("show", "workflow:another:01")
    assert "workflow:another:01" in unknown.stderr


MANY = '''"""Say and give much."""
from collections.abc import Iterator

def run(events: int = 0, items: int = 0) -> Iterator[int]:
    for n in range(events):
        log.info(str(n))
    yield from range(items)
'''


# Case R16
@pytest.mark.anyio
async def test_the_limits_of_events_and_items_name_their_settings(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    environ = {"REPERTOIRE_MAX_EVENTS": "20", "REPERTOIRE_MAX_ITEMS": "5"}
    async with Memory("memory-modern", home, environ).client() as client:
        answer = await made(client, "many", MANY, events=30, items=3)
        events = (await call(client, "get_run", {"run_id": answer["run_id"], "events": "all"}))["events"]
        logs = [event["data"]["message"] for event in events if event["type"] == "log"]
        assert answer["result"] == [0, 1, 2] and len(logs) == 21 and "max_events" in logs[-1]
        answer = await made(client, "many", MANY, items=6)
        assert answer["error"]["code"] == "too_many_items" and "max_items" in answer["error"]["hint"]
    assert (Limits().max_events, Limits().max_items) == (10_000, 10_000)


# Case M10
@pytest.mark.anyio
async def test_ready_workflows_take_files_whose_names_are_not_utf_8(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "odd"
    home.mkdir(mode=0o700)
    folder.mkdir()
    for name in (b"caf\xe9.py", b"caf\xe8.py"):
        (folder / os.fsdecode(name)).write_text("x = 1\n")
    async with Memory("memory-modern", home, {}).client() as client:
        found = await call(client, "run_workflow", {"name": "find_duplicates", "arguments": {"folder": str(folder)}})
        assert [Path(path).name for path in found["result"][0]["paths"]] == ["caf\\xe8.py", "caf\\xe9.py"], found
        report = await call(client, "run_workflow", {"name": "source_report", "arguments": {"path": str(folder)}})
        assert report["status"] == "completed", report
