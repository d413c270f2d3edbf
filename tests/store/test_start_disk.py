"""A start on a disk that is full, or limited: whichever file is the first that cannot be written, the message names it and what to do."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import subprocess
from pathlib import Path

import pytest

from chaos.disks import mounted
from repertoire import home as homes
from repertoire.daemon.home_lock import Owner
from repertoire.surfaces.mcp.state_key import state_key
from support.faults import COMMAND, FullDisk, repertoire

ROOM = "make room on it"


def hello(home: Path) -> str:
    """What the host of a front hears that cannot start a daemon."""
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
    command = [*COMMAND, "serve", "--home", str(home)]
    done = subprocess.run(command, input=json.dumps(request) + "\n", capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stdout + done.stderr
    message: str = json.loads(done.stdout)["error"]["message"] if done.stdout else done.stderr
    return message


@pytest.mark.parametrize("files", [1, 3, 5, 7])
def test_r15_whichever_file_has_no_room_is_named_with_what_to_do(tmp_path: Path, files: int) -> None:
    """A disk with room for so many files, one of which is its own folder: the lock, the socket, daemon.json, the database."""
    with mounted(tmp_path / "disk", "-o", f"size=4m,nr_inodes={files + 1}") as may:
        if not may:
            pytest.skip("mounting needs root; the other tests try the same")
        home = tmp_path / "disk" / "home"
        done = repertoire(home, "run", "counter", ready=True)
        assert done.returncode == 1 and "Traceback" not in done.stderr, done
        said = done.stderr.replace("\n", " ")
        assert str(home) in said and ("make room" in said or "Is the disk full?" in said), said


def test_r15_a_host_is_told_although_the_log_cannot_be_written_either(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-o", "size=1m") as may:
        if not may:
            pytest.skip("mounting needs root; the other tests try the same")
        home = tmp_path / "disk" / "home"
        (home / "logs").mkdir(parents=True)
        (disk := FullDisk(home)).fill()
        message = hello(home)
        assert f"{home}/" in message and ROOM in message, message
        disk.free()
        assert repertoire(home, "run", "counter", ready=True).returncode == 0


def test_r15_a_limit_on_the_size_of_files_is_named_too(tmp_path: Path) -> None:
    limited = repertoire(
        tmp_path / "home", "run", "counter", prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    )
    said = limited.stderr.replace("\n", " ")
    assert limited.returncode == 1 and str(tmp_path / "home") in said and "ulimit -f" in said, said


# Case R15
@pytest.mark.parametrize("failing", ["write", "bind", "key"])
def test_an_error_without_a_path_gets_the_one_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    home = str(tmp_path / "home")
    place, name, path = {
        "write": (json, "dump", homes.info_path(home)),
        "bind": (socket.socket, "bind", homes.socket_path(home)),
        "key": (os, "replace", f"{home}/request-state.key.new"),
    }[failing]
    os.makedirs(home)
    monkeypatch.setattr(place, name, full)
    with pytest.raises(OSError) as raised:
        if failing == "key":
            state_key(home)
        with Owner(home, kind="daemon", version="0.1.0"):
            pass
    assert raised.value.filename == path and f"{path}'. The disk is full" in homes.message_of(raised.value)


def test_advice_is_given_where_there_is_some() -> None:
    assert homes.advice(ValueError("x")) == "" and homes.advice(OSError("x")) == ""
    assert homes.message_of(OSError(errno.EPIPE, "Broken pipe")) == "[Errno 32] Broken pipe."
