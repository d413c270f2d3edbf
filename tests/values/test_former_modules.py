"""Homes that were written before classes of ours moved to other modules.

`data/home_before_packages.db.gz` is the database of such a home: a session whose state holds answers of the class style, and a parked run
whose steps have recorded one and an exception.
"""

from __future__ import annotations

import gzip
import sqlite3
import time
from importlib import import_module
from pathlib import Path

import anyio
import pytest

from repertoire.values.former_modules import _MOVED
from support.replays import ME
from support.survivals import opened

HOME = Path(__file__).parent / "data" / "home_before_packages.db.gz"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "repertoire.db").write_bytes(gzip.decompress(HOME.read_bytes()))
    now = time.time()
    with sqlite3.connect(
        home / "repertoire.db"
    ) as db:  # as if it had been written today: sessions and questions expire
        db.execute("UPDATE session SET used_at = ?", (now,))
        db.execute("UPDATE wait SET until = ?", (now + 3600,))
        db.execute("UPDATE run SET wake_at = ? WHERE wake_at IS NOT NULL", (now + 3600,))
    db.close()
    return home


@pytest.mark.anyio
async def test_a_state_with_classes_of_former_modules_loads(home: Path) -> None:
    async with opened(home) as app:
        (before,) = await app.service.runs.list_runs(ME, workflow="keep")
        live = await app.service.runs.start(ME, "keep", {"word": "two"}, before["session_id"])
        answer = app.service.runs.envelope(await app.service.runs.wait_for_end(live))
    assert answer["result"] == ["RunResponse one RunEvent.run_completed", "RunResponse two RunEvent.run_completed"]


@pytest.mark.anyio
async def test_a_run_that_was_parked_before_goes_on(home: Path) -> None:
    async with opened(home) as app:
        (parked,) = await app.service.runs.list_runs(ME, workflow="flow")
        await app.service.runs.answer(ME, parked["run_id"], "yes")
        with anyio.fail_after(20):
            run = await app.service.runs.wait_for_news(ME, parked["run_id"])
        assert app.service.runs.envelope(run)["result"] == ["CallError no luck", "RunResponse", "made", "yes"], (
            run.error
        )


@pytest.mark.parametrize("module", sorted(_MOVED.values()))
def test_each_module_that_classes_have_moved_to_is_there(module: str) -> None:
    assert import_module(module)
