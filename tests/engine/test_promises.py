"""Every promise of docs/surviving.md has a test that names it, every example of it runs; and the tests of promises that have no better place.

A test names what it shows in its docstring or a comment: the word promise, a colon, and the promise's name.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App
from repertoire.engine import long_waits
from repertoire.errors import BadArguments
from repertoire.model.session import Caller
from support.pages import blocks
from support.services import create_approved
from support.survivals import body, effects, opened, run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "surviving.md").read_text()
ME = Caller()
ASK = '"""Ask."""\n\ndef run() -> str:\n    return ask("Well?", {"enum": ["yes", "no"]})\n'


def test_every_promise_has_a_test_and_every_marker_a_promise() -> None:
    promised = re.findall(r"^- `([a-z-]+)` ", PAGE, re.MULTILINE)
    assert len(promised) == len(set(promised)) > 30
    shown = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"promise: ([a-z-]+)", file.read_text())
    }
    assert set(promised) - shown == set() and shown - set(promised) == set()


def test_every_bullet_before_the_limits_is_a_promise() -> None:
    promises, _ = PAGE.split("## What is not promised")
    assert re.findall(r"^- (?!`[a-z-]+` )", promises, re.MULTILINE) == []


async def answered(app: App, run_id: str, *answers: Any) -> dict[str, Any]:
    """The envelope at the end of a run whose questions are answered so."""
    asked: set[str] = set()
    for answer in answers:
        asking = await app.service.runs.wait_for_news(ME, run_id, asked)
        assert asking.status == "input_required", asking
        asked |= {question.id for question in asking.questions}
        await app.service.runs.answer(ME, run_id, answer)
    return app.service.runs.envelope(await app.service.runs.wait_for_news(ME, run_id, asked))


async def parked(app: App) -> None:
    """Poll: that nothing holds a worker any more is no event of a run."""
    with anyio.fail_after(30):
        while app.live_runs():
            await anyio.sleep(0.01)


EXAMPLES: list[tuple[str, dict[str, Any], list[Any], Any]] = [
    ("Book an order", {"order": "A1", "amount": 5}, [], ["receipt for A1: 5.00", "A1 is on its way"]),
    ("Publish a text", {"text": "news"}, [False], {"published": None}),
    ("Count in several", {"numbers": [1, 2]}, [], [1, 2]),
    ("Tidy a folder", {"names": ["b", "a"]}, ["yes"], ["a", "b"]),
    ("Report on a folder", {"folder": str(ROOT / "workflows"), "file": "/dev/null"}, [True], "/dev/null"),
]


def examples() -> list[str]:
    """Of the pages that show calls that are recorded."""
    pages = [PAGE, (ROOT / "docs" / "workflows.md").read_text(), (ROOT / "README.md").read_text()]
    shown = [block for page in pages for block in blocks(page, "python")]
    return [
        block for block in shown if re.search(r"^from repertoire import .*(step|ask|workflows)", block, re.MULTILINE)
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("source", examples(), ids=lambda source: str(source)[3:20])
async def test_every_example_runs(tmp_path: Path, source: str) -> None:
    ((_, arguments, answers, result),) = [example for example in EXAMPLES if f'"""{example[0]}' in source]
    async with opened(tmp_path, ready_workflows="true") as app:
        await create_approved(app, "example", source)
        live = await app.service.runs.start(ME, "example", arguments)
        answer = await answered(app, live.run.id, *answers)
        assert (answer["status"], answer["result"]) == ("completed", result), answer.get("error")


@pytest.mark.anyio
async def test_a_step_under_way_at_a_crash_is_done_again_and_a_recorded_one_is_not(tmp_path: Path) -> None:
    """promise: in-flight promise: committed-once promise: worker-death"""
    source = "def run() -> None:\n    step(effect, 'one')\n    step(two)\n\ndef two() -> None:\n    effect('two')\n    die()\n"
    async with opened(tmp_path / "home") as app:
        await create_approved(app, "flow", body(tmp_path, source))
        assert (await run(app, "flow"))["status"] == "completed"
    assert effects(tmp_path) == ["one", "two", "two"]


@pytest.mark.anyio
async def test_a_step_under_way_may_come_again_with_another_time_but_with_the_same_chance(tmp_path: Path) -> None:
    """promise: undecided"""
    source = """
import random, uuid

def run() -> str:
    step(effect, "one")
    time.sleep(0.01)
    return step(two, f"{random.random()} {uuid.uuid4()}", time.time())

def two(chance, at):
    effect(f"{chance} {at}")
    die()
    return f"{chance} {at}"
"""
    async with opened(tmp_path / "home") as app:
        await create_approved(app, "flow", body(tmp_path, source))
        answer = await run(app, "flow")
    _, first, second = effects(tmp_path)
    assert first.split()[:2] == second.split()[:2] and first.split()[2] != second.split()[2]
    assert answer["result"] == second, "what was recorded in the end is what counts"


