"""The context style seen from outside: what a client is shown of it, the page's examples, files of PyFlue, and what comes later."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from repertoire.authoring.context import Context
from repertoire.model.session import Caller
from repertoire.registry.source import analyse
from repertoire.settings import load
from support import workers
from support.mcp_calls import call, create
from support.services import opened, run
from support.transports import Memory
from support.workers import Worker, notes, schema

shared, worker = workers.shared, workers.worker


def test_b12_what_repertoire_gives_is_in_no_schema(worker: Worker) -> None:
    source = """
    def run(text: str, tools, workflows=None, *, artifacts, deps, ctx):
        return [text, ctx.payload, *map(repr, (tools, workflows, artifacts, deps))]
    """
    read = schema(worker, source)
    assert list(read["properties"]) == ["text"] and notes(worker, source) == []
    text, payload, *given = worker.result(source, {"text": "t"})
    assert (text, payload) == ("t", {"text": "t"})
    later = "<deps: comes with a later version of Repertoire>"
    assert given == ["<tools>", "<workflows>", "<artifacts>", later]
    assert "unknown argument" in worker.fault(source, {"text": "t", "tools": 1}).message
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nowhere import Tools\n"
    assert worker.result(typed + "def run(a: int, tools: 'Tools'): return a", {"a": 1}) == 1


@pytest.mark.parametrize("head", ["", "from repertoire import artifacts, tools, workflows\n"])
def test_a_file_that_mentions_what_comes_later_loads_and_says_so_when_it_is_used(worker: Worker, head: str) -> None:
    uses = {
        "deps.add('a')": "deps.add(...): deps come with a later version",
        "list(deps)": "iterating over deps",
        "deps['a']": "deps['a']",
        "'a' in deps": "'a' in deps",
    }
    for use, words in uses.items():
        source = head + f"def run(deps, really: bool = True):\n    return {use} if really else 'loaded'"
        assert worker.result(source, {"really": False}) == "loaded"
        fault = worker.fault(source)
        assert (fault.code, fault.type) == ("not_available", "NotAvailable") and words in fault.message, fault
        assert fault.line == source.count("\n") + 1 and fault.hint
        asynchronous = source.replace("def run", "async def run")
        assert words in worker.fault(asynchronous).message


# The page on it.


def test_the_examples_of_the_page_do_what_it_says(worker: Worker) -> None:
    page = (Path(__file__).parents[2] / "docs" / "workflows.md").read_text().partition("## Context style")[2]
    typed, untyped = re.findall(r"^```python\n(.*?)^```", page.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    assert analyse(typed, max_bytes=10_000).uses_state and not analyse(untyped, max_bytes=10_000).uses_state
    assert worker.result(typed, {"text": "a b a c a b", "most": 2}, state="{}") == ["a", "b"]
    assert worker.said() == [{"level": "info", "message": "counted", "words": 3}]
    assert "greater than or equal to 1" in worker.fault(typed, {"text": "a", "most": 0}).message
    assert schema(worker, typed)["properties"]["most"]["description"] == "How many words to give."
    assert worker.result(untyped, {"text": "a b c d", "more": 1}) == ["a", "b", "c"]
    assert schema(worker, untyped)["required"] == ["text"]
    members = set(re.findall(r"`ctx\.(\w+)", page))
    assert all(hasattr(Context(), name) for name in members) and len(members) > 10
    public = {name for name in dir(Context({})) if not name.startswith("_")}
    assert public == members


# Names of PyFlue.

FOREIGN = """
from __future__ import annotations
from pyflue import FlueContext, create_agent

helper = create_agent(lambda ctx: {"model": "none"})

async def run(c: FlueContext) -> dict:
    c.log.info("began", words=c.payload.get("words", "few"))
    if c.payload["really"]:
        harness = await c.init(helper)
        await harness.session()
    return {"said": c.payload["text"]}
