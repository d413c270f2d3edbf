"""Python functions as tools: schemas from signatures, calls in a worker of the operator's, secrets, changes of the file, and faults."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from jsonschema import ValidationError

from repertoire.app import App
from repertoire.engine.function_calls import FunctionCalls
from repertoire.service.function_tools import FunctionSource
from repertoire.upstream.tool import BadToolArguments, ToolContext, ToolFailed, ToolTimeout, ToolUnavailable
from support.services import opened
from support.tools import call_tool, context, tool_of

pytestmark = pytest.mark.anyio

ISSUES = '''
"""Issues of a tracker."""
import json
import os
from dataclasses import dataclass
from _shared import PREFIX

__tools__ = {"timeout_s": 2, "env": ["TRACKER_TOKEN"], "only_reads": ["find"], "destructive": ["close_all"]}


@dataclass
class Issue:
    id: int
    title: str


def find(query: str, limit: int = 5) -> list[Issue]:
    """Find issues.

    Args:
        query: Words of the title.
    """
    return [Issue(n, f"{PREFIX} {query}") for n in range(limit)]


async def token() -> str:
    return os.environ.get("TRACKER_TOKEN", "")


def close_all(): return None


def _helper(): return 1


def fails():
    """Fails."""
    raise ValueError("no such tracker")


def dies(): os._exit(3)
def hangs():
    import time
    while True: time.sleep(0.1)
def pid() -> int: return os.getpid()
def reports():
    progress(1, 2, "half")
    print("a line")
    return step(lambda: 7)
def asks(): return ask("why?")
def waits(): return workflows.invoke("x")
def odd(): return object()
def big(): return "x" * 10_000_000
'''


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    async with opened(tmp_path_factory.mktemp("functions") / "home", ready_workflows="false", workers="2") as app:
        yield app


def source_of(app: App, folder: Path, text: str = ISSUES, **environ: str) -> FunctionSource:
    (folder / "_shared.py").write_text("PREFIX = 'about'\n")
    (folder / "issues.py").write_text(text)
    limits = app.settings.limits
    calls = FunctionCalls(app.runner._pool, limits)
    return FunctionSource(str(folder / "issues.py"), app.runner.inspect, calls, limits, environ=environ)


async def test_public_functions_are_tools_with_their_schemas(app: App, tmp_path: Path) -> None:
    source = source_of(app, tmp_path)
    tools = {tool.name: tool for tool in await source.list_tools()}
    assert {"find", "token", "close_all", "fails"} <= set(tools) and "_helper" not in tools and source.trouble is None
    find = tools["find"]
    assert (find.path, find.description, find.only_reads) == ("issues.find", "Find issues.", True)
    assert find.input_schema["required"] == ["query"]
    assert find.input_schema["properties"]["query"]["description"] == "Words of the title."
    assert find.output_schema and find.output_schema["type"] == "array"
    assert tools["close_all"].is_destructive and not tools["find"].is_destructive


async def test_a_function_runs_in_a_worker(app: App, tmp_path: Path) -> None:
    source = source_of(app, tmp_path)
    assert await call_tool(source, "find", query="x", limit=1) == [{"id": 0, "title": "about x"}]
    assert await call_tool(source, "pid") not in (None, os.getpid()) and await call_tool(source, "close_all") is None
    with pytest.raises(ValidationError):
        await call_tool(source, "find", query=1)
    with pytest.raises(BadToolArguments, match="limit"):
        await source.call(await tool_of(source, "find"), {"query": "x", "limit": "many"}, context())


async def test_only_the_variables_that_the_file_names_are_seen(app: App, tmp_path: Path) -> None:
    secrets: list[Any] = []
    source = source_of(app, tmp_path, TRACKER_TOKEN="s3cret", OTHER="x")
    source._add_secret = lambda value, name: secrets.append((value, name))
    assert await call_tool(source, "token") == "s3cret" and ("s3cret", "TRACKER_TOKEN") in secrets
    assert await call_tool(source_of(app, tmp_path), "token") == ""


async def test_errors_are_those_of_the_function(app: App, tmp_path: Path) -> None:
    source = source_of(app, tmp_path)
    with pytest.raises(ToolFailed, match=r"issues.fails failed: ValueError: no such tracker"):
        await call_tool(source, "fails")
    with pytest.raises(ToolFailed, match="exit code 3"):
        await call_tool(source, "dies")
    for name, reason in (("odd", "JSON"), ("big", "bytes"), ("asks", "cannot call ask"), ("waits", "cannot call")):
        with pytest.raises(ToolFailed, match=reason):
            await call_tool(source, name)
    assert await call_tool(source, "find", query="x", limit=0) == []


async def test_a_function_that_hangs_ends_at_its_limit(app: App, tmp_path: Path) -> None:
    source = source_of(app, tmp_path)
    await source.list_tools()
    begun = time.monotonic()
    with pytest.raises(ToolTimeout, match=r"issues.hangs took longer than 2 s"):
        await call_tool(source, "hangs")
    assert time.monotonic() - begun < 10


async def test_progress_is_passed_on_and_steps_run(app: App, tmp_path: Path) -> None:
    told: list[Any] = []
    source = source_of(app, tmp_path)
    plain = context()
    watched = ToolContext(plain.key, lambda *seen: told.append(seen), plain.ask, plain.env)
    assert await source.call(await tool_of(source, "reports"), {}, watched) == 7
    assert told == [(1.0, 2, "half")]


async def test_calls_at_once_share_the_places(app: App, tmp_path: Path) -> None:
    source = source_of(app, tmp_path)
    found: list[Any] = []

    async def one(n: int) -> None:
        found.append(await call_tool(source, "find", query=str(n), limit=1))

    async with anyio.create_task_group() as tasks:
        for n in range(6):
            tasks.start_soon(one, n)
    assert len(found) == 6


async def test_a_changed_file_is_read_again(app: App, tmp_path: Path) -> None:
    source = source_of(app, tmp_path)
    gone = await tool_of(source, "find")
    (tmp_path / "issues.py").write_text("def other(n: int) -> int:\n    return n + 1\n")
    assert [tool.name for tool in await source.list_tools()] == ["other"] and await call_tool(source, "other", n=1) == 2
    with pytest.raises(ToolUnavailable, match="no longer has the function find"):
        await source.call(gone, {"query": "x"}, context())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def run(:", "Syntax error"),
        ("__tools__ = {'timeout': 1}", "__tools__ in line 1"),
        ("__tools__ = {'destructive': ['none']}", "no function of that name"),
        ("__tools__ = {'env': x}", "__tools__ in line 1"),
    ],
)
async def test_a_broken_file_says_why(app: App, tmp_path: Path, text: str, reason: str) -> None:
    source = source_of(app, tmp_path, text)
    with pytest.raises(ToolUnavailable, match=reason):
        await source.list_tools()
    assert source.trouble and reason in source.trouble
    (tmp_path / "issues.py").write_text("def works(): return 1")
    assert await call_tool(source, "works") == 1 and source.trouble is None


async def test_a_function_that_cannot_be_loaded_is_a_trouble(app: App, tmp_path: Path) -> None:
    source = source_of(app, tmp_path, "import no_such_module_x\ndef f(): return 1\n")
    assert await source.list_tools() == () and source.trouble and "no_such_module_x" in source.trouble
