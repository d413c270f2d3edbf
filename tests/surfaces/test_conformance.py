"""The official conformance suite: against the product as it is served, and against the product with the suite's fixtures."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from support.outside import NODE, REQUIRED, need_node, run_node
from support.shells import READY
from support.transports import http_server, runs_of

REVISIONS = ["2025-11-25", "2026-07-28"]
SUITE = NODE / "node_modules" / "@modelcontextprotocol" / "conformance"
NEEDS_NO_FIXTURE = {
    "2025-11-25": [
        "server-initialize", "server-session-lifecycle", "ping", "tools-list", "resources-list", "prompts-list",
        "dns-rebinding-protection", "server-sse-multiple-streams",
    ],
    "2026-07-28": [
        "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection", "server-sse-multiple-streams",
        "caching", "http-header-validation", "sep-2164-resource-not-found",
    ],
}  # fmt: skip
KNOWN_GAPS = {
    "2025-11-25": {
        "server-sse-priming-event": "WARNING",  # a broken stream is not resumed; get_run fetches what it lost
        "server-sse-retry-field": "WARNING",
    },
    "2026-07-28": {
        "sep-2575-server-sends-prompts-list-changed-on-subscription": "SKIPPED",  # the prompts never change
        "tasks-status-notifications": "SKIPPED",  # the suite has no check for it yet; test_tasks.py has
    },
}
TASKS = {
    "tasks-capability-negotiation": 5, "tasks-dispatch-and-envelope": 9, "tasks-lifecycle": 9, "tasks-mrtr-composition": 2,
    "tasks-mrtr-input": 4, "tasks-request-headers": 5, "tasks-request-state-removal": 3, "tasks-required-task-error": 3,
    "tasks-wire-fields": 4,
}  # fmt: skip
"""The scenarios of the tasks extension, which the suite runs and does not score, with the checks that each must pass."""

Checks = dict[str, list[dict[str, Any]]]
"""What the suite found, by scenario."""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    need_node()
    with http_server(tmp_path_factory.mktemp("product") / "home", {READY: "true"}) as url:
        yield url


@dataclass(frozen=True)
class Outcome:
    """One run of the suite: its exit code, and what it wrote."""

    code: int
    checks: Checks


@pytest.fixture(scope="module")
def with_fixtures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Outcome], Path]]:
    """What the suite finds at the product with the suite's fixtures, by revision, and the product's home."""
    need_node()
    folder = tmp_path_factory.mktemp("fixtures")
    with fixture_server(folder / "home") as url:
        yield {revision: run_suite(url, revision, folder / revision) for revision in REVISIONS}, folder / "home"


@contextmanager
def fixture_server(home: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "conformance.server", str(home)]
    with (
        (home.parent / "stderr").open("w+") as errors,
        subprocess.Popen(
            command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            errors.seek(0)
            assert url, errors.read()
            yield url
        finally:
            process.terminate()


def run_suite(url: str, revision: str, results: Path) -> Outcome:
    done = run_node("conformance", "server", "--url", f"{url}/mcp", "--requirements", revision, "-o", str(results))
    found: Checks = {}
    for file in results.glob("server-*/checks.json"):
        scenario = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", file.parent.name)
        found[scenario] = json.loads(file.read_text())
    assert found, done.stdout + done.stderr
    return Outcome(done.returncode, found)


def required(revision: str) -> list[str]:
    """The scenarios that a server must pass, from the suite's own frozen list."""
    listed = (SUITE / "requirements" / f"{revision}.yaml").read_text()
    section = re.search(r"^server:\n((?:^(?:  .*|#.*)?\n)+)", listed, re.MULTILINE)
    assert section is not None
    return re.findall(r"^  - ([\w-]+)", section[1], re.MULTILINE)


def not_passed(checks: Checks) -> dict[str, str]:
    """Every check that says something else than success: its status, and what was wrong."""
    return {
        check["id"]: f"{check['status']} {check.get('errorMessage') or ''}".strip()
        for found in checks.values()
        for check in found
        if check["status"] not in ("SUCCESS", "INFO")
    }


