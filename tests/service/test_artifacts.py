"""Artifacts of bodies: saved, loaded, listed and deleted; names and sizes that are refused; who sees them, and how long they are kept."""

from __future__ import annotations

import os
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App
from repertoire.errors import BadArguments, UnknownArtifact
from repertoire.model.artifact import checked_name, new_artifact
from repertoire.model.session import Caller
from support.services import create_approved
from support.survivals import body, effects, opened, run

pytestmark = pytest.mark.anyio

ME = Caller()
KEEP = '''"""Save and load."""
from repertoire import CallError


def run(how: str, called: str = "a.txt", size: int = 10):
    if how == "all":
        rows = {"rows": [1, 2.5, None, "ä"], "n": {}}
        saved = artifacts.save("report.json", rows, "A report.", {"from": "test"})
        artifacts.save("text", "Grüße\\n")
        artifacts.save("sales/2026/q1.bin", bytes(range(256)), mime_type="image/png")
        return saved
    if how == "loads":
        return [artifacts.load("report.json"), artifacts.load("text"), list(artifacts.load("sales/2026/q1.bin"))]
    if how == "save":
        return artifacts.save(called, "x" * size)
    if how == "load":
        return artifacts.load(called)
    if how == "list":
        return [[one["name"] for one in artifacts.list()], [one["name"] for one in artifacts.list("sales/")]]
    if how == "delete":
        return [artifacts.exists(called), artifacts.delete(called), artifacts.delete(called), artifacts.exists(called), artifacts.get(called)]
    if how == "file":
        import pathlib
        pathlib.Path("made.csv").write_text("a,b\\n")
        return [artifacts.save("made.csv", pathlib.Path("made.csv")), artifacts.load("made.csv").decode()]
    if how == "many":
        for n in range(size):
            artifacts.save(f"n/{n:05}", n)
        return len(artifacts.list("n/"))
    if how == "codes":
        found = {}
        for one in ("../etc/passwd", "a/../b", "", "/x", "a\\\\b", "a\\x00b", ".", "x" * 201, "a//b", "a\\n"):
            try:
                artifacts.save(one, "x")
            except CallError as error:
                found[one] = error.code
        return found
'''


def files(home: Path) -> list[str]:
    return sorted(name for _, _, names in os.walk(home / "artifacts" / "files") for name in names)


def handed_over(home: Path) -> list[str]:
    return os.listdir(home / "artifacts" / "incoming")


def change(home: Path, statement: str) -> None:
    with sqlite3.connect(home / "repertoire.db") as db:
        db.execute(statement)
    db.close()


async def created(app: App, source: str = KEEP, name: str = "keep") -> None:
    await app.service.publishing.create(ME, name, source)


async def kept(app: App, how: str, **arguments: Any) -> Any:
    answer = await run(app, "keep", how=how, **arguments)
    assert answer["status"] == "completed", answer
    return answer["result"]


async def test_b35_data_text_and_bytes_come_back_over_restarts_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        await created(app)
        saved = await kept(app, "all")
        assert {**saved, "run_id": 0, "created_at": 0, "updated_at": 0, "sha256": len(saved["sha256"])} == {
            "name": "report.json", "uri": "artifact:///report.json", "kind": "json", "mime_type": "application/json", "size": 39,
            "description": "A report.", "metadata": {"from": "test"}, "sha256": 64, "run_id": 0, "created_at": 0, "updated_at": 0,
        }  # fmt: skip
    async with opened(tmp_path) as app:
        assert await kept(app, "loads") == [{"rows": [1, 2.5, None, "ä"], "n": {}}, "Grüße\n", list(range(256))]
        assert await kept(app, "list") == [["report.json", "sales/2026/q1.bin", "text"], ["sales/2026/q1.bin"]]
        assert await kept(app, "delete", called="text") == [True, True, False, False, None]
        missing = await run(app, "keep", how="load", called="nothing")
        assert missing["error"]["message"].startswith("There is no artifact 'nothing'") and missing["error"]["hint"]
        assert await kept(app, "file") and handed_over(tmp_path) == []
        shown = await app.service.artifacts.find(ME, "made.csv")
        assert (shown.mime_type, shown.kind, shown.size) == ("text/csv", "bytes", 4)


