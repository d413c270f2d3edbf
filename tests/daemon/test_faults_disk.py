"""The disk under the home: full, read-only, a locked database, a damaged or foreign one. Real files, real processes.

Each fault has a sentence for the caller that names the file, leaves the server up, and costs nothing that was stored.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from chaos.disks import mounted
from support.faults import (
    COMMAND,
    COUNT,
    FileLimit,
    FullDisk,
    database,
    digest,
    kept,
    locked,
    repertoire,
    stored_home,
    without_privileges,
)
from support.mcp_calls import call, create, eventually
from support.transports import Way, runs_of, way_in

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("without_walls")]

DOORS = ["stdio-legacy", "http-modern", "sse-legacy"]


WAITS = '''"""Count, when a file is there."""
import os
import time

def run(file: str) -> int:
    session_state["n"] = session_state.get("n", 0) + 1
    print("begun")
    while not os.path.exists(file):
        time.sleep(0.01)
    return session_state["n"]
'''


# A full disk.


@pytest.fixture(params=[(door, "disk") for door in DOORS] + [("stdio-modern", "limit")], ids="-".join)
def full(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Way, FullDisk | FileLimit]]:
    """A door and a disk that can be filled and freed."""
    door, kind = request.param
    if kind == "limit" and not sys.platform.startswith("linux"):
        pytest.skip("another process's limits can be changed on Linux only")
    with ExitStack() as stack:
        if kind == "disk" and not stack.enter_context(mounted(tmp_path / "disk", "-o", "size=4m")):
            pytest.skip("mounting needs root; the limit on the size of files tries the same")
        (tmp_path / "disk").mkdir(exist_ok=True)
        home = tmp_path / "disk" / "home"
        yield stack.enter_context(way_in(door, home, {})), (FullDisk if kind == "disk" else FileLimit)(home)


async def test_a_full_disk_is_told_to_the_caller_and_works_again_with_room(
    full: tuple[Way, FullDisk | FileLimit],
) -> None:
    way, disk = full
    async with way.client() as client, way.client() as other:
        await create(client, "count", COUNT)
        first = await call(client, "count", {"session_id": "new"})
        assert first["result"] == 1
        mine = {"session_id": first["session_id"]}
        disk.fill()
        for _ in range(3):
            refused = await call(client, "count", mine)
            assert refused["is_error"] and refused["error"]["code"] in ("storage", "not_recorded"), refused
            assert f"{database(way.home)} {disk.reason}" in refused["error"]["message"] and refused["error"]["hint"]
        unmade = await call(client, "create_workflow", {"name": "more", "source": COUNT})
        assert unmade["is_error"] and disk.reason in unmade["error"]["message"]
        assert "count" in [tool.name for tool in (await other.list_tools(cache_mode="refresh")).tools]
        assert (await call(other, "get_run", {"run_id": first["run_id"]}))["result"] == 1
        disk.free()
        assert (await call(client, "count", mine))["result"] == 2, "a run that was refused left nothing in the state"
        assert (await call(other, "get_workflow", {"name": "more"}))["is_error"]
    assert {run["status"] for run in await runs_of(way.home)} == {"completed"}


def test_a_command_on_a_full_disk_says_so_and_loses_nothing(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-o", "size=4m") as may:
        if not may:
            pytest.skip("mounting needs root")
        home = stored_home(tmp_path / "disk" / "home")
        disk = FullDisk(home)
        disk.fill()
        for words in (["run", "count"], ["serve", "--http", "127.0.0.1:0"]):
            done = repertoire(home, *words)
            assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr, done
            assert "is full" in done.stderr or "No space left" in done.stderr, done
        disk.free()
        kept(home)


# A read-only disk.


def _hello(home: Path, prepare: Callable[[], None] | None = None) -> tuple[dict[str, Any], int]:
    """The answer to a front's first request, and the front's exit status."""
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
    command = [*COMMAND, "serve", "--home", str(home)]
    done = subprocess.run(
        command, input=json.dumps(request) + "\n", capture_output=True, text=True, timeout=60, preexec_fn=prepare
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    assert "Traceback" not in answer["error"]["message"] and answer["id"] == 1
    return answer["error"], done.returncode


def test_a_home_that_may_not_be_written_is_named_by_every_door(tmp_path: Path) -> None:
    home = stored_home(tmp_path / "home")
    before = digest(database(home))
    files = [home, *home.rglob("*")]
    modes = {file: file.stat().st_mode for file in files}
    for file in files:
        file.chmod(0o500 if file.is_dir() else 0o400)
    try:
        for words in (["runs"], ["serve", "--http", "127.0.0.1:0"], ["serve", "--embedded"]):
            done = repertoire(home, *words, prepare=without_privileges)
            assert done.returncode == 1 and "Traceback" not in done.stderr, done
            assert str(home) in done.stderr and "Permission denied" in done.stderr, done
        error, status = _hello(home, without_privileges)
        assert status == 1 and error["code"] == -31001
        assert str(home) in error["message"] and "Permission denied" in error["message"]
        assert digest(database(home)) == before
    finally:
        for file, mode in modes.items():
            file.chmod(mode)
    kept(home)


def test_a_database_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    home = stored_home(tmp_path / "home")
    before = digest(database(home))
    database(home).chmod(0o400)
    for words in (["run", "count"], ["serve", "--embedded"]):
        done = repertoire(home, *words, prepare=without_privileges)
        assert done.returncode == 1 and f"{database(home)} is read-only" in done.stderr, done
    error, _ = _hello(home, without_privileges)
    assert f"{database(home)} is read-only" in error["message"] and "another --home" in error["message"]
    assert digest(database(home)) == before and not list(home.glob("repertoire.db-*")), (
        "nothing read-only is left behind"
    )
    database(home).chmod(0o600)
    kept(home)


def test_a_read_only_file_system_is_named(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-o", "size=4m") as may:
        if not may:
            pytest.skip("mounting needs root; the tests of modes try the same")
        home = stored_home(tmp_path / "disk" / "home")
        before = digest(database(home))
        remount = ["mount", "-o", "remount,{}", str(tmp_path / "disk")]
        subprocess.run([word.format("ro") for word in remount], check=True)
        done = repertoire(home, "run", "count")
        assert done.returncode == 1 and "Read-only file system" in done.stderr and str(home) in done.stderr, done
        error, status = _hello(home)
        assert status == 1 and "Read-only file system" in error["message"] and str(home) in error["message"]
        assert digest(database(home)) == before
        subprocess.run([word.format("rw") for word in remount], check=True)
        kept(home)


# A database that somebody else has locked.


async def test_a_lock_is_waited_for_then_told_and_others_are_served_meanwhile(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with way_in("http-modern", home, {}) as way:
        async with way.client() as client, way_in_front(home).client() as other:
            await create(client, "count", COUNT)
            mine = {"session_id": (await call(client, "count", {"session_id": "new"}))["session_id"]}
            answers: list[dict[str, Any]] = []

            async def count() -> None:
                answers.append(await call(client, "count", mine))

            with locked(home) as lock:
                async with anyio.create_task_group() as tasks:  # a lock that is given back in time: nobody notices
                    tasks.start_soon(count)
                    tools = (await other.list_tools(cache_mode="refresh")).tools
                    assert "count" in [tool.name for tool in tools] and not answers
                    lock.rollback()
                assert answers.pop()["result"] == 2
                lock.execute("BEGIN EXCLUSIVE")
                async with anyio.create_task_group() as tasks:  # one that is not
                    tasks.start_soon(count)
                    while not answers:
                        await other.list_tools(cache_mode="refresh")
                        assert (await call(other, "list_workflows"))["workflows"]
                        await anyio.sleep(0.2)  # for the other tests' sake
                refused = answers.pop()
                assert refused["is_error"] and f"{database(home)} has been locked" in refused["error"]["message"]
                assert "Close what has it open" in refused["error"]["message"] + refused["error"]["hint"]
            await count()
            assert answers.pop()["result"] == 3, "the refused run left nothing in the state"
    assert {run["status"] for run in await runs_of(home)} == {"completed"}


def way_in_front(home: Path) -> Any:
    """A front to whoever owns the home."""
    from support.transports import Stdio

    return Stdio("stdio-legacy", home, {})


def test_a_command_that_finds_the_database_locked_says_so(tmp_path: Path) -> None:
    home = stored_home(tmp_path / "home")
    with locked(home):
        done = repertoire(home, "runs")
    assert done.returncode == 1 and done.stdout == "", done
    assert f"{database(home)} has been locked by another program" in done.stderr and "Close" in done.stderr
    kept(home)


# A file that is damaged, or not ours.


def _garbage(at: int, size: int) -> Callable[[Path], None]:
    def spoil(file: Path) -> None:
        with open(file, "r+b") as opened:
            opened.seek(at)
            opened.write(bytes(range(1, 256)) * (size // 255 + 1))

    return spoil


def _other_program(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE run (what)")
    connection.close()


def _pragma(name: str, value: int) -> Callable[[Path], None]:
    def spoil(file: Path) -> None:
        connection = sqlite3.connect(file)
        connection.execute(f"PRAGMA {name} = {value}")
        connection.close()

    return spoil


def _lost_but_its_log(file: Path) -> None:
    shutil.copy(file, f"{file}-wal")
    os.truncate(file, 0)


SPOILED = {
    "header": (_garbage(0, 100), "file is not a database"),
    "middle": (_garbage(3 * 4096, 4 * 4096), "cannot be read"),
    "all but the header": (_garbage(4096, 20 * 4096), "cannot be read"),
    "half": (lambda file: os.truncate(file, file.stat().st_size // 2), "malformed"),
    "half a page": (lambda file: os.truncate(file, 2000), "malformed"),
    "a few bytes": (lambda file: os.truncate(file, 50), "malformed"),
    "nothing but its log": (_lost_but_its_log, "it is empty, but"),
    "a text": (lambda file: file.write_text("not yours\n" * 1000), "file is not a database"),
    "another program's": (_other_program, "another program's SQLite database"),
    "another program's number": (_pragma("application_id", 7), "another program's SQLite database"),
    "of a newer version": (_pragma("user_version", 99), "written by a newer version"),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_a_database_that_cannot_be_used_is_named_and_not_touched(tmp_path: Path, kind: str) -> None:
    home = stored_home(tmp_path / "home")
    spoil, words = SPOILED[kind]
    spoil(file := database(home))
    before = digest(file)
    done = repertoire(home, "runs")
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr, done
    assert str(file) in done.stderr and words in done.stderr and "another --home" in done.stderr
    assert digest(file) == before


def test_every_door_names_a_damaged_database_and_a_copy_in_its_place_is_enough(tmp_path: Path) -> None:
    home = stored_home(tmp_path / "home")
    copy = shutil.copy(database(home), tmp_path / "copy")
    _garbage(3 * 4096, 4 * 4096)(file := database(home))
    before = digest(file)
    for words in (["serve", "--embedded"], ["serve", "--http", "127.0.0.1:0"], ["run", "count"]):
        done = repertoire(home, *words)
        assert done.returncode == 1 and f"The database file {file} cannot be read" in done.stderr, done
    error, status = _hello(home)
    assert status == 1 and f"The database file {file} cannot be read" in error["message"]
    checks = repertoire(home, "doctor", "--json")
    row = next(check for check in json.loads(checks.stdout) if check["check"] == "store")
    assert checks.returncode == 1 and str(file) in row["message"] and "another --home" in row["hint"]
    assert digest(file) == before
    shutil.copy(copy, file)
    kept(home)


def test_an_empty_file_is_a_first_start(tmp_path: Path) -> None:
    """What SQLite leaves when it is killed before its first write."""
    (home := tmp_path / "home").mkdir(mode=0o700)
    database(home).touch()
    assert repertoire(home, "run", "counter", ready=True).returncode == 0


@pytest.mark.parametrize("door", DOORS[:2])
async def test_damage_that_is_met_while_running_is_named_and_nothing_more_is_written(tmp_path: Path, door: str) -> None:
    home = stored_home(tmp_path / "home")
    run_id = (await runs_of(home))[0]["run_id"]
    with way_in(door, home, {}) as way:
        async with way.client() as client, way.client() as other:
            assert (await call(client, "list_workflows"))["workflows"]
            offset, page = _first_page(home, "event")
            _write(home, offset, b"\xa5" * len(page))
            before = digest(database(home))
            met = await call(client, "get_run", {"run_id": run_id})
            assert (
                met["is_error"]
                and met["error"]["code"] == "damaged_store"
                and f"The database file {database(home)} cannot be read" in met["error"]["message"]
            )
            refused = await call(client, "count")
            assert refused["is_error"] and str(database(home)) in refused["error"]["message"], refused
            assert "count" in [tool.name for tool in (await other.list_tools(cache_mode="refresh")).tools]
            assert digest(database(home)) == before
    _write(home, offset, page)
    await anyio.to_thread.run_sync(kept, home)


def _first_page(home: Path, table: str) -> tuple[int, bytes]:
    connection = sqlite3.connect(f"file:{database(home)}?mode=ro", uri=True)
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    (number,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    connection.close()
    offset = (number - 1) * size
    return offset, database(home).read_bytes()[offset : offset + size]


def _write(home: Path, offset: int, data: bytes) -> None:
    with open(database(home), "r+b") as file:
        file.seek(offset)
        file.write(data)


# Case R5
async def test_a_run_that_ends_on_a_full_disk_is_working_until_its_record_is_written(tmp_path: Path) -> None:
    home, go = tmp_path / "home", tmp_path / "go"
    with way_in("http-modern", home, {}) as way:
        async with way.client() as client:
            await create(client, "waits", WAITS)
            go.touch()
            mine = {"session_id": (await call(client, "waits", {"file": str(go), "session_id": "new"}))["session_id"]}
            go.unlink()
            answers = []

            async def wait() -> None:
                answers.append(await call(client, "waits", {**mine, "file": str(go)}))

            disk = FileLimit(home)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)

                async def begun() -> bool:
                    return bool(await runs_of(home, "--status", "working"))

                await eventually(begun)
                disk.fill()
                go.touch()
            held_back = answers.pop()
            assert (held_back["status"], held_back["result"]) == ("working", None), held_back
            assert f"{database(home)} cannot be used" in held_back["message"]
            disk.free()
            ended = await call(client, "get_run", {"run_id": held_back["run_id"], "wait_s": 10})
            assert (ended["status"], ended["result"]) == ("completed", 2)
            await wait()
            assert answers.pop()["result"] == 3, "and its state was stored"
    assert {run["status"] for run in await runs_of(home)} == {"completed"}


# Case R5
async def test_a_run_outlives_a_lock_that_is_held_for_long(tmp_path: Path) -> None:
    home, go = tmp_path / "home", tmp_path / "go"
    source = WAITS.replace('    print("begun")', '    step(time.sleep, 0)\n    print("begun")').replace(
        "    return", "    step(time.sleep, 0)\n    workflows.count()\n    return"
    )
    with way_in("stdio-modern", home, {}) as way:
        async with way.client() as client:
            await create(client, "count", COUNT)
            await create(client, "waits", source)
            answers: list[dict[str, Any]] = []

            async def wait() -> None:
                answers.append(await call(client, "waits", {"file": str(go)}))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)

                async def begun() -> bool:
                    return bool(await runs_of(home, "--status", "working"))

                await eventually(begun)
                with locked(home):
                    go.touch()
                    refused = await call(client, "count")  # by then the run has met the lock too
                    assert refused["is_error"] and "has been locked" in refused["error"]["message"]
            answer = answers.pop()
            if answer["status"] == "working":  # the lock was held for so long that its caller was told so
                answer = await call(client, "get_run", {"run_id": answer["run_id"], "wait_s": 20})
            assert answer["result"] == 1
    assert {run["status"] for run in await runs_of(home)} == {"completed"}
