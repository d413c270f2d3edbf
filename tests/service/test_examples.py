"""An example's run: its doors and mocks, what becomes of it, and examples made of runs.

In a real home with real workers.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.errors import BadArguments, Refused, UnknownRun
from repertoire.model.session import Caller
from support.publishing import DOUBLE, ME, OFF, refused
from support.services import opened, run

pytestmark = pytest.mark.anyio


CALLS = '''"""Ask around."""


def run(n: int) -> dict:
    """Ask around.

    Args:
        n: The number.
    """
    session_state["seen"] = n
    commit_state()
    found = workflows.search("double")
    name = ask("Who are you?", str)
    sleep(3600)
    return {"doubled": workflows.invoke("double", n=n), "more": workflows.invoke("double", n=n + 1), "name": name, "found": len(found) > 0}
'''


async def test_what_an_example_calls_is_mocked_or_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        example = {"arguments": {"n": 2}, "expect": {"doubled": 4, "more": 6, "name": "Ada", "found": True}}
        error = await refused(app, "asks_around", CALLS, examples=[example])
        assert "it calls ask, which is not done in an example" in error.message and '"call": "ask"' in error.message
        mocks: list[dict[str, Any]] = [{"call": "ask", "result": "Ada"}]
        error = await refused(app, "asks_around", CALLS, examples=[{**example, "mocks": mocks}])
        assert "calls the workflow 'double'" in error.message
        mocks += [{"call": "double", "arguments": {"n": 3}, "result": 6}, {"call": "double", "result": 4}]
        answer = await app.service.publishing.create(ME, "asks_around", CALLS, examples=[{**example, "mocks": mocks}])
        assert answer["examples"] == {"passed": 1, "failed": 0}
        rows = await app._store.read(lambda db: db.execute("SELECT count(*) FROM state").fetchone())
        assert rows == (0,), "what an example keeps in its session goes with it"
        failing = [{**example, "expect_error": "no luck", "mocks": [{"call": "ask", "error": "no luck"}]}]
        del failing[0]["expect"]
        assert (await app.service.publishing.create(ME, "asks_around", CALLS, replace=True, examples=failing))[
            "examples"
        ]["passed"] == 1


async def test_a_workflow_that_only_reads_is_really_called(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", '__workflow__ = {"read_only": True}\n' + DOUBLE)
        source = '"""Quadruple."""\n\ndef run(n: int) -> int:\n    return workflows.double(n=workflows.double(n=n))\n'
        answer = await app.service.publishing.create(
            ME, "quadruple", source, examples=[{"arguments": {"n": 2}, "expect": 8}]
        )
        assert answer["examples"]["passed"] == 1
        assert await app.service.runs.list_runs(ME) == [], "nor are those below an example's run anybody's"


async def test_a_run_that_went_well_becomes_an_example(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        await app.service.publishing.create(ME, "asks_around", CALLS.replace("sleep(3600)", "sleep(0.01)"))
        live = await app.service.runs.start(ME, "asks_around", {"n": 5})
        await app.service.runs.wait(live, 30)
        await app.service.runs.answer(ME, live.run.id, "Grace")
        ended = await app.service.runs.wait_for_end(live)
        assert ended.status == "completed"
        answer = await app.service.publishing.create(ME, "saved", from_run=live.run.id)
        assert answer["examples"] == {"passed": 1, "failed": 0}
        (example,) = (await app.service.versions.get(ME, "saved"))["examples"]
        assert example["arguments"] == {"n": 5} and example["expect"]["name"] == "Grace"
        assert {"call": "double", "arguments": {"n": 6}, "result": 12} in example["mocks"]
        broken = CALLS.replace('"more": workflows.invoke("double", n=n + 1)', '"more": 0')
        assert "result['more']: expected 12, got 0" in (await refused(app, "saved", broken, replace=True)).message
        live = await app.service.runs.start(ME, "double", {"n": "no number"})
        failed = await app.service.runs.wait_for_end(live)
        assert failed.error is not None
        await app.service.publishing.create(ME, "fails", DOUBLE, from_run=failed.id)
        assert (await app.service.versions.get(ME, "fails"))["examples"][0]["expect_error"] == failed.error.message
        with pytest.raises(UnknownRun):
            await app.service.publishing.create(
                ME, "theirs", DOUBLE, from_run="workflow:double:01ARZ3NDEKTSV4RRFFQ69G5FAV"
            )
        with pytest.raises(UnknownRun):
            await app.service.publishing.create(Caller(principal="bob"), "theirs", DOUBLE, from_run=live.run.id)
        with pytest.raises(BadArguments, match="source"):
            await app.service.publishing.create(ME, "nothing")


async def test_a_body_publishes_with_examples(tmp_path: Path) -> None:
    source = f'''"""Write one."""


def run(expect: int) -> dict:
    made = workflows.create("double", {DOUBLE!r}, examples=[{{"arguments": {{"n": 2}}, "expect": expect}}], tags=["numbers"])
    return {{"made": made["status"], "four": workflows.invoke("double", n=2)}}
'''
    async with opened(tmp_path, workers="1", **OFF) as app:
        await app.service.publishing.create(ME, "writes", source)
        with anyio.fail_after(60):
            answer = await run(app, ME, "writes", expect=5)
            assert answer["status"] == "failed" and "expected 5, got 4" in answer["error"]["message"]
            answer = await run(app, ME, "writes", expect=4)
        assert answer["result"] == {"made": "published", "four": 4}
        history = (await app.service.versions.get(ME, "double"))["history"]
        assert history[0]["client"] == answer["run_id"], "which run has written it"


async def test_an_example_whose_server_died_is_not_gone_on_with(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        await run(app, ME, "double", n=1)
        store = app._store
        await store.write(
            lambda db: (
                db.execute(
                    "UPDATE run SET example = 1, status = 'working', ended_at = NULL, result = NULL, epoch = 0"
                ).rowcount
            )
        )
        run_id = await store.read(lambda db: db.execute("SELECT id FROM run").fetchone()[0])
    async with opened(tmp_path, **OFF) as app:
        answer = await app.service.runs.get(ME, run_id, wait_s=5)
        assert (answer["status"], app.live_runs()) == ("cancelled", 0)


async def test_a_run_of_many_calls_is_an_example_with_all_of_them_or_none(tmp_path: Path) -> None:
    source = '''"""Add up."""


def run(n: int) -> int:
    for _ in range(n):
        step(float, 1)
    return sum(workflows.double(n=i) for i in range(n))
'''
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        await app.service.publishing.create(ME, "adds", source)
        ended = await app.service.runs.wait_for_end(await app.service.runs.start(ME, "adds", {"n": 150}))
        assert (await app.service.publishing.create(ME, "saved", from_run=ended.id))["examples"]["passed"] == 1
        ended = await app.service.runs.wait_for_end(await app.service.runs.start(ME, "adds", {"n": 210}))
        with pytest.raises(Refused, match="more than 200 calls"):
            await app.service.publishing.create(ME, "saved_too", from_run=ended.id)


async def test_what_calls_itself_is_checked_with_itself(tmp_path: Path) -> None:
    source = '"""N!"""\n\ndef run(n: int) -> int:\n    return BASE if n < 2 else n * workflows.fact(n=n - 1)\n'
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(
            ME, "fact", source.replace("BASE", "2"), examples=[{"arguments": {"n": 3}, "expect": 12}]
        )
        right = [{"arguments": {"n": 3}, "expect": 6}]
        await app.service.publishing.create(ME, "fact", source.replace("BASE", "1"), replace=True, examples=right)
        assert (await run(app, ME, "fact", n=4))["result"] == 24


async def test_a_mock_that_is_missing_is_no_matter_of_taste(tmp_path: Path) -> None:
    source = '''"""Try."""


def run() -> int:
    try:
        workflows.invoke("double", n=1)
    except Exception as error:
        log.warning(str(error))
    return 1
'''
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        assert "has no" in (await refused(app, "tries", source, examples=[{"arguments": {}, "expect": 1}])).message
        mocks = [{"call": "workflows.double", "result": 2}, {"call": "nobody", "result": 1}]
        answer = await app.service.publishing.create(
            ME, "tries", source, examples=[{"arguments": {}, "expect": 1, "mocks": mocks}]
        )
        (unused,) = [one["message"] for one in answer["findings"] if one["rule"] == "unused_mock"]
        assert unused == "Example 1 has mocks that no call has taken: nobody."


async def test_an_examples_run_says_so_and_is_not_done_again(tmp_path: Path) -> None:
    async with opened(tmp_path, **OFF) as app:
        error = await refused(app, "double", DOUBLE, examples=[{"arguments": {"n": 1}, "expect": 3}])
        run_id = re.findall(r"get_run\('(.+)'\)", error.hint or "")[0]
        assert (await app.service.runs.get(ME, run_id))["example"] is True
        with pytest.raises(BadArguments, match="check an example"):
            await app.service.history.rerun(ME, run_id)


async def test_one_example_is_added_to_those_that_there_are(tmp_path: Path) -> None:
    first, second = {"arguments": {"n": 1}, "expect": 2}, {"arguments": {"n": 4}, "expect": 8}
    async with opened(tmp_path, **OFF) as app:
        create = app.service.publishing.create
        await create(ME, "double", DOUBLE, examples=[first])
        added = await create(ME, "double", examples=[second], replace=True, keep_examples=True)
        assert added["examples"] == {"passed": 2, "failed": 0}
        await create(ME, "double", examples=[second], replace=True, keep_examples=True)
        assert (await app.service.versions.get(ME, "double"))["examples"] == [first, second]
        assert (await create(ME, "double", examples=[second], replace=True))["examples"]["passed"] == 1


async def test_from_run_adds_to_what_there_is(tmp_path: Path) -> None:
    first = {"arguments": {"n": 1}, "expect": 2}
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE, "My words.", examples=[first], tags=["numbers"])
        ended = await app.service.runs.wait_for_end(await app.service.runs.start(ME, "double", {"n": 21}))
        for _ in range(2):
            answer = await app.service.publishing.create(ME, "double", from_run=ended.id, replace=True)
            assert answer["examples"]["passed"] == 2
        shown = await app.service.versions.get(ME, "double")
        assert (shown["description"], shown["tags"]) == ("My words.", ["numbers"])
        assert shown["examples"] == [first, {"arguments": {"n": 21}, "expect": 42}]


async def test_calls_within_steps_and_a_session_that_is_shared_are_as_in_the_run(tmp_path: Path) -> None:
    counts = '''"""Count."""

__workflow__ = {"read_only": True}


def run() -> int:
    session_state["n"] = session_state.get("n", 0) + 1
    return session_state["n"]
'''
    outer = '''"""Call from everywhere."""


def inner(n: int) -> int:
    return workflows.double(n=n)


def run() -> list[int]:
    counted = [workflows.counts(session_id="parent") for _ in range(3)]
    return [step(inner, 4), *counted]
'''
    async with opened(tmp_path, **OFF) as app:
        await app.service.publishing.create(ME, "double", DOUBLE)
        await app.service.publishing.create(ME, "counts", counts)
        example = {"arguments": {}, "expect": [8, 1, 2, 3], "mocks": [{"call": "double", "result": 8}]}
        answer = await app.service.publishing.create(ME, "outer", outer, examples=[example])
        assert answer["examples"]["passed"] == 1
        ended = await app.service.runs.wait_for_end(await app.service.runs.start(ME, "outer", {}))
        assert json.loads(ended.result or "") == [8, 1, 2, 3]
        assert (await app.service.publishing.create(ME, "saved", from_run=ended.id))["examples"]["passed"] == 1
        left = await app._store.read(lambda db: db.execute("SELECT count(*) FROM state").fetchone())
        assert left == (1,), "that of the run; none of the examples'"
