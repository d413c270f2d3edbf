"""Every name of a workflow, with and without await: in a run, and imported in a plain process. Types: tests/project/test_types.py."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire import cached, commit_state, log, now, progress, session_state, sleep, step
from repertoire.model.session import Caller
from repertoire.values.refusals import NotAvailable
from support.survivals import opened

pytestmark = pytest.mark.anyio

NAMES = (Path(__file__).parent / "typed" / "names.py").read_text()
ANSWERS = {
    "Agreed?": True, "Name?": "ada", "How many?": 2, "Names?": ["a", "b"], "Which order?": {"amount": 7, "due": None},
    "Which line?": {"n": 4}, "Which?": "b", "Anything?": {"x": 1},
}  # fmt: skip


@pytest.mark.parametrize("how", ["plain", "awaited"])
async def test_n3_every_name_works_in_a_run_with_and_without_await(tmp_path: Path, how: str) -> None:
    async with opened(tmp_path / "home") as app:
        runs = app.service.runs
        await app.service.publishing.create(Caller(), "names", NAMES)
        live = await runs.start(Caller(), "names", {"how": how}, None)
        with anyio.fail_after(60):
            asked: set[str] = set()
            while not (run := await runs.wait_for_news(Caller(), live.run.id, asked)).is_final:
                asked |= {question.id for question in run.questions}
                await runs.answer(Caller(), run.id, ANSWERS[run.questions[0].question])
        assert run.error is None, run.error
        values = json.loads(run.result or "")["values"]
        assert json.loads(run.result or "")["kept"] == "text"
        assert values[1:10] == [True, "ada", 2, ["a", "b"], 7, 4, "b", {"x": 1}, 3]


def load(n: int = 3) -> int:
    return n


@step
def stepped() -> int:
    return 4


@step(retries=1)
def retried(n: int) -> int:
    return n


@cached
def remembered(n: int) -> int:
    return n


class Shop:
    @step
    def price(self, n: int) -> int:
        return n


def test_n4_imported_names_work_in_a_plain_test() -> None:
    session_state.clear()
    assert step(load) == 3 and step(load, 5) == 5 and step(load, 5, retries=1) == 5
    assert stepped() == 4 and retried(6) == 6 and Shop().price(7) == 7
    assert remembered(8) == 8 and "cached" in session_state
    log("said")
    log.warning("said", n=1)
    progress(1, 2)
    sleep(0.001)
    commit_state()
    assert now().tzinfo is not None
    session_state.clear()


async def test_n3_n4_imported_names_are_awaited_in_a_plain_test() -> None:
    async def aload() -> int:
        return 9

    values: list[Any] = [await step(load), await step.aio(load, 5), await step(aload), await stepped.aio()]
    assert values == [3, 5, 9, 4]
    await log("said")
    await progress(1, 2)
    await sleep(0.001)
    assert (await now()).tzinfo is not None
    assert len(await asyncio.gather(step(aload), step(aload))) == 2


@pytest.mark.parametrize("source", ["ask('Sure?', bool)", "workflows.counter()", "workflows.search('x')"])
def test_n4_a_name_that_needs_a_server_says_what_to_use(source: str) -> None:
    names: dict[str, Any] = {}
    exec("from repertoire import ask, workflows", names)
    with pytest.raises(NotAvailable, match=r"needs a server\. Run .*`repertoire run`.* `repertoire\.testing`"):
        eval(source, names)
