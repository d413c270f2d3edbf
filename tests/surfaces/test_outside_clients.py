"""Clients that others wrote, against the product as it is started: the MCP Inspector, the TypeScript SDK v1 and v2, our Node example."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.outside import NODE, need_node, run_node
from support.shells import READY
from support.transports import http_server, way_in

EXAMPLE = Path(__file__).parents[2] / "clients" / "node"
COUNT = ["--method", "tools/call", "--tool-name", "counter", "--tool-args-json"]
Targets = dict[str, list[str]]
"""How a client is told where the server is, by transport."""


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    need_node()
    homes = tmp_path_factory.mktemp("homes")
    serve = [sys.executable, "-P", "-m", "repertoire", "serve", "--home", str(homes / "stdio")]
    with (
        way_in("stdio", homes / "stdio", {}),
        http_server(homes / "http", {READY: "true"}) as url,
    ):
        yield {"stdio": serve, "http": [f"{url}/mcp"], "sse": [f"{url}/sse"]}


def inspect(era: str, transport: str, target: list[str], *words: str) -> tuple[int, dict[str, Any], str]:
    """The Inspector's exit code, its answer, and what it said beside it."""
    options = ["--protocol-era", era, "--transport", transport, "--format", "json", "-q"]
    done = run_node("mcp-inspector", "--cli", *options, *target, *words)
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, answer.get("result", {}), done.stderr


@pytest.mark.parametrize(
    ("era", "transport"),
    [("legacy", "stdio"), ("modern", "stdio"), ("legacy", "http"), ("modern", "http"), ("legacy", "sse")],
)
def test_the_inspector_lists_and_calls(targets: Targets, era: str, transport: str) -> None:
    code, listed, said = inspect(era, transport, targets[transport], "--method", "tools/list", "--strict")
    assert code == 0, said  # 6: a schema that some host cannot take
    assert {"create_workflow", "run_workflow", "counter"} <= {tool["name"] for tool in listed["tools"]}
    code, answer, said = inspect(era, transport, targets[transport], *COUNT, '{"by": 2}')
    assert code == 0, said
    assert answer["structuredContent"]["status"] == "completed"
    assert json.loads(answer["content"][0]["text"]) == answer["structuredContent"]


def test_the_inspector_sees_a_failed_call_as_a_failed_tool(targets: Targets) -> None:
    code, failed, _ = inspect(
        "modern", "http", targets["http"], *COUNT, '{"bye": 1}'
    )  # it sends null for a number that is none
    assert code == 5 and failed["isError"] is True, failed
    assert failed["structuredContent"]["error"]["code"] == "invalid_arguments"


@pytest.mark.parametrize(
    ("client", "transport", "version"),
    [
        (["v1.mjs"], "stdio", "2025-11-25"),
        (["v1.mjs"], "http", "2025-11-25"),
        (["v1.mjs"], "sse", "2025-11-25"),
        (["v2.mjs", "legacy"], "stdio", "2025-11-25"),
        (["v2.mjs", "legacy"], "http", "2025-11-25"),
        (["v2.mjs", "auto"], "stdio", "2026-07-28"),
        (["v2.mjs", "auto"], "http", "2026-07-28"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else value,
)
def test_the_typescript_sdk_creates_hears_of_and_calls_a_workflow(
    targets: Targets, client: list[str], transport: str, version: str
) -> None:
    script, *mode = client
    name = "_".join([script.partition(".")[0], *mode, transport])
    done = run_node("node", script, name, *mode, transport, *targets[transport])
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["version"] == version
    assert "create_workflow" in seen["before"] and name not in seen["before"]
    assert seen["created"]["name"] == name
    assert seen["answer"]["status"] == "completed" and seen["answer"]["result"] == [1, 2, 3]
    done_so_far = [event["progress"] for event in seen["progress"]]
    assert done_so_far == sorted(set(done_so_far))
    assert seen["progress"][-1] == {"progress": 3, "total": 3, "message": "at 3"}
    assert seen["wrong"] == "invalid_arguments"


def test_the_node_example_lists_runs_with_progress_and_prints_the_result(targets: Targets, tmp_path: Path) -> None:
    for part in ("list_run.mjs", "package.json"):
        shutil.copy(EXAMPLE / part, tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    wants = json.loads((tmp_path / "package.json").read_text())["dependencies"]
    has = json.loads((NODE / "package.json").read_text())["dependencies"]
    assert wants.items() <= has.items()
    done = run_node("node", "list_run.mjs", "mcp", "--", *targets["stdio"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"] > 50
    assert "run_workflow" in done.stderr and "\nprogress " in done.stderr
    failed = run_node("node", "list_run.mjs", "no_such_package", "--", *targets["stdio"], cwd=tmp_path)
    assert failed.returncode == 1 and json.loads(failed.stdout)["type"] == "ModuleNotFoundError"