async def test_awaited_calls_and_the_events_of_calls(tmp_path: Path) -> None:
    source = '''"""Save at once."""
import asyncio

async def run():
    await asyncio.gather(*(artifacts.save(f"part{n}", "same") for n in range(5)))
    return await asyncio.gather(*(artifacts.load(f"part{n}") for n in range(5)))
'''
    async with opened(tmp_path) as app:
        await created(app, source)
        answer = await run(app, "keep")
        assert answer["result"] == ["same"] * 5 and len(files(tmp_path)) == 1
        starts = [event["data"] for event in answer["events"] if event["type"] == "call_start"]
        assert [start["op"] for start in starts] == ["artifacts.save"] * 5 + ["artifacts.load"] * 5
        assert "part0" in str(starts[0]) and "same" not in str(answer["events"])


async def test_names_that_look_like_a_way_out_are_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        await created(app)
        assert set((await kept(app, "codes")).values()) == {"invalid_arguments"} and len(await kept(app, "codes")) == 10
        assert files(tmp_path) == handed_over(tmp_path) == []
    for name in ("a b", "ä/ö.txt", "...", "~", "-rf", "a:b", "日本"):
        assert checked_name(name) == name
    assert checked_name("a\u0308") == "ä"  # one name, however its characters are written
    wrong: list[dict[str, Any]] = [{"mime_type": "image"}, {"metadata": [1]}, {"description": "x" * 1001}]
    for one in wrong:
        with pytest.raises(BadArguments):
            new_artifact("a", "text", **one)
    with pytest.raises(BadArguments):
        new_artifact("a", "pickle")


async def test_sizes_the_total_and_the_number_are_bounded(tmp_path: Path) -> None:
    bounds = {"max_artifact_bytes": "100", "max_artifacts_bytes": "150", "max_artifacts": "2"}
    async with opened(tmp_path, **bounds) as app:
        await created(app)
        assert (await run(app, "keep", how="save", size=101))["error"]["message"].startswith("An artifact of 101 bytes")
        assert handed_over(tmp_path) == files(tmp_path) == []
        await kept(app, "save", size=100)
        full = await run(app, "keep", how="save", called="b", size=51)
        assert "max_artifacts_bytes" in full["error"]["message"]
        for size in (99, 98, 97):  # what is overwritten gives its room back at once
            await kept(app, "save", size=size)
        await kept(app, "save", called="b", size=50)
        await kept(app, "delete", called="b")
        await kept(app, "save", called="b", size=40)
        await kept(app, "save", called="b", size=50)  # as the content that is dropped to make room for it
        more = await run(app, "keep", how="save", called="c", size=1)
        assert "max_artifacts" in more["error"]["message"] and len(files(tmp_path)) == 2
        await kept(app, "save", called="b", size=10)


