"""Results and recorded answers of more than 256 KiB are files: read back everywhere, kept as long as something has them, whole after a copy."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.errors import DamagedStore
from repertoire.model.session import Caller
from repertoire.store import content_files
from repertoire.store.record_files import INLINE_BYTES
from support.services import opened

pytestmark = pytest.mark.anyio

ME = Caller()
LONG = INLINE_BYTES + 10
OFF = {"search_model": "off", "ready_workflows": "false"}
BOTH = '''"""Make long texts in a step and in a run below, and give one of them."""

def made(n):
    return "ä" + "s" * n

def run(n: int, nested: bool = True) -> list:
    first = step(made, n)
    second = workflows.both(n=n, nested=False) if nested else []
    return [first, len(second)]
'''


async def created(app: App) -> None:
    await app.service.publishing.create(ME, "both", BOTH)


async def ended(app: App, n: int = LONG) -> Any:
    return await app.service.runs.wait_for_end(await app.service.runs.start(ME, "both", {"n": n}))


def files(home: Path) -> list[Path]:
    return sorted(path for path in (home / "records").rglob("*") if path.is_file())


def stored_types(home: Path) -> set[str]:
    with sqlite3.connect(home / "repertoire.db") as db:
        rows = db.execute(
            "SELECT typeof(result) FROM run WHERE result IS NOT NULL UNION ALL SELECT typeof(result) FROM call WHERE op = 'step'"
        )
        found = {kind for (kind,) in rows}
    db.close()
    return found


async def test_a_long_result_is_read_back_in_parts_by_reference_in_a_replay_and_from_a_run(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await created(app)
        run = await ended(app)
        assert run.status == "completed"
        assert (
            stored_types(tmp_path) == {"blob"} and len(files(tmp_path)) == 3
        )  # of two steps the same text, two results
        parts = (await app.service.runs.get(ME, run.id))["parts"]
        pieces = [(await app.service.runs.get(ME, run.id, part=n + 1))["text"] for n in range(parts)]
        assert "".join(pieces) == run.result
        taken = await app.service.code_runs.start(
            ME, "len(text)", {"text": {"$ref": f"run:///{run.id}#/result/0"}}, None
        )
        assert (await app.service.runs.wait_for_end(taken)).result == str(LONG + 1)
        again = await app.service.runs.wait_for_end(await app.service.history.rerun(ME, run.id))
        assert again.result == run.result and len(files(tmp_path)) == 3
        kept = await app.service.publishing.create(ME, "kept", from_run=run.id)
        assert kept["examples"] == {"passed": 1, "failed": 0}
        assert [one["status"] for one in await app.service.runs.list_runs(ME, workflow="both", top=True)] == [
            "completed"
        ] * 2


async def test_files_go_with_the_last_run_that_has_them_and_strays_go_too(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await created(app)
        run = await ended(app)
        again = await app.service.runs.wait_for_end(await app.service.history.rerun(ME, run.id))
        await app.service.history.collect_garbage(0, 1)  # keeps the newest
        assert len(files(tmp_path)) == 3 and (await app.store.run(again.id)) is not None
        assert (await app.service.runs.find(ME, again.id)).result == run.result
        (tmp_path / "records" / "files" / "ab").mkdir(exist_ok=True)
        (tmp_path / "records" / "files" / "ab" / ("ab" * 32)).write_bytes(b"of a server that was killed")
        await app.store.drop_stray_files()
        assert len(files(tmp_path)) == 3
        await app.service.history.collect_garbage(0.000001, 0)
        assert files(tmp_path) == []


async def test_a_copied_home_is_whole_and_a_lost_file_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path / "home", **OFF) as app:
        await created(app)
        run = await ended(app)
    shutil.copytree(tmp_path / "home", tmp_path / "copy")
    async with opened(tmp_path / "copy", **OFF) as app:
        assert (await app.service.runs.find(ME, run.id)).result == run.result
        for path in files(tmp_path / "copy"):
            path.unlink()
        with pytest.raises(DamagedStore, match="records"):
            await app.service.runs.find(ME, run.id)
        assert len(await app.service.runs.list_runs(ME)) == 2 and (await ended(app, 3)).status == "completed"


async def test_a_full_disk_fails_the_run_with_a_sentence_and_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, **OFF) as app:
        await created(app)
        before = await ended(app)

        def full(*args: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(content_files, "_write_all", full)
        in_step = await ended(app, LONG + 1)
        assert in_step.error is not None and in_step.error.code == "not_recorded"
        assert "No space left on device" in in_step.error.message
        live = await app.service.code_runs.start(ME, f"'r' * {LONG}", {}, None)
        at_end = await app.service.runs.wait_for_end(live)
        assert at_end.status == "failed" and at_end.error is not None and at_end.error.code == "not_recorded"
        assert "result is lost" in at_end.error.message and "rerun" in (at_end.error.hint or "")
        assert (await ended(app, 3)).status == "completed", "short results need no file"
        monkeypatch.undo()
        assert (await app.service.runs.find(ME, before.id)).result == before.result
        assert (
            await app.service.runs.wait_for_end(await app.service.history.rerun(ME, at_end.id))
        ).status == "completed"
