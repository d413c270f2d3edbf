"""Artifacts and faults: kill -9 of the server around the fact that stores one, a full disk, and files that nobody took."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from repertoire import home as homes
from repertoire.model.artifact import new_artifact
from repertoire.model.session import Caller
from repertoire.store import content_files
from support.daemons import HERE, until
from support.faults import query, repertoire
from support.survivals import opened, run

SAVE = '''"""Save once."""

def run() -> dict:
    return artifacts.save("kept", "content", "by the run")
'''


def contents(home: Path) -> list[str]:
    return sorted(name for _, _, names in os.walk(home / "artifacts" / "files") for name in names)


@contextmanager
def daemon(home: Path, *kill: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-P", os.path.join(HERE, "faulty_house.py"), "--home", str(home), *kill]
    with open(home / "log", "ab") as log:
        owner = subprocess.Popen(command, stderr=log)
    try:
        until(lambda: homes.is_owned(str(home)) or owner.poll() is not None)
        yield owner
    finally:
        owner.kill()
        owner.wait()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_server_killed_at_the_fact_saves_once_and_leaves_no_stray_file(tmp_path: Path, when: str) -> None:
    """`before`: the file has its name, the row is not committed. `after`: it is, but the call is not recorded."""
    home = tmp_path / "home"
    (home / "workflows").mkdir(parents=True, mode=0o700)
    (home / "workflows" / "save.py").write_text(SAVE)
    (home / "armed").touch()
    with daemon(home, "--kill", f"save_artifact:1:{when}") as owner:
        repertoire(home, "run", "save", "--detach")
        until(lambda: owner.poll() is not None)
    assert len(contents(home)) == 1
    rows = query(home, "SELECT description FROM artifact")
    assert rows == ([] if when == "before" else [("by the run",)])
    if when == "after":  # somebody else saves the name, before the run goes on
        with sqlite3.connect(home / "repertoire.db") as db:
            db.execute("UPDATE artifact SET description = 'by another'")
        db.close()
    (home / "armed").unlink()
    with daemon(home):
        until(lambda: query(home, "SELECT status FROM run") == [("completed",)])
    rows = query(home, "SELECT description FROM artifact")
    assert rows == [("by the run" if when == "before" else "by another",)]
    assert len(contents(home)) == 1


@pytest.mark.anyio
async def test_files_without_a_row_and_files_that_nobody_took_are_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        artifacts = app.service.artifacts
        await artifacts.save_bytes("local", new_artifact("a", "bytes"), b"kept")
        stray, left, fresh = (tmp_path / "artifacts" / one for one in ("files/ab/abc", "incoming/old", "incoming/new"))
        stray.parent.mkdir()
        for file in (stray, left, fresh):
            file.write_text("x")
        os.utime(left, (0, 0))
        await artifacts.sweep()
        shown = [await artifacts.keep_blob("local", "tools/draw.chart", b"png", "image/png") for _ in range(2)]
        assert shown[0]["name"] == shown[1]["name"] and shown[0]["name"].startswith("tools/draw.chart/")
        assert (shown[0]["name"][-4:], shown[0]["mime_type"]) == (".png", "image/png")
        assert await artifacts.delete("local", shown[0]["name"])
        odd = await artifacts.keep_blob("local", "x" * 300, b"png", "no type")
        assert odd["mime_type"] == "application/octet-stream" and await artifacts.delete("local", odd["name"])
        assert [file.exists() for file in (stray, left, fresh)] == [False, False, True] and len(contents(tmp_path)) == 2


@pytest.mark.anyio
async def test_a_full_disk_fails_the_call_and_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = '''"""Save, and say how it went."""

def run(text: str) -> str:
    try:
        artifacts.save("a", text)
    except RuntimeError as error:
        return f"{error.code}: {error}"
    return artifacts.load("a")
'''

    def no_room(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with opened(tmp_path, max_artifact_bytes="1000000") as app:
        await app.service.publishing.create(Caller(), "save", source)
        assert (await run(app, "save", text="first"))["result"] == "first"
        with monkeypatch.context() as patch:
            patch.setattr(content_files, "_write_all", no_room)
            full = await run(app, "save", text="second")
        assert full["result"] == "storage: An artifact cannot be stored: No space left on device."
        large = await run(app, "save", text="x" * 2_000_000)
        assert large["result"].startswith("artifact_too_large: An artifact of 2000000 bytes is too large")
        assert os.listdir(tmp_path / "artifacts" / "incoming") == [] and len(contents(tmp_path)) == 1
        assert await app.service.artifacts.value("local", "artifact:///a") == "first"
        assert (await run(app, "save", text="third"))["result"] == "third"