@pytest.mark.anyio
async def test_a_sub_workflow_under_way_is_not_begun_twice(tmp_path: Path) -> None:
    """promise: child-once"""
    inner = (
        "def run() -> str:\n    effect('begun')\n    while not os.path.exists(os.path.join(FOLDER, 'go')):\n"
        "        time.sleep(0.01)\n    return 'seen'\n"
    )
    outer = (
        "import threading\n\ndef kill() -> None:\n    while not os.path.exists(os.path.join(FOLDER, 'effects')):\n        time.sleep(0.01)\n"
        "    open(os.path.join(FOLDER, 'go'), 'w')\n    die()\n\n"
        "def run() -> str:\n    threading.Thread(target=kill, daemon=True).start()\n    return workflows.inner()\n"
    )
    async with opened(tmp_path / "home") as app:
        await create_approved(app, "inner", body(tmp_path, inner))
        await create_approved(app, "outer", body(tmp_path, outer))
        assert (await run(app, "outer"))["result"] == "seen"
        assert effects(tmp_path) == ["begun"] and len(await app.service.runs.list_runs(ME, workflow="inner")) == 1


@pytest.mark.anyio
async def test_a_run_that_asks_holds_no_worker_keeps_its_text_and_survives_a_restart(tmp_path: Path) -> None:
    """promise: ask-parks promise: pinned promise: ask-checked promise: pinned-child"""
    async with opened(tmp_path, workers="1") as app:
        await app.service.publishing.create(ME, "inner", '"""Say."""\n\ndef run() -> str:\n    return "old"\n')
        calls = '[workflows.inner(), ask("Well?", {"enum": [1, 2]}), workflows.inner()]'
        outer = f'"""Ask."""\n\ndef run() -> list:\n    return {calls}\n'
        await app.service.publishing.create(ME, "outer", outer)
        live = await app.service.runs.start(ME, "outer", {})
        assert (await app.service.runs.wait_for_news(ME, live.run.id)).status == "input_required"
        await parked(app)
        assert (await run(app, "inner"))["result"] == "old"  # the one worker is free
        await app.service.publishing.create(
            ME, "inner", '"""Say."""\n\ndef run() -> str:\n    return "new"\n', replace=True
        )
        await app.service.publishing.delete(ME, "outer")
    async with opened(tmp_path, workers="1") as app:
        with pytest.raises(BadArguments, match="does not fit"):
            await app.service.runs.answer(ME, live.run.id, 3)
        assert (await answered(app, live.run.id, 2))["result"] == ["old", 2, "old"]
        assert (await run(app, "inner"))["result"] == "new"


@pytest.mark.anyio
async def test_a_question_expires(tmp_path: Path) -> None:
    """promise: ask-expires"""
    attempt = '    try:\n        return ask("Well?", expires_s=0.5)\n    except Exception as error:\n'
    source = f'"""Ask."""\n\ndef run() -> str:\n{attempt}        return f"{{type(error).__name__}} {{error.code}}"\n'
    async with opened(tmp_path) as app:
        await app.service.publishing.create(ME, "flow", source)
        live = await app.service.runs.start(ME, "flow", {})
        assert (await app.service.runs.wait_for_end(live)).result == '"CallError expired"'


@pytest.mark.anyio
async def test_a_long_sleep_holds_no_worker_and_survives_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """promise: sleep-parks"""
    monkeypatch.setattr(long_waits, "_PARK_S", 0.2)
    source = '"""Sleep."""\n\ndef run(seconds: float) -> str:\n    sleep(seconds)\n    return "awake"\n'
    async with opened(tmp_path, workers="1") as app:
        await app.service.publishing.create(ME, "flow", source)
        live = await app.service.runs.start(ME, "flow", {"seconds": 2})
        with anyio.fail_after(30):
            while "end of its sleep" not in str(await app.service.runs.list_runs(ME)):
                await anyio.sleep(0.01)
        assert (await run(app, "flow", seconds=0.0))["result"] == "awake"
    async with opened(tmp_path, workers="1") as app:
        assert app.service.runs.envelope(await app.service.runs.wait_for_news(ME, live.run.id))["result"] == "awake"