async def test_another_principal_sees_nothing_of_them(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        await created(app)
        await kept(app, "save")
        other = Caller(principal="other")
        with pytest.raises(UnknownArtifact):
            await app.service.artifacts.find(other, "a.txt")
        assert (await app.service.artifacts.list_page(other))["artifacts"] == []
        assert not await app.service.artifacts.delete("other", "a.txt")
        assert await app.service.artifacts.value("local", "artifact:///a.txt") == "x" * 10


async def test_a_large_artifact_or_a_wrong_name_is_no_argument(tmp_path: Path) -> None:
    async with opened(tmp_path, max_arguments_bytes="1000") as app:
        await created(app)
        await kept(app, "save", called="large", size=1001)
        for uri, message in {"large": "1001 bytes", "a/../b": "name"}.items():
            with pytest.raises(BadArguments, match=message):
                await run(app, "keep", how={"$ref": f"artifact:///{uri}"})


async def test_two_runs_that_write_one_name_leave_one_of_the_two(tmp_path: Path) -> None:
    async with opened(tmp_path, workers="4") as app:
        await created(app)
        sizes = list(range(1000, 1012))
        async with anyio.create_task_group() as tasks:
            for size in sizes:
                tasks.start_soon(partial(kept, app, "save", size=size))
        assert len(await kept(app, "load")) in sizes
        page = await app.service.artifacts.list_page(ME)
        assert [one["name"] for one in page["artifacts"]] == ["a.txt"] and handed_over(tmp_path) == []


async def test_a_run_that_has_loaded_keeps_the_content_until_its_end(tmp_path: Path) -> None:
    """A killed worker's run loads the same again, although the artifact was overwritten and swept meanwhile."""
    source = body(
        tmp_path,
        """
def run():
    seen = artifacts.load("input")
    effect("loaded " + seen)
    artifacts.save("input", "new")
    ask("Go on?")
    die()
    return [seen, artifacts.load("input")]
""",
    )
    async with opened(tmp_path / "home") as app:
        await create_approved(app, "keep", source)
        await app.service.artifacts.save_bytes("local", new_artifact("input", "text"), b"old")
        live = await app.service.runs.start(ME, "keep", {}, None)
        waiting = await app.service.runs.wait_for_news(ME, live.run.id, set())
        change(tmp_path / "home", "UPDATE content SET stored_at = 0")
        await app.service.artifacts.collect()
        assert len(files(tmp_path / "home")) == 2
        await app.service.runs.answer(ME, waiting.id, "yes")
        with anyio.fail_after(30):
            while not (ended := await app.service.runs.find(ME, waiting.id)).is_final:
                await anyio.sleep(0.02)
        assert ended.result == '["old","new"]' and effects(tmp_path) == ["loaded old"] * 3
        change(tmp_path / "home", "UPDATE content SET stored_at = 0")
        await app.service.artifacts.collect()
        assert len(files(tmp_path / "home")) == 1


async def test_unused_artifacts_go_with_retention(tmp_path: Path) -> None:
    """promise: retention-artifacts"""
    async with opened(tmp_path) as app:
        await created(app)
        await kept(app, "all")
        change(tmp_path, "UPDATE artifact SET used_at = used_at - 91 * 86400 WHERE name <> 'text'")
        await kept(app, "load", called="report.json")
        would = await app.service.history.collect_garbage(dry_run=True)
        assert (would["artifacts"], len(files(tmp_path))) == (1, 3)
        assert (await app.service.history.collect_garbage())["artifacts"] == 1
        assert [one.name for one in await app.service.artifacts.list_all("local", "")] == ["report.json", "text"]
        assert len(files(tmp_path)) == 3  # fresh
        change(tmp_path, f"UPDATE content SET stored_at = {time.time() - 3601}")
        await app.service.history.collect_garbage()
        assert len(files(tmp_path)) == 2


async def test_a_changed_or_lost_file_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        await created(app)
        await kept(app, "save")
        (path,) = (tmp_path / "artifacts" / "files").glob("*/*")
        path.write_text("other")
        changed = await run(app, "keep", how="load")
        path.unlink()
        lost = await run(app, "keep", how="load")
        assert "was changed" in changed["error"]["message"] and "cannot be read" in lost["error"]["message"]
        await kept(app, "save")
        assert await kept(app, "load") == "x" * 10


async def test_what_is_no_data_is_a_type_error(tmp_path: Path) -> None:
    source = '''"""Try."""

def run():
    found = []
    for data in ({1, 2}, float("nan"), object(), {"a": b""}, "\\ud800"):
        try:
            artifacts.save("a", data)
        except (TypeError, ValueError) as error:
            found.append(type(error).__name__)
    try:
        artifacts.save(5, "x")
    except TypeError as error:
        found.append(str(error))
    return found
'''
    async with opened(tmp_path) as app:
        await created(app, source)
        answer = await run(app, "keep")
        assert (
            answer["result"][:4] == ["TypeError"] * 4 and answer["result"][5] == "artifacts: a name is a text, got int"
        )


async def test_ten_thousand_artifacts_are_saved_listed_and_one_more_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        await created(app)
        assert await kept(app, "many", size=50) == 50
        rows = [(f"m/{n:05}",) for n in range(9_950)]
        with sqlite3.connect(tmp_path / "repertoire.db") as db:
            db.executemany(
                "INSERT INTO artifact SELECT principal, ?, hash, size, kind, mime_type, description, metadata, run_id, created_at, "
                "updated_at, used_at FROM artifact WHERE principal = 'local' AND name = 'n/00000'",
                rows,
            )
        db.close()
        answer = await run(app, "keep", how="list")
        assert answer["result"] is None and answer["parts"] > 1  # of a long result, a part is shown
        seen, cursor = 0, None
        while True:
            page = await app.service.artifacts.list_page(ME, "", cursor, 1_000)
            seen, cursor = seen + len(page["artifacts"]), page["next_cursor"]
            if cursor is None:
                break
        assert seen == 10_000
        assert "max_artifacts" in (await run(app, "keep", how="save"))["error"]["message"]
        started = time.monotonic()
        assert await kept(app, "load", called="m/09949") == 0
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "more", [{"description": "half \ud83d"}, {"metadata": {"a": ["\udc00"]}}, {"metadata": {"\ud83d": 1}}]
)
def test_half_of_a_character_is_refused_with_a_sentence(more: dict[str, Any]) -> None:
    with pytest.raises(BadArguments, match="half of a character") as refused:
        new_artifact("a.txt", "text", **more)
    assert refused.value.hint is not None and "encode" in refused.value.hint
    new_artifact("a.txt", "text", description="whole \U0001f600")


