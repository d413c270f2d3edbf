"""Replays: an app in this process, a folder for traces, and runs to their ends; used by tests of replay.

A test file takes the fixtures with `home, app, traces = replays.home, replays.app, replays.traces`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from support.survivals import body, events, opened, run

ME = Caller()
JSON_OF = "import json\njson_of = json.dumps\n"
"""Put before a body: a step whose argument is what `json_of` makes of something."""


@pytest.fixture
def home(tmp_path: Path, without_walls: None) -> Path:
    return tmp_path / "home"


@pytest.fixture
async def app(home: Path) -> AsyncIterator[App]:
    async with opened(home, workers="4", authoring="sandboxed") as app:
        yield app


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    folder = tmp_path / "traces"
    folder.mkdir()
    return folder


async def publish(app: App, folder: Path, **sources: str) -> None:
    for name, source in sources.items():
        await app.service.publishing.create(ME, name, body(folder, source), replace=True)


async def survived(app: App, folder: Path, source: str, **arguments: Any) -> dict[str, Any]:
    """Publish and run; check that its worker died once and that the run completed."""
    await publish(app, folder, flow=source)
    answer = await run(app, "flow", **arguments)
    assert answer["status"] == "completed", answer["error"]
    assert (folder / "died").exists(), "the body has not killed its worker"
    return answer


async def ended(app: App, run_id: str) -> dict[str, Any]:
    with anyio.fail_after(20):
        async for _ in app.service.runs.follow(run_id):
            pass
    answer = await app.service.runs.get(ME, run_id)
    await events(app, run_id)
    return answer


async def statuses(app: App) -> dict[str, int]:
    counted: dict[str, int] = {}
    for row in await app.service.runs.list_runs(ME, limit=1000):
        counted[row["status"]] = counted.get(row["status"], 0) + 1
    return counted
