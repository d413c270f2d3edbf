"""A step that its time limit cannot break off: the run goes on without its worker (authoring/time_limit.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from support import replays
from support.replays import publish
from support.survivals import effects, run

home, app, traces = replays.home, replays.app, replays.traces
pytestmark = pytest.mark.anyio


async def test_w17_what_cannot_be_broken_off_costs_its_worker_and_not_the_run(app: App, traces: Path) -> None:
    """A thread that waits in C heeds no signal. No further attempts are made of such a step."""
    source = """
from concurrent.futures import ThreadPoolExecutor
def slow():
    effect("begun")
    time.sleep(600)
def body():
    try: step(slow, timeout=0.05, retries=2)
    except TimeoutError as error: return str(error)
def run() -> list:
    with ThreadPoolExecutor() as pool: said = pool.submit(body).result()
    return [said, step(effect, "after")]
"""
    await publish(app, traces, flow=source)
    answer: dict[str, Any] = await run(app, "flow")
    assert answer["result"] == ["the step took longer than 0.05 s", "after"], json.dumps(answer["error"])
    assert effects(traces) == ["begun", "after"]
