"""The audit log in the Store: it grows out of an older file, nothing changes its lines, and only retention takes old ones."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from repertoire.model.audit_line import Action
from repertoire.model.run import Run
from repertoire.model.session import Caller
from repertoire.names import new_run_id
from repertoire.store import open_store
from repertoire.store.audit import AuditFilter, By, arguments_hash
from repertoire.store.migrate import migrations
from support.versions import a_version

pytestmark = pytest.mark.anyio

BY = By("local", "a test")


def a_run() -> Run:
    now = time.time()
    return Run(
        id=new_run_id("w"),
        workflow="w",
        version="0" * 64,
        session_id="s_1",
        principal="local",
        created_at=now,
        last_event=1,
    )


PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()


def test_the_page_names_every_action() -> None:
    table = PAGE.partition("| action | somebody |")[2].partition("\n\n")[0]
    shown = [word for line in table.splitlines()[2:] for word in line.split("|")[1].replace("`", "").split(", ")]
    assert sorted(word.strip() for word in shown) == sorted(get_args(Action))


async def test_a_run_has_a_line_for_its_start_and_one_for_its_end(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "r.db")) as store:
        run = msgspec.structs.replace(a_run(), arguments='{"b": 1, "a": "a secret"}', client="claude")
        await store.start_run(run, with_state=False, fingerprint="f")
        await store.finish_run(run, "completed", result='"another secret"')
        ended, started = await store.audit(AuditFilter())
        assert (started.action, ended.action, ended.status) == ("started", "ended", "completed")
        hashed = hashlib.sha256(b'{"a": "a secret", "b": 1}').hexdigest()
        assert started.arguments == hashed == arguments_hash(run.arguments) and ended.arguments == ""
        for line in (started, ended):
            assert (line.workflow, line.version, line.run_id) == (run.workflow, run.version, run.id)
            assert (line.principal, line.client, line.session_id) == ("local", "claude", "s_1")
            assert "secret" not in json.dumps(line.public())


async def test_a_start_that_is_not_stored_has_no_line(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "r.db")) as store:
        run = a_run()
        await store.start_run(run, with_state=False, fingerprint="f")
        with pytest.raises(sqlite3.IntegrityError):
            await store.start_run(run, with_state=False, fingerprint="f")
        assert [line.action for line in await store.audit(AuditFilter())] == ["started"]


def test_numbers_that_cannot_be_read_have_a_hash_too() -> None:
    text = '{"n": ' + "1" * 5_000 + "}"
    assert arguments_hash(text) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET client = 'somebody else'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE n = 1",
        "INSERT OR REPLACE INTO audit (n, action, at, principal, client, workflow, version) VALUES (1, 'ended', 0, '', '', '', '')",
        "UPDATE publication SET client = 'somebody else'",
    ],
)
async def test_no_statement_changes_a_line(tmp_path: Path, statement: str) -> None:
    async with open_store(str(tmp_path / "r.db")) as store:
        await store.publish(a_version("w"), BY)
        before = await store.audit(AuditFilter())
        with pytest.raises(sqlite3.Error, match=r"append-only|cannot modify"):
            await store.write(lambda db: db.execute(statement).rowcount)
        assert await store.audit(AuditFilter()) == before and len(before) == 1


async def test_retention_takes_old_lines_and_leaves_one_about_that(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "r.db")) as store:
        version = a_version("w")
        await store.publish(version, BY)
        for _ in range(5):
            run = a_run()
            await store.start_run(run, with_state=False, fingerprint="f")
            await store.finish_run(run, "completed", result="1")
        assert await store.would_cut_audit(time.time() - 60) == await store.cut_audit(time.time() - 60, 100, BY) == 0
        now = time.time()
        assert await store.would_cut_audit(now) == 10
        assert [await store.cut_audit(now, 6, by) for by in (BY, None, None)] == [6, 4, 0]
        cut, published = await store.audit(AuditFilter())
        assert (cut.action, cut.client, published.action) == ("audit_cut", "a test", "published")
        assert cut.n == 12  # no number is used twice
        assert await store.was_published(version.hash)
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            await store.write(lambda db: db.execute("DELETE FROM audit").rowcount)


async def test_what_a_name_was_is_known_after_the_log_was_cut(tmp_path: Path) -> None:
    """A forgotten version is new when it comes again: nobody has published or approved it."""
    async with open_store(str(tmp_path / "r.db")) as store:
        old, new = a_version("w"), a_version("w", "other")
        for version in (old, new):
            await store.publish(version, BY)
        await store.unpublish("w", BY)
        await store.write(lambda db: db.execute("UPDATE version SET created_at = 0").rowcount)
        assert await store.delete_unused_versions(10) == 0
        assert await store.cut_audit(time.time(), 100, None) == 0 and len(await store.history("w")) == 3


async def test_filters_and_pages(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "r.db")) as store:
        for n in range(30):
            await store.note("created", By("local", "Cursor 1.2" if n % 2 else "cli"), workflow=f"w{n % 3}")
        assert [line.n for line in await store.audit(AuditFilter(), limit=3)] == [30, 29, 28]
        assert [line.n for line in await store.audit(AuditFilter(), before=4)] == [3, 2, 1]
        assert [line.n for line in await store.audit(AuditFilter(workflow="w0", who="cursor"))] == [28, 22, 16, 10, 4]
        assert len(await store.audit(AuditFilter(who="local"))) == 30 and not await store.audit(AuditFilter(who="loc"))
        assert await store.audit(AuditFilter(action="draft")) == await store.audit(AuditFilter(since=time.time())) == []
        assert [line.n for line in await store.audit_after(28, AuditFilter())] == [29, 30]


async def test_a_search_looks_beyond_one_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repertoire.store.audit._WINDOW", 4)
    async with open_store(str(tmp_path / "r.db")) as store:
        for n in range(20):
            await store.note("created", BY, workflow="rare" if n in (1, 10) else "w")
        assert [line.n for line in await store.audit(AuditFilter(workflow="rare"))] == [11, 2]
        assert await store.audit(AuditFilter(workflow="none", since=time.time() + 1)) == []


async def test_the_session_of_a_named_caller_is_found(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "r.db")) as store:
        session = await store.named_session("local", "cursor")
        known, unknown, body = (
            Caller(session_name="cursor"),
            Caller(session_name="none"),
            Caller(call=("workflow:w:1", "0")),
        )
        for caller in (known, unknown, body):
            await store.publish(a_version("w"), By.of(caller))
        lines = await store.audit_after(0, AuditFilter())
        assert [line.session_id for line in lines] == [session.id, "", ""]
        assert [line.run_id for line in lines] == ["", "", "workflow:w:1"]


async def test_an_older_file_keeps_its_history(tmp_path: Path) -> None:
    path = str(tmp_path / "r.db")
    number = next(n for n, script in enumerate(migrations(), 1) if "RENAME TO audit" in script)
    with sqlite3.connect(path) as db:
        for script in migrations()[: number - 1]:
            db.executescript(script)
        rows = [
            ("w", "0" * 64, "draft", None),
            ("w", "0" * 64, "published", None),
            ("w", "1" * 64, "published", "0" * 64),
        ]
        for name, hash, action, based_on in rows:
            statement = "INSERT INTO publication (name, hash, action, at, principal, client, based_on) VALUES (?, ?, ?, 1.5, 'local', 'c', ?)"
            db.execute(statement, (name, hash, action, based_on))
        db.execute(f"PRAGMA user_version = {number - 1}")
    db.close()
    async with open_store(path) as store:
        lines = await store.audit_after(0, AuditFilter())
        assert [(line.workflow, line.version, line.action, line.based_on) for line in lines] == rows
        assert [line.action for line in await store.history("w")] == ["published", "published", "draft"]
        await store.note("created", BY)
        assert await store.last_audit() == 4


async def test_lines_of_runs_are_in_no_index_and_publications_are_found_by_one(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "r.db")) as store:
        for where in ("name = 'w'", "hash = 'h' AND action = 'published'", "name = 'w' AND action <> 'draft'"):
            plan = await store.read(
                lambda db, where=where: db.execute(
                    f"EXPLAIN QUERY PLAN SELECT n FROM publication WHERE {where}"
                ).fetchall()  # type: ignore[misc]
            )
            assert all(
                "USING" in row[3] and "INDEX audit_" in row[3] for row in plan if "audit" in row[3] or "line" in row[3]
            ), plan