@pytest.mark.anyio
async def test_a_run_recorded_under_another_python_waits_for_a_word(tmp_path: Path) -> None:
    """promise: fingerprint"""
    async with opened(tmp_path) as app:
        await app.service.publishing.create(ME, "flow", ASK)
        live = await app.service.runs.start(ME, "flow", {})
        await app.service.runs.wait_for_news(ME, live.run.id)
        await parked(app)
    with sqlite3.connect(tmp_path / "repertoire.db") as db:
        db.execute("UPDATE run SET fingerprint = 'journal 2, Python 3.1'")
    db.close()
    async with opened(tmp_path) as app:
        await app.service.runs.answer(ME, live.run.id, "yes")
        with anyio.fail_after(30):
            while "Python 3.1," not in str(await app.service.runs.list_runs(ME)):
                await anyio.sleep(0.01)
        await app.service.history.resume(ME, live.run.id)
        ended = await app.service.runs.wait_for_news(ME, live.run.id, {live.run.id})
        assert ended.status == "completed" and ended.result == '"yes"'


FAN_OUT = """
import asyncio

async def run() -> None:
    await asyncio.gather(*(workflows.inner() for n in range(3)))
"""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("budget", "source", "said"),
    [
        ('{"calls": 2}', "def run() -> None:\n    for n in range(3):\n        step(str, n)\n", "step 3 times|calls = 2"),
        ('{"fan_out": 2}', FAN_OUT, "fan_out = 2"),
        ('{"depth": 1}', "def run() -> None:\n    workflows.flow()\n", "1 are allowed"),
        ('{"calls": 3}', "def run() -> None:\n    workflows.inner()\n    workflows.inner()\n", "calls = 3"),
    ],
)  # fmt: skip
async def test_a_run_that_uses_more_than_its_budget_fails_and_says_by_what(
    tmp_path: Path, budget: str, source: str, said: str
) -> None:
    """promise: budget promise: budget-shared"""
    async with opened(tmp_path) as app:
        await app.service.publishing.create(ME, "inner", '"""Step."""\n\ndef run() -> str:\n    return step(str, 1)\n')
        text = f'"""Spend."""\n\n__workflow__ = {{"budget": {budget}}}\n\n{source}'
        await app.service.publishing.create(ME, "flow", text)
        answer = await run(app, "flow")
        assert answer["status"] == "failed" and re.search(said, answer["error"]["message"]), answer["error"]


@pytest.mark.anyio
async def test_the_same_key_is_the_same_run(tmp_path: Path) -> None:
    """promise: idempotency"""
    async with opened(tmp_path) as app:
        await app.service.publishing.create(
            ME, "double", '"""Double."""\n\ndef run(number: int = 1) -> int:\n    return 2 * number\n'
        )
        first = await app.service.runs.start(ME, "double", {}, idempotency_key="k")
        await app.service.runs.wait(first, 30)
        again = await app.service.runs.start(ME, "double", {}, idempotency_key="k")
        assert again.run.id == first.run.id and len(await app.service.runs.list_runs(ME)) == 1
        with pytest.raises(BadArguments, match="other arguments"):
            await app.service.runs.start(ME, "double", {"number": 2}, idempotency_key="k")


@pytest.mark.anyio
async def test_cancelling_a_run_cancels_all_below_it(tmp_path: Path) -> None:
    """promise: cancel-tree"""
    async with opened(tmp_path) as app:
        await app.service.publishing.create(ME, "inner", ASK)
        await app.service.publishing.create(
            ME, "outer", '"""Call."""\n\ndef run() -> str:\n    return workflows.inner()\n'
        )
        live = await app.service.runs.start(ME, "outer", {})
        await app.service.runs.wait_for_news(ME, live.run.id)
        assert (await app.service.runs.cancel(ME, live.run.id))["status"] == "cancelled"
        assert [row["status"] for row in await app.service.runs.list_runs(ME)] == ["cancelled", "cancelled"]


@pytest.mark.anyio
async def test_wall_time_goes_on_counting_after_a_resume(tmp_path: Path) -> None:
    """promise: wall-time"""
    steps = "    step(effect, 'one', 1.5)\n    die()\n    step(effect, 'two', 1.5)\n"
    source = f'__workflow__ = {{"timeout_s": 2}}\n\ndef run() -> None:\n{steps}'
    async with opened(tmp_path / "home") as app:
        await create_approved(app, "flow", body(tmp_path, source))
        answer = await run(app, "flow")
        assert answer["status"] == "failed" and answer["error"]["code"] == "timeout", answer