async def test_a_body_is_told_of_half_a_character_in_a_description(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        live = await app.service.code_runs.start(ME, "artifacts.save('a.txt', 'x', description='\\ud83d')")
        ended = await app.service.runs.wait_for_end(live)
        assert ended.error is not None and "half of a character" in ended.error.message


async def test_a_rerun_keeps_the_content_that_the_run_has_loaded(tmp_path: Path) -> None:
    source = "found = artifacts.load('a.txt')\nsleep(0.01)\nfound + str(1 / wrong)"
    async with opened(tmp_path) as app:
        await app.service.artifacts.save_bytes(ME.principal, new_artifact("a.txt", "text"), b"old")
        live = await app.service.code_runs.start(ME, source, {"wrong": 0})
        failed = await app.service.runs.wait_for_end(live)
        assert failed.status == "failed"
        await app.service.artifacts.save_bytes(ME.principal, new_artifact("a.txt", "text"), b"new")
        mended = source.replace("wrong", "1")
        again = await app.service.history.rerun(ME, failed.id, source=mended)
        await app.service.artifacts._drop_contents(0.0)  # no room: all that nothing needs goes at once
        assert (await app.service.runs.wait_for_end(again)).result == '"old1.0"'
        await app.service.artifacts._drop_contents(0.0)
        late = await app.service.runs.wait_for_end(await app.service.history.rerun(ME, failed.id, source=mended))
        assert late.error is not None and "--from CALL" in (late.error.hint or "")


async def test_listeners_hear_of_artifacts_that_come_and_go(tmp_path: Path) -> None:
    heard: list[int] = []
    async with opened(tmp_path) as app:
        app.service.artifacts.on_change(lambda: heard.append(1))
        for data in (b"1", b"2"):
            await app.service.artifacts.save_bytes(ME.principal, new_artifact("a.txt", "text"), data)
        assert len(heard) == 1, "the second only replaces it"
        assert not await app.service.artifacts.delete(ME.principal, "none.txt") and len(heard) == 1
        assert await app.service.artifacts.delete(ME.principal, "a.txt") and len(heard) == 2
