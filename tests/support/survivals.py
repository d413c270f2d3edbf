"""Survivals: bodies that leave traces, an app in this process, and invariants of any run; used by tests of runs that survive.

A body's effect is a line in a file, written inside a step. `die(name)` kills the body's own worker, once. A file beside the effects
remembers that, so the replayed body continues.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from repertoire.app import App, open_app
from repertoire.model.session import Caller
from repertoire.settings import load

TRACES = """
import asyncio, os, signal, time

FOLDER = "@FOLDER@"

def effect(name, after=0.0):
    time.sleep(after)
    with open(os.path.join(FOLDER, "effects"), "a") as file:
        file.write(name + "\\n")
    return name

async def aeffect(name, after=0.0):
    await asyncio.sleep(after)
    return effect(name)

def die(name="died"):
    try:
        os.close(os.open(os.path.join(FOLDER, name), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
"""
"""Put before a body. Nothing of it may be called `now` or the like, and it is one block, so that lines of bodies stay in order."""

_PACKAGES = "http.client,multiprocessing,subprocess,urllib.error"
"""Bodies that run without walls (`without_walls` in conftest.py) import these too."""


def body(folder: Path, source: str) -> str:
    """The text of a workflow whose traces are in `folder`."""
    return f'"""A body that leaves traces."""\n{TRACES.replace("@FOLDER@", str(folder))}\n{source}'


def effects(folder: Path) -> list[str]:
    try:
        return (folder / "effects").read_text().splitlines()
    except FileNotFoundError:
        return []


def repeated(lines: Iterable[str]) -> dict[str, int]:
    return {line: count for line, count in Counter(lines).items() if count > 1}


@asynccontextmanager
async def opened(home: Path, **environ: str) -> AsyncIterator[App]:
    """The app of this home, in this process; `environ` are settings."""
    settings = {"ready_workflows": "false", "authoring": "sandboxed", "packages": _PACKAGES, **environ}
    named = {f"REPERTOIRE_{name.upper()}": value for name, value in settings.items()}
    async with open_app(load(home=str(home), environ=named), watch=False) as app:
        await app.service.library.wait_until_settled(Caller())
        yield app


async def run(app: App, name: str, session_id: str | None = None, **arguments: Any) -> dict[str, Any]:
    """The envelope of a run that has ended, with its events."""
    live = await app.service.runs.start(Caller(), name, arguments, session_id)
    ended = await app.service.runs.wait_for_end(live)
    return {**app.service.runs.envelope(ended), "events": await events(app, ended.id)}


async def events(app: App, run_id: str) -> list[dict[str, Any]]:
    found = [event.public() async for event in app.service.runs.follow(run_id)]
    whole(found)
    return found


def whole(found: list[dict[str, Any]]) -> None:
    """Check the events of a run that has ended: numbered from 1 without a gap, one start, one end, no duplicates."""
    assert [event["n"] for event in found] == list(range(1, len(found) + 1)), found
    kinds = [event["type"] for event in found]
    assert kinds[0] == "run_start" and kinds[-1] == "run_end" and kinds.count("run_end") == 1, kinds
    told = Counter(
        (event["type"], event["data"]["path"]) for event in found if event["type"] in ("call_start", "call_end")
    )
    assert max(told.values(), default=1) == 1, f"told twice: {told.most_common(3)}"


def said(answer: dict[str, Any], kind: str = "log", key: str = "message") -> list[Any]:
    return [event["data"][key] for event in answer["events"] if event["type"] == kind]


async def eventually(true: Callable[[], Any]) -> Any:
    """Poll for something that sends no event: a body's trace, a row in the store. Bounded."""
    with anyio.fail_after(20):
        while not (value := true()):
            await anyio.sleep(0.005)
    return value
