"""MCP servers under the door: runs of a real home call real servers. Progress, questions, faults and restarts as a run sees them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App
from support.publishing import ME, OFF
from support.services import opened, run
from support.upstreams import opened as source_opened
from support.upstreams import python_server

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def house(folder: Path, config: Any, **files: str) -> AsyncIterator[App]:
    (folder / "workflows").mkdir(exist_ok=True)
    for name, source in files.items():
        (folder / "workflows" / f"{name}.py").write_text(source)
    async with source_opened(config) as server, opened(folder, [server], **OFF) as app:
        yield app


async def test_a_run_calls_an_mcp_server(tmp_path: Path) -> None:
    source = """
from repertoire import CallError, tools

async def run() -> dict:
    found = {"add": (await tools.up.add(a=1, b=2))["sum"], "wrapped": tools.up.wrapped(), "flood": tools.up.flood(times=500)}
    found["picture"] = await tools.up.picture()
    for name in ("fails", "die"):
        try:
            await tools["up." + name]()
        except CallError as error:
            found[name] = [error.code, error.message]
    found["after"] = tools.up.echo(x=1)
    return found
"""
    async with house(
        tmp_path, python_server("upstream_server.py"), everything=source + '\n__workflow__ = {"tools": ["up.*"]}\n'
    ) as app:
        answer = await run(app, ME, "everything")
        assert answer["status"] == "completed", answer
        found = answer["result"]
        assert (found["add"], found["wrapped"], found["flood"]) == (3, [1, 2], "flooded")
        assert "image/png" in str(found["picture"])
        assert found["fails"] == ["tool_failed", "no such issue: 7"]
        assert found["die"][0] == "tool_unavailable"
        assert found["after"] == "echo {'x': 1}"
        told = [event.data async for event in app.service.runs.follow(answer["run_id"], 0) if event.type == "progress"]
        assert 1 <= len(told) < 200
        assert "500" in str(told[-1])


@pytest.mark.parametrize("protocol", ["auto", "legacy"])
async def test_a_question_of_the_server_is_a_question_of_the_run(tmp_path: Path, protocol: str) -> None:
    source = "from repertoire import tools\ndef run() -> str:\n    return tools.up.ask(message='Who are you?')\n"
    async with house(tmp_path, python_server("upstream_server.py", protocol=protocol), who=source) as app:
        live = await app.service.runs.start(ME, "who", {}, None)
        with anyio.fail_after(60):
            while not live.run.questions:
                await anyio.sleep(0.01)
        (question,) = live.run.questions
        assert re.fullmatch(r"tools\.\w+\.\w+ asks: Who are you\?", question.question)
        await app.service.runs.answer(ME, live.run.id, {"name": "Ada"})
        answer = await app.service.runs.get(ME, live.run.id, wait_s=30)
        assert str(answer["result"]).startswith("accept {'name': 'Ada'}"), answer


async def test_a_cancelled_run_gives_its_call_up(tmp_path: Path) -> None:
    source = "from repertoire import tools\ndef run() -> str:\n    return tools.up.sleep(seconds=60)\n"
    async with house(tmp_path, python_server("upstream_server.py"), waits=source) as app:
        live = await app.service.runs.start(ME, "waits", {}, None)
        with anyio.fail_after(60):
            async for event in app.service.runs.follow(live.run.id, 0):
                if event.type == "progress":
                    break
            await app.service.runs.cancel(ME, live.run.id)
            answer = await app.service.runs.get(ME, live.run.id, wait_s=30)
        assert answer["status"] == "cancelled"
