"""Commands in a workspace: their result, their limits, and that nothing of them stays."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from repertoire.workspace.faults import WorkspaceFault
from repertoire.workspace.folder import Bounds, Folder
from repertoire.workspace.shell import Command, Shell, ShellLimits

ENV = {"PATH": os.environ["PATH"]}


def run(folder: Folder, text: str, timeout: float | None = 20, cwd: str = ".", **more: Any) -> dict[str, Any]:
    command = Command(text, cwd, {**ENV, **more.pop("env", {})}, timeout, **more)
    return Shell(folder, command, ShellLimits(30, 1000)).run()


def fault(folder: Folder, text: str, **more: Any) -> WorkspaceFault:
    with pytest.raises(WorkspaceFault) as caught:
        run(folder, text, **more)
    return caught.value


def gone(pid: int) -> bool:
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if (
            Path(f"/proc/{pid}/stat").exists()
            and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        ):
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "files"))


def test_output_exit_code_folder_and_environment(folder: Folder) -> None:
    assert run(folder, "echo out; echo err >&2; exit 3") == {"stdout": "out\n", "stderr": "err\n", "exit_code": 3}
    folder.write("sub/a.txt", b"1")
    assert run(folder, "pwd; cat a.txt", cwd="sub")["stdout"] == f"{folder.root}/sub\n1"
    assert run(folder, "echo $X-$SECRET; cat", env={"X": "1"})["stdout"] == "1-\n"
    assert run(folder, "echo $HOME", cwd="made", make=True)["stdout"] == folder.root + "\n"
    assert run(folder, "kill -9 $$")["exit_code"] == -9
    assert fault(folder, "pwd", cwd="no").code == "no_such_file"
    assert fault(folder, "pwd", cwd="..").code == "outside_workspace"
    (Path(folder.root) / "out").symlink_to("/")
    assert fault(folder, "pwd", cwd="out").code == "outside_workspace"
    assert fault(folder, "echo \0").code == "no_such_file"


def test_output_beyond_the_limit_is_dropped_and_the_command_goes_on(folder: Folder) -> None:
    ended = run(folder, "head -c 300000 /dev/zero | tr '\\0' x; echo done > done.txt")
    assert len(ended["stdout"]) == 1000 and ended["truncated"] is True and ended["exit_code"] == 0
    assert folder.read("done.txt") == b"done\n"


def test_a_command_that_takes_too_long_is_ended_with_its_children(folder: Folder) -> None:
    error = fault(folder, "echo began; trap '' TERM; sleep 60 & echo $! > child; wait; sleep 60", timeout=0.5)
    assert error.code == "shell_timeout" and "began" in error.message
    assert gone(int(folder.read("child")))


def test_a_child_in_the_background_ends_with_the_command(folder: Folder) -> None:
    began = time.monotonic()
    assert run(folder, "sleep 60 & echo $! > child; echo done")["stdout"] == "done\n"
    assert time.monotonic() - began < 20 and gone(int(folder.read("child")))


@pytest.mark.parametrize("timeout", [0, -1, 31, True, "5", float("nan")])
def test_a_time_limit_is_a_number_within_the_setting(folder: Folder, timeout: Any) -> None:
    assert fault(folder, "true", timeout=timeout).code == "shell_refused"


def test_a_command_that_fills_the_workspace_is_ended(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "files"), Bounds(bytes=100_000, files=50))
    assert fault(folder, "while :; do head -c 50000 /dev/zero > f$((n=n+1)); sleep 0.05; done").code == "workspace_full"
    one = Folder(str(tmp_path / "other"), Bounds(bytes=100_000, files=50))
    ended = run(one, "head -c 500000 /dev/zero > big")
    assert ended["exit_code"] != 0 and (tmp_path / "other" / "big").stat().st_size <= 100_000


def test_a_cancelled_command_is_ended(folder: Folder) -> None:
    shell = Shell(folder, Command("echo $$ > pid; sleep 60", ".", ENV, 30), ShellLimits())
    ends: list[str] = []

    def work() -> None:
        try:
            shell.run()
        except WorkspaceFault as error:
            ends.append(error.code)

    thread = threading.Thread(target=work)
    thread.start()
    while not folder.describe("pid"):
        time.sleep(0.01)
    shell.stop()
    thread.join(20)
    assert ends == ["shell_timeout"] and gone(int(folder.read("pid") or b"0"))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_what_an_earlier_server_left_behind_is_killed_first(folder: Folder, tmp_path: Path) -> None:
    note, left = (
        tmp_path / "note",
        threading.Thread(target=lambda: run(folder, "echo $$ > pid; sleep 60", note=str(note))),
    )
    left.start()
    while not (note.exists() and note.read_text() and folder.describe("pid")):
        time.sleep(0.01)
    assert run(folder, "echo again", note=str(note))["stdout"] == "again\n"
    left.join(20)
    assert not left.is_alive() and gone(int(folder.read("pid")))
