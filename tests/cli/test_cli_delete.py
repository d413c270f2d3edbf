"""`delete` asks at a terminal and can be undone: what comes back is what it was."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from repertoire.app import App
from repertoire.errors import Refused
from repertoire.model.session import Caller
from repertoire.surfaces.control import control
from support import shells
from support.services import opened
from support.shells import ECHO, Shell

shell = shells.shell


def at_terminal(shell: Shell, answer: bytes, *words: str) -> tuple[int, str]:
    """The command with a terminal as its stdin and stderr: its exit code and stdout."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-P", "-m", "repertoire", *words]
    with subprocess.Popen(
        command, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True, env=shell.environ
    ) as process:
        os.close(theirs)
        os.write(ours, answer)
        out = process.communicate(timeout=60)[0]
    os.close(ours)
    return process.returncode, out


def test_n16_delete_asks_at_a_terminal_and_a_file_comes_back_as_its_file(shell: Shell) -> None:
    file, text = shell.home / "workflows" / "echo_it.py", "# mine\n" + ECHO
    file.write_text(text)
    assert at_terminal(shell, b"n\n", "delete", "echo_it")[0] == 1 and file.exists()
    assert at_terminal(shell, b"y\n", "delete", "echo_it") == (0, "deleted echo_it\n") and not file.exists()
    version = shell.json("show", "echo_it", "--history")["history"][0]
    assert version["action"] == "deleted" and version["client"] == "repertoire command line"
    assert (shell.home / "trash" / f"echo_it.{version['version']}.py").read_text() == text
    assert str(file) in shell.ok("publish", "echo_it", version["version"][:6])
    assert file.read_text() == text and not list((shell.home / "trash").iterdir())
    shown = shell.json("show", "echo_it")
    assert (shown["origin"], shown["file"], shown["status"]) == ("operator", str(file), "published")
    done = shell("delete", "echo_it")  # a script has nobody to ask
    assert done.returncode == 0 and f"undo: repertoire publish echo_it {version['version']}" in done.stderr
    assert str(shell.home / "trash") in done.stderr


def test_n16_a_created_workflow_comes_back_as_one_and_a_taken_name_is_refused(tmp_path: Path) -> None:
    home, me = tmp_path / "home", Caller()
    source = '"""Give two."""\n\ndef run() -> int:\n    return 2\n'

    async def nothing(event: object) -> None:
        return

    async def main() -> None:
        async with opened(home) as app:
            service = app.service
            await service.publishing.create(me, "two", source)
            gone = await control(service, me, "delete", {"name": "two"}, nothing)
            assert gone["deleted"] and gone["trash"] is None
            back = await control(service, me, "publish", {"name": "two", "version": gone["version"]}, nothing)
            assert back["status"] == "published" and "file" not in back
            assert (await service.versions.get(me, "two"))["origin"] == "tool"

            await control(service, me, "create", {"name": "three", "source": source}, nothing)
            gone = await control(service, me, "delete", {"name": "three"}, nothing)
            await control(service, me, "create", {"name": "three", "source": source.replace("2", "3")}, nothing)
            with pytest.raises(Refused, match="is taken"):
                await control(service, me, "publish", {"name": "three", "version": gone["version"]}, nothing)
            assert await service.own_files.restore(me, "../three", gone["version"]) is None
            assert (await control(service, me, "delete", {"name": "nobody"}, nothing))["deleted"] is False

    anyio.run(main)


async def _filled_trash(app: App, file: Path) -> None:
    file.write_text(ECHO)
    await app.service.library.refresh(Caller())
    assert (await app.service.own_files.remove(Caller(), "echo_it"))["trash"]


@pytest.mark.anyio
async def test_the_trash_is_emptied_of_what_is_as_old_as_a_run_that_is_not_kept(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "home" / "workflows" / "echo_it.py"
    async with opened(home) as app:
        await _filled_trash(app, file)
        (kept,) = (home / "trash").iterdir()
        os.utime(kept, (0, 0))  # its text is old; it was deleted just now
        assert (await app.service.history.collect_garbage())["trash"] == 0 and kept.exists()
    async with opened(home, keep_runs_s="0") as app:
        assert (await app.service.history.collect_garbage())["trash"] == 0 and kept.exists()
        await anyio.sleep(0.02)
        assert (await app.service.history.collect_garbage(0.01, 0, dry_run=True))["trash"] == 1 and kept.exists()
        assert (await app.service.history.collect_garbage(0.01, 0))["trash"] == 1 and not kept.exists()