"""


def test_a_file_with_the_names_of_pyflue_loads_and_runs(worker: Worker) -> None:
    read = schema(worker, FOREIGN)
    assert read["required"] == ["really", "text"] and read["properties"]["words"]["default"] == "few"
    assert worker.result(FOREIGN, {"really": False, "text": "t"}) == {"said": "t"}
    assert worker.said() == [{"level": "info", "message": "began", "words": "few"}]
    assert worker.result(FOREIGN, {"really": True, "text": "t"}) == {"said": "t"}


def test_other_names_of_pyflue_say_what_there_is(worker: Worker) -> None:
    head = "import pyflue\n"
    fault = worker.fault("from pyflue import observe\ndef run(): ...")
    assert fault.code == "import_failed" and "get_run" in fault.message
    assert "'nothing'" in worker.fault(head + "def run(): pyflue.nothing").message
    assert "RepertoireClient" in (worker.fault(head + "def run(): pyflue.PyFlueClient('http://x')").hint or "")
    assert "prompt" in worker.fault(head + "def run(): pyflue.create_agent({}).prompt('x')").message
    assert worker.fault(head + "def run(): pyflue.create_agent(1)").type == "TypeError"
    assert (
        worker.result(head + "def run(): return sorted(name for name in pyflue.__all__ if not hasattr(pyflue, name))")
        == []
    )


def test_a_refusal_of_the_harness_is_no_result_for_a_body_that_catches_everything(worker: Worker) -> None:
    source = """
    def run(ctx):
        try:
            ctx.init(model="openai:gpt-4o", sandbox="daytona")
        except Exception:
            return "all is well"
    """
    fault = worker.fault(source)
    assert fault.code == "not_available" and "workspace" in fault.message


# Over MCP.

SUMMARY = '''"""Give the first words of a text."""


async def run(ctx):
    ctx.log.info("summing up", audience=ctx.payload.get("audience", "general"))
    return {"summary": ctx.payload["text"].split()[: ctx.payload.get("most", 2)], "id": ctx.id}
'''


@pytest.fixture
def home(tmp_path: Path) -> Memory:
    (tmp_path / "workflows").mkdir()
    tmp_path.chmod(0o700)
    return Memory("memory-modern", tmp_path, {})


async def events_of(client: Client, run_id: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = (await call(client, "get_run", {"run_id": run_id}))["events"]
    return events


@pytest.mark.anyio
async def test_b24_b26_a_context_workflow_is_a_typed_tool_and_its_run_is_recorded(home: Memory) -> None:
    (home.home / "workflows" / "summary_file.py").write_text(SUMMARY)
    async with home.client() as client:
        await create(client, "summary_made", SUMMARY)
        for name in ("summary_file", "summary_made"):
            tool = next(tool for tool in (await client.list_tools()).tools if tool.name == name)
            assert tool.description == "Give the first words of a text."
            assert tool.input_schema["required"] == ["text"] and tool.input_schema["additionalProperties"] is True
            assert {"text", "audience", "most", "session_id"} == set(tool.input_schema["properties"])
            answer = await call(client, name, {"text": "a b c", "extra": [1]})
            assert answer["result"] == {"summary": ["a", "b"], "id": answer["run_id"]}
            assert answer["run_id"].startswith(f"workflow:{name}:")
            events = await events_of(client, answer["run_id"])
            assert [event["type"] for event in events] == ["run_start", "log", "run_end"]
            assert events[1]["data"] == {"level": "info", "message": "summing up", "audience": "general"}
            with sqlite3.connect(home.home / "repertoire.db") as db:
                row = db.execute(
                    "SELECT arguments, started_at, ended_at FROM run WHERE id = ?", (answer["run_id"],)
                ).fetchone()
            assert json.loads(row[0]) == {"text": "a b c", "extra": [1]} and 0 < row[1] <= row[2]
            refused = await call(client, name, {"audience": "all"})
            assert refused["is_error"] and refused["error"]["code"] == "invalid_arguments"
            assert "`text`: missing" in refused["error"]["message"]


@pytest.mark.anyio
async def test_b36_a_caller_of_the_service_is_shown_allowed_variables_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOWED", "yes")
    monkeypatch.setenv("SECRET_TOKEN", "no")
    source = (
        '"""Look around."""\nimport os\n\ndef run(ctx):\n    return [dict(ctx.env), os.environ.get("SECRET_TOKEN")]\n'
    )
    allowed = load(home=str(tmp_path), environ={"REPERTOIRE_WORKER_ENV": "ALLOWED,UNSET"}).own_env()
    async with opened(tmp_path, worker_env="ALLOWED,UNSET") as app:
        caller = Caller(env=allowed)
        await app.service.publishing.create(caller, "looks", source)
        assert (await run(app, caller, "looks"))["result"] == [{"ALLOWED": "yes"}, None]
