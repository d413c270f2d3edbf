"""Sessions at the command line: seen, reset, renamed, deleted; those that nobody can find again expire."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import anyio
import pytest

from repertoire.app import App
from repertoire.errors import BadArguments, UnknownSession
from repertoire.model.session import Caller
from support import shells
from support.services import opened, run
from support.shells import READY, Shell

shell = shells.shell

HOLD = '''"""Hold the state until a file is there."""
import os, time

def run(file: str) -> int:
    session_state["held"] = 1
    while not os.path.exists(file):
        time.sleep(0.01)
    return 1
'''
PLAIN = '"""Give one."""\n\ndef run() -> int:\n    return 1\n'


def test_n19_a_session_is_shown_reset_renamed_and_deleted(shell: Shell) -> None:
    del shell.environ[READY]
    shell.ok("run", "counter", "--session", "default")
    shell.ok("run", "counter", "--payload", '{"by": 4}')
    assert '"count": 4' in shell.ok("sessions", "show", "cli")
    shown = shell.json("sessions", "show", "default")
    assert [(one["workflow"], one["state"]["count"]) for one in shown["states"]] == [("counter", 1)]
    taken = shell("sessions", "rename", "default", "cli")
    assert taken.returncode == 2 and "keeps state" in taken.stderr and "sessions delete cli" in taken.stderr
    assert shell.ok("sessions", "reset", "cli") == "forgot the state of counter\n"
    assert shell.ok("sessions", "rename", shown["session_id"][:9], "cli") == "default is cli now\n"
    assert shell.json("run", "counter")["result"]["count"] == 2
    assert shell.ok("sessions", "delete", "cli") == "deleted cli\n"
    listed = shell("sessions")
    assert "default" not in listed.stdout and "--all lists them" in listed.stderr


async def refusals(app: App, go_on: Path) -> None:
    me, sessions = Caller(), app.service.sessions
    live = await app.service.runs.start(me, "hold", {"file": str(go_on)})
    assert await live.wait_until_recorded()
    for act in (sessions.reset, sessions.delete):
        with pytest.raises(BadArguments, match="has not ended"):
            await act(me, "default")
    go_on.touch()
    await app.service.runs.wait_for_end(live)
    assert (await sessions.show(me, "default"))["states"][0]["state"] == {"held": 1}
    assert (await sessions.reset(me, "default", "other"))["forgotten"] == []
    for name in ("http:1", "", " a", "x" * 61, "a\nb"):
        with pytest.raises(BadArguments, match="cannot be"):
            await sessions.rename(me, "default", name)
    with pytest.raises(UnknownSession):
        await sessions.show(Caller(principal="somebody else"), "default")
    with pytest.raises(BadArguments, match="Several"):
        await run(app, me, "plain", "new")
        await sessions.show(me, "s_")


def test_n19_a_session_in_use_and_names_of_connections_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "workflows"
    folder.mkdir(parents=True)
    (folder / "hold.py").write_text(HOLD)
    (folder / "plain.py").write_text(PLAIN)

    async def main() -> None:
        async with opened(tmp_path / "home") as app:
            await refusals(app, tmp_path / "go_on")

    anyio.run(main)


def test_n19_empty_sessions_that_no_name_finds_expire(tmp_path: Path) -> None:
    (tmp_path / "home" / "workflows").mkdir(parents=True)
    (tmp_path / "home" / "workflows" / "plain.py").write_text(PLAIN)

    async def main() -> None:
        async with opened(tmp_path / "home", ready_workflows="true") as app:
            me = Caller()
            old = [(await run(app, me, "plain", "new"))["session_id"] for _ in range(3)]
            await run(app, Caller(session_name="http:abc"), "plain")
            await run(app, me, "plain")
            counted = (await run(app, me, "counter", "new"))["session_id"]
            with sqlite3.connect(tmp_path / "home" / "repertoire.db") as db:
                db.execute("UPDATE session SET used_at = ? WHERE id <> ?", (time.time() - 8 * 86_400, old[0]))
            db.close()
            await app.service.history.collect_garbage()
            left = await app.service.sessions.list_sessions(me)
            assert {row["session_id"] for row in left if not row["name"]} == {old[0], counted}, json.dumps(left)
            assert [row["name"] for row in left if row["name"]] == ["default"]

    anyio.run(main)
