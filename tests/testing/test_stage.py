"""`repertoire.testing` as a user's tests take it: the fixture, answers, mocks, state, the loader, and crashes in real workers."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from repertoire import CallError, artifacts, ask, log, now, session_state, sleep, step, tools, workflows
from repertoire.testing import NoAnswer, Stage
from repertoire.testing import stage as stage
from repertoire.values.refusals import ArgumentError, StateError

REFUND = '''"""Refund an order, if somebody agrees."""

from dataclasses import dataclass

from repertoire import ask, log, session_state, sleep, step, workflows


@dataclass
class Payment:
    order: int
    amount: int


def pay(payment: Payment) -> str:
    return f"paid {payment.amount}"


async def run(order: int) -> str:
    """Refund an order.

    Args:
        order: Its number.
    """
    found = await workflows.lookup(order=order)
    if not await ask(f"Refund {found['total']}?", bool):
        return "kept"
    await sleep(3600)
    session_state["refunds"] = session_state.get("refunds", 0) + 1
    log("refunded", order=order)
    return await step(pay, Payment(order, found["total"]))
'''


@pytest.fixture
def refund(tmp_path: Path) -> Path:
    path = tmp_path / "refund.py"
    path.write_text(REFUND)
    return path


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prepared(stage: Stage, agrees: bool = True) -> None:
    stage.mock("lookup", lambda order: {"total": 10 * order})
    stage.answer("Refund", agrees)


@pytest.mark.anyio
async def test_n4_a_module_is_called_as_it_is_with_answers_mocks_and_state(stage: Stage, refund: Path) -> None:
    prepared(stage)
    stage.state["refunds"] = 2
    before = now()
    assert await module_of(refund).run(order=7) == "paid 70"
    assert stage.state == {"refunds": 3} and stage.logs == ["refunded"]
    assert [(call.op, call.name) for call in stage.calls] == [
        ("workflow", "lookup"), ("ask", "Refund 70?"), ("sleep", "3600 s"), ("step", "pay"),
    ]  # fmt: skip
    assert (now() - before).total_seconds() >= 3600, "a sleep takes no time, and the clock has moved on"


def test_n4_a_file_is_run_as_a_worker_loads_it(stage: Stage, refund: Path) -> None:
    prepared(stage, agrees=False)
    assert stage.run(refund, {"order": "7"}) == "kept", "arguments are read as a server reads them"
    with pytest.raises(ArgumentError, match="`order`"):
        stage.run(refund, {"order": "many"})
    stage.answer("Refund", True)
    assert stage.run(module_of(refund), {"order": 1}) == "paid 10" and stage.state == {"refunds": 1}


@pytest.mark.anyio
async def test_n4_a_file_is_run_from_an_async_test(stage: Stage, refund: Path) -> None:
    prepared(stage)
    assert stage.run(refund, {"order": 2}) == "paid 20"


def test_n4_what_the_test_has_not_given_is_named(stage: Stage) -> None:
    with pytest.raises(NoAnswer, match=r"stage\.answer\('Sure\?', \.\.\.\)"):
        ask("Sure?", bool)
    with pytest.raises(NoAnswer, match=r"stage\.mock\('lookup', result\)"):
        workflows.lookup(order=1)
    with pytest.raises(NoAnswer, match=r"stage\.mock\('tools.github.create_issue', result\)"):
        tools.github.create_issue(title="x")
    stage.answer("Sure?", "maybe")
    with pytest.raises(NoAnswer, match="does not fit"):
        ask("Sure?", bool)


def test_n4_answers_errors_and_tools(stage: Stage) -> None:
    stage.answer("Name", "Ada", "Bo")
    assert [ask("Name?") for _ in range(3)] == ["Ada", "Bo", "Bo"]
    stage.expire("Still there")
    with pytest.raises(CallError) as expired:
        ask("Still there?")
    assert expired.value.code == "expired"
    stage.mock("lookup", error="no such order")
    with pytest.raises(CallError, match="no such order"):
        workflows.lookup(order=1)
    stage.mock("workflows.search", [{"name": "lookup"}])
    assert workflows.search("orders") == [{"name": "lookup"}]
    stage.mock("tools.github.create_issue", lambda title: {"number": 1, "title": title})
    assert tools.github.create_issue(title="x") == {"number": 1, "title": "x"}
    assert [(call.op, call.name) for call in stage.calls][-1] == ("tool", "github.create_issue")


@pytest.mark.anyio
async def test_n4_everything_is_awaited_too(stage: Stage) -> None:
    stage.answer("Sure", True)
    stage.mock("lookup", 5)
    stage.mock("tools.clock.read", 6)
    assert await ask("Sure?", bool) is True
    assert await workflows.lookup() == 5 and await tools.clock.read() == 6
    await sleep(3600)
    await log("said")


def test_n4_values_are_checked_as_in_a_run(stage: Stage) -> None:
    with pytest.raises(TypeError, match="must be JSON"):
        workflows.lookup(order=object())
    with pytest.raises(StateError, match="a step's result cannot be recorded"):
        step(lambda: object())


@pytest.mark.parametrize("name", ["first", "second"])
def test_n4_each_test_begins_with_an_empty_state_and_no_mocks(stage: Stage, name: str) -> None:
    assert stage.state == {} and stage.calls == [] and session_state is stage.state
    stage.state["left"] = name
    stage.mock("tools.clock.read", 6)


@pytest.mark.timeout(180)
def test_n4_a_workflow_is_killed_after_each_call_and_resumes(stage: Stage, refund: Path) -> None:
    prepared(stage)
    stage.state["refunds"] = 2
    survival = stage.survive(refund, {"order": 7})
    assert survival.result == "paid 70" and survival.state == {"refunds": 3} and survival.crashes == 4
    assert survival.calls == ["workflow lookup", "ask Refund 70?", "sleep 3600 s", "step pay"]
    assert stage.state == {"refunds": 2}, "the runs had sessions of their own"


LOSES = '''"""Collect numbers; the list is lost when its steps are answered from their records."""

from repertoire import step


def run() -> list[int]:
    """Collect numbers."""
    found: list[int] = []
    for number in range(3):
        step(found.append, number)
    return found
'''
DIVERGES = '''"""Take another step each time that the body begins."""

from pathlib import Path

from repertoire import step


def one() -> int:
    return 1


def two() -> int:
    return 2


def run(file: str) -> int:
    """Take a step.

    Args:
        file: Where to count.
    """
    path = Path(file)
    path.write_text(path.read_text() + "x")
    return step(one if len(path.read_text()) % 2 else two) + step(one)
'''
CHANCE = '''"""Chance and time differ from run to run, and repeat in a resumed one."""

import random

from repertoire import now, step


def take(value: float) -> float:
    return value


def run() -> list[object]:
    """Take chances."""
    return [step(take, random.random()), now().isoformat(), step(take, random.random())]
'''


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("source", "arguments", "at", "problem"),
    [
        (LOSES, {}, 2, r"killed after call 2 \(step list\.append\), the resumed run has another result: \[2\]"),
        (DIVERGES, {"file": "@"}, 1, r"killed after call 1 .* the resumed run failed: NonDeterminism"),
        (CHANCE, {}, None, None),
        (CHANCE, {}, 5, "there is no call 5: the workflow made 2 calls"),
        ("def run() -> int:\n    return 1\n", {}, None, "makes no call that is recorded"),
        ("def run(:\n", {}, None, "is no workflow: "),
        (REFUND, {"order": 1}, 1, r"stage\.mock\('lookup', result\)"),
        ("def run() -> int:\n    return 1 // 0\n", {}, None, "without any crash the workflow failed: ZeroDivisionError"),
    ],
    ids=["lost change", "another step", "chance", "no such call", "no call", "broken", "no mock", "fails"],
)  # fmt: skip
def test_n4_a_crash_that_a_workflow_does_not_survive_is_told(
    stage: Stage, tmp_path: Path, source: str, arguments: dict[str, Any], at: int | None, problem: str | None
) -> None:
    (tmp_path / "counted").write_text("")
    given = {name: str(tmp_path / "counted") if value == "@" else value for name, value in arguments.items()}
    path = tmp_path / "flow.py"
    path.write_text(source)
    if problem is None:
        assert stage.survive(path, given, at=at).crashes == 2
        return
    with pytest.raises(AssertionError, match=problem):
        stage.survive(path, given, at=at)


KEEP = '''"""Keep what is found."""

from pathlib import Path

from repertoire import artifacts


def run(name: str) -> dict:
    rows = artifacts.load(name) if artifacts.exists(name) else []
    Path("rows.csv").write_text("a")
    artifacts.save("rows.csv", Path("rows.csv"))
    artifacts.save(name, [*rows, len(rows)])
    return {"rows": artifacts.load(name), "file": artifacts.load("rows.csv").decode(), "names": [one["name"] for one in artifacts.list()]}
'''


def test_artifacts_are_in_memory_and_kept_between_the_runs_of_a_test(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keep.py").write_text(KEEP)
    artifacts.save("rows.json", [5])
    expected = {"rows": [5, 1], "file": "a", "names": ["rows.csv", "rows.json"]}
    assert stage.run(tmp_path / "keep.py", {"name": "rows.json"}) == expected
    assert artifacts.load("rows.json") == [5, 1] and artifacts.delete("rows.csv") and artifacts.get("rows.csv") is None
    with pytest.raises(CallError) as unknown:
        artifacts.load("rows.csv")
    assert unknown.value.code == "unknown_artifact"
    assert [call.op for call in stage.calls][:2] == ["artifacts.save", "artifacts.exists"]


def test_artifacts_survive_crashes(tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call is recorded: killed after any of them, the run saves nothing twice and loads the same."""
    monkeypatch.chdir(tmp_path)
    text = KEEP.replace("*rows, len(rows)", "1").replace("artifacts.load(name) if artifacts.exists(name) else []", "[]")
    (tmp_path / "keep.py").write_text(text)
    ended = stage.survive(tmp_path / "keep.py", {"name": "rows.json"})
    assert ended.result["rows"] == [1] and ended.crashes == len(ended.calls) == 5
