"""What is no longer kept: which runs go, with what, and what stays."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App, open_app
from repertoire.engine import retention
from repertoire.errors import UnknownRun
from repertoire.model.session import Caller
from repertoire.settings import load
from repertoire.store.audit import AuditFilter
from repertoire.store.deletion import Keep

pytestmark = pytest.mark.anyio

ME = Caller(session_name="default")
DAY_S = 86_400.0
INNER = '"""Say much."""\n\ndef run(lines: int) -> int:\n    for i in range(lines):\n        log.info(str(i))\n    return lines\n'
OUTER = '"""Call another."""\n\ndef run(lines: int) -> int:\n    return workflows.inner(lines=lines)\n'
ASK = '"""Ask."""\n\ndef run() -> str:\n    return ask("Well?")\n'


async def run(app: App, name: str, **arguments: Any) -> dict[str, Any]:
    live = await app.service.runs.start(ME, name, arguments)
    return app.service.runs.envelope(await app.service.runs.wait(live, 30))


def age(home: Path, *run_ids: str, days: float) -> None:
    """Let runs, and what is below them, have ended so many days earlier."""
    with sqlite3.connect(home / "repertoire.db") as db:
        for run_id in run_ids:
            statement = "UPDATE run SET ended_at = ended_at - ?, created_at = created_at - ? WHERE id = ? OR root = ?"
            db.execute(statement, (days * DAY_S, days * DAY_S, run_id, run_id))
    db.close()


def rows(home: Path, table: str) -> int:
    with sqlite3.connect(home / "repertoire.db") as db:
        (count,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
    db.close()
    return int(count)


async def published(app: App, **sources: str) -> None:
    for name, source in sources.items():
        await app.service.publishing.create(ME, name, source)


async def test_old_runs_go_with_all_below_them_and_unfinished_ones_stay(tmp_path: Path) -> None:
    """promise: retention promise: retention-whole promise: retention-unfinished"""
    async with open_app(load(home=str(tmp_path)), watch=False) as app:
        await published(app, inner=INNER, outer=OUTER, ask_it=ASK)
        old = await run(app, "outer", lines=3)
        new = await run(app, "outer", lines=3)
        asking = await run(app, "ask_it")
        assert asking["status"] == "input_required"
        age(tmp_path, old["run_id"], asking["run_id"], days=100)
        would = await app.service.history.collect_garbage(dry_run=True)
        assert (would["runs"], would["calls"], would["dry_run"]) == (2, 1, True)
        gone = await app.service.history.collect_garbage()
        assert {**gone, "dry_run": True, "versions": 0} == {**would, "versions": 0}
        listed = [row["run_id"] for row in await app.service.runs.list_runs(ME, top=True)]
        assert listed == [asking["run_id"], new["run_id"]] or listed == [new["run_id"], asking["run_id"]]
        with pytest.raises(UnknownRun):
            await app.service.runs.get(ME, old["run_id"])
        assert (rows(tmp_path, "run"), rows(tmp_path, "call")) == (3, 1)
        tree = await app.service.history.tree(ME, new["run_id"])
        assert tree["calls"][0]["run"]["result"] == 3
        assert (await app.service.runs.answer(ME, asking["run_id"], "well"))["status"] in ("working", "completed")


async def test_only_the_newest_runs_are_kept_where_a_number_is_set(tmp_path: Path) -> None:
    """promise: retention-count"""
    environ = {"REPERTOIRE_KEEP_RUNS": "2", "REPERTOIRE_KEEP_RUNS_S": "0"}
    async with open_app(load(home=str(tmp_path), environ=environ), watch=False) as app:
        await published(app, inner=INNER, outer=OUTER)
        runs = [(await run(app, "outer", lines=1))["run_id"] for _ in range(4)]
        assert (await app.service.history.collect_garbage())["runs"] == 4  # each with the one below it
        assert [row["run_id"] for row in await app.service.runs.list_runs(ME, top=True)] == [runs[3], runs[2]]
        assert (await app.service.history.collect_garbage(keep_s=DAY_S, keep=0))["runs"] == 0


async def test_many_rows_go_in_small_pieces_and_a_crash_between_leaves_nothing_half(tmp_path: Path) -> None:
    """promise: retention-step"""
    settings = load(home=str(tmp_path))
    async with open_app(settings, watch=False) as app:
        await published(app, inner=INNER)
        long = await run(app, "inner", lines=2_500)
        age(tmp_path, long["run_id"], days=100)
        store = app._store
        assert await store.take_away(Keep(seconds=DAY_S), 10) == 1
        with pytest.raises(UnknownRun):  # at once, with all its rows still there
            await app.service.runs.get(ME, long["run_id"])
        assert rows(tmp_path, "event") == 2_502
        gone = await store.sweep(1_000)
        assert (gone.events, gone.runs) == (1_000, 0)
    async with open_app(settings, watch=False) as app:  # the process died here; the next one goes on
        gone_now = await app.service.history.collect_garbage()
        assert (gone_now["events"], gone_now["runs"]) == (1_502, 1)
        assert rows(tmp_path, "event") == rows(tmp_path, "run") == 0


async def test_others_write_while_much_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_app(load(home=str(tmp_path)), watch=False) as app:
        await published(app, inner=INNER)
        old = [(await run(app, "inner", lines=200))["run_id"] for _ in range(10)]
        age(tmp_path, *old, days=100)
        monkeypatch.setattr(retention, "_ROWS", 50)
        done = anyio.Event()

        async def collect() -> None:
            assert (await app.service.history.collect_garbage())["events"] == 10 * 202
            done.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(collect)
            fresh = [(await run(app, "inner", lines=5))["status"] for _ in range(5)]
            await done.wait()
        assert fresh == ["completed"] * 5 and len(await app.service.runs.list_runs(ME)) == 5


async def test_versions_that_nothing_refers_to_go_with_gc(tmp_path: Path) -> None:
    """promise: retention-versions"""
    async with open_app(load(home=str(tmp_path)), watch=False) as app:
        await published(app, inner=INNER, ask_it=ASK)
        used = await run(app, "inner", lines=1)
        await app.service.publishing.create(ME, "inner", INNER.replace("Say", "Tell"), replace=True)
        await app.service.publishing.delete(ME, "ask_it")
        before = rows(tmp_path, "version")
        assert (await app.service.history.collect_garbage())["versions"] == 0  # stored a moment ago
        with sqlite3.connect(tmp_path / "repertoire.db") as db:
            db.execute("UPDATE version SET created_at = created_at - 3600")
        db.close()
        assert (await app.service.history.collect_garbage())[
            "versions"
        ] == 0  # a deleted workflow can be brought back for a month
        with sqlite3.connect(tmp_path / "repertoire.db") as db:
            db.execute("DROP TRIGGER audit_is_not_changed")
            db.execute("UPDATE audit SET at = at - 31 * 24 * 3600")
        db.close()
        assert (await app.service.history.collect_garbage(dry_run=True))["versions"] == 1
        assert (await app.service.history.collect_garbage())["versions"] == 1  # ask_it's
        age(tmp_path, used["run_id"], days=100)
        assert (await app.service.history.collect_garbage())[
            "versions"
        ] == 0  # inner is published: one can go back to its first text
        assert rows(tmp_path, "version") == rows(tmp_path, "version_text") == before - 1
        assert (await run(app, "inner", lines=2))["result"] == 2


async def test_the_owner_deletes_in_the_background(tmp_path: Path) -> None:
    """promise: retention-background"""
    settings = load(home=str(tmp_path))
    async with open_app(settings, watch=False) as app:
        await published(app, inner=INNER)
        old, older = [(await run(app, "inner", lines=1))["run_id"] for _ in range(2)]
        age(tmp_path, old, days=89)
        age(tmp_path, older, days=91)
    async with open_app(settings) as app:
        with anyio.fail_after(30):
            while rows(tmp_path, "run") > 1:
                await anyio.sleep(0.02)
        assert [row["run_id"] for row in await app.service.runs.list_runs(ME)] == [old]


async def test_the_owner_cuts_the_audit_log_in_the_background(tmp_path: Path) -> None:
    """promise: retention-audit"""
    async with open_app(load(home=str(tmp_path)), watch=False) as app:
        await published(app, inner=INNER)
        await run(app, "inner", lines=1)
    settings = load(home=str(tmp_path), environ={"REPERTOIRE_KEEP_AUDIT_S": "0.001"})
    async with open_app(settings) as app:
        with anyio.fail_after(30):
            while await app._store.audit(AuditFilter(action="started")):
                await anyio.sleep(0.02)
        kept = [line.action for line in await app._store.audit(AuditFilter())]
        assert kept == ["audit_cut", "published"]  # the version is still there, so it is known where it comes from


def test_gc_on_the_command_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environ = {**os.environ, "REPERTOIRE_HOME": str(home)}

    def repertoire(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "repertoire", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=60)

    for _ in range(3):
        assert repertoire("run", "counter").returncode == 0
    assert repertoire("gc", "--keep", "1", "--dry-run").stdout.startswith("would delete 2 runs, ")
    assert len(json.loads(repertoire("runs", "--json").stdout)) == 3
    assert json.loads(repertoire("gc", "--keep", "1", "--json").stdout)["runs"] == 2
    assert len(json.loads(repertoire("runs", "--json").stdout)) == 1
    assert repertoire("gc", "--keep-days", "1").stdout.startswith("deleted 0 runs, ")
    time.sleep(0.01)
    assert repertoire("gc", "--keep-days", "0.0000001").stdout.startswith("deleted 1 runs, ")
    refused = repertoire("gc", "--keep-days", "0")
    assert refused.returncode == 2 and "more than 0" in refused.stderr
    assert (
        json.loads(repertoire("run", "counter", "--json").stdout)["result"]["count"] == 4
    )  # sessions keep their state