def proves_something(scenario: list[dict[str, Any]]) -> bool:
    return any(check["status"] == "SUCCESS" for check in scenario)


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_product_with_the_suites_fixtures_conforms(
    with_fixtures: tuple[dict[str, Outcome], Path], revision: str
) -> None:
    outcome = with_fixtures[0][revision]
    wrong = not_passed(outcome.checks)
    assert {check: text.split()[0] for check, text in wrong.items()} == KNOWN_GAPS[revision], wrong
    assert outcome.code == 0
    wanted = required(revision)
    assert len(wanted) >= 30 and [name for name in wanted if not proves_something(outcome.checks.get(name, []))] == []


def test_every_check_of_tasks_passes(with_fixtures: tuple[dict[str, Outcome], Path]) -> None:
    checks = with_fixtures[0]["2026-07-28"].checks
    passed = {
        scenario: sum(check["status"] == "SUCCESS" for check in found)
        for scenario, found in checks.items()
        if scenario.startswith("tasks-")
    }
    assert passed == {**TASKS, "tasks-status-notifications": 0}


@pytest.mark.anyio
async def test_fixtures_that_are_workflows_were_run_by_the_engine(
    with_fixtures: tuple[dict[str, Outcome], Path],
) -> None:
    outcomes, home = with_fixtures
    runs = {(run["workflow"], run["status"]) for run in await runs_of(home, "--limit", "500")}
    assert {
        ("test_simple_text", "completed"),
        ("test_tool_with_progress", "completed"),
        ("test_logging_tool", "completed"),
        ("test_error_handling", "failed"),
        ("slow_compute", "completed"),
        ("slow_compute", "cancelled"),
        ("failing_job", "failed"),
        ("confirm_delete", "completed"),
        ("multi_input", "completed"),
        ("test_tool_with_task", "completed"),
    } <= runs
    for outcome in outcomes.values():
        seen = [check.get("details", {}) for check in outcome.checks["tools-call-with-progress"]]
        told = [event["message"] for details in seen for event in details.get("progressNotifications", [])]
        assert told == [f"Completed step {done} of 100" for done in (0, 50, 100)]


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_product_as_it_is_conforms_where_no_fixture_is_needed(product: str, revision: str, tmp_path: Path) -> None:
    checks = run_suite(product, revision, tmp_path).checks
    scenarios = {name: checks.get(name, []) for name in NEEDS_NO_FIXTURE[revision]}
    assert not_passed(scenarios) == {}
    assert [name for name, found in scenarios.items() if not proves_something(found)] == []


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_nothing_is_promised_that_is_not_kept(product: str, mode: Any) -> None:
    async with Client(f"{product}/mcp", mode=mode) as client:
        can = client.server_capabilities
    assert can.tools is not None and can.resources is not None and can.prompts is not None
    assert can.tools.list_changed and can.resources.list_changed
    assert not can.resources.subscribe and not can.prompts.list_changed


def test_a_missing_part_is_skipped_loudly_or_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"^NOT TESTED: .*cd tests/node && npm ci"):
        need_node(tmp_path)
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match=r"^REPERTOIRE_REQUIRE_NODE=1, but .*cd tests/node && npm ci"):
        need_node(tmp_path)


def test_packages_of_another_version_count_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "1")
    (tmp_path / "package.json").write_text('{"dependencies": {"suite": "2.0.0"}}')
    (tmp_path / "node_modules" / ".bin").mkdir(parents=True)
    (tmp_path / "node_modules" / ".bin" / "node").touch()
    with pytest.raises(pytest.fail.Exception, match="suite is not installed"):
        need_node(tmp_path)
    (tmp_path / "node_modules" / "suite").mkdir()
    installed = tmp_path / "node_modules" / "suite" / "package.json"
    installed.write_text('{"version": "1.9.0"}')
    with pytest.raises(pytest.fail.Exception, match=r"suite is 1\.9\.0, and these tests are for 2\.0\.0"):
        need_node(tmp_path)
    installed.write_text('{"version": "2.0.0"}')
    need_node(tmp_path)
