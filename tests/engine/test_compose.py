"""Workflows that call others: from sync and async bodies, by every form, each call a run of its own below its caller's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from support.services import opened

GREET = 'def run(name: str = "World") -> str:\n    """Greet."""\n    return f"Hello, {name}!"\n'
COUNT = '''
def run(by: int = 1) -> int:
    """Count."""
    session_state["n"] = session_state.get("n", 0) + by
    return session_state["n"]
'''


async def made(app: App, **sources: str) -> None:
    for name, source in sources.items():
        await app.service.publishing.create(
            Caller(), name, source, force=True
        )  # some cannot work, to see how they fail


async def outcome(app: App, name: str, **arguments: Any) -> dict[str, Any]:
    live = await app.service.runs.start(Caller(), name, arguments)
    return app.service.runs.envelope(await app.service.runs.wait_for_end(live))


async def result(app: App, name: str, **arguments: Any) -> Any:
    answer = await outcome(app, name, **arguments)
    assert answer["status"] == "completed", answer
    return answer["result"]


pytestmark = pytest.mark.anyio

BODIES = {
    "plain": 'def run() -> list:\n    """A."""\n    return [workflows.invoke("greet"), workflows.invoke("greet", name="Ada")]\n',
    "attribute": 'def run() -> list:\n    """A."""\n    return [workflows.greet(), workflows.greet(name="Ada")]\n',
    "awaited": 'async def run() -> list:\n    """A."""\n    return [await workflows.invoke("greet"), await workflows.greet(name="Ada")]\n',
    "bare in async": 'async def run() -> list:\n    """A."""\n    return [workflows.invoke("greet"), workflows.greet(name="Ada")]\n',
    "gathered": 'import asyncio\nasync def run() -> list:\n    """A."""\n'
    '    return await asyncio.gather(workflows.invoke("greet"), workflows.greet(name="Ada"))\n',
    "comprehension": 'import asyncio\nasync def run() -> list:\n    """A."""\n'
    '    return await asyncio.gather(*[workflows.invoke("greet", **kw) for kw in ({}, {"name": "Ada"})])\n',
    "task group": 'import asyncio\nasync def run() -> list:\n    """A."""\n    async with asyncio.TaskGroup() as group:\n'
    '        a = group.create_task(workflows.greet())\n        b = group.create_task(workflows.greet(name="Ada"))\n'
    "    return [a.result(), b.result()]\n",
    "threads": 'from concurrent.futures import ThreadPoolExecutor\ndef run() -> list:\n    """A."""\n    with ThreadPoolExecutor() as pool:\n'
    '        return list(pool.map(lambda kw: workflows.invoke("greet", **kw), [{}, {"name": "Ada"}]))\n',
    "imported": 'from repertoire import workflows as w\ndef run() -> list:\n    """A."""\n'
    '    return [w.invoke("greet"), w.invoke("greet", name="Ada")]\n',
    "by keyword": 'def run() -> list:\n    """A."""\n'
    '    return [workflows.invoke(workflow_name="greet"), workflows.invoke(workflow_name="greet", name="Ada")]\n',
    "context": 'async def run(ctx) -> list:\n    """A."""\n    return [await workflows.invoke("greet"), workflows.greet(name="Ada")]\n',
    "class": 'from repertoire import RunResponse, Workflow, workflows\nclass Caller(Workflow):\n    """A."""\n    def run(self):\n'
    '        return RunResponse(content=[workflows.invoke("greet"), workflows.greet(name="Ada")])\n',
}


@pytest.mark.parametrize("form", BODIES)
async def test_b14_b15_a_body_calls_another_workflow(tmp_path: Path, form: str) -> None:
    async with opened(tmp_path) as app:
        await made(app, greet=GREET, caller=BODIES[form])
        assert await result(app, "caller") == ["Hello, World!", "Hello, Ada!"]
        (top,) = await app.service.runs.list_runs(Caller(), top=True)
        below = await app.service.runs.list_runs(Caller(), parent=top["run_id"])
        assert len(below) == 2 and {run["workflow"] for run in below} == {"greet"}
        assert len({top["session_id"], *(run["session_id"] for run in below)}) == 3, "each with a session of its own"


async def test_b16_an_async_body_invokes_three_deep(tmp_path: Path) -> None:
    deeper = 'async def run(n: int) -> int:\n    """D."""\n    return 1 + workflows.invoke("{next}", n=n)\n'
    async with opened(tmp_path, workers="1") as app:
        await made(
            app, last='def run(n: int) -> int:\n    """L."""\n    return n\n', third=deeper.format(next="last"),
            second=deeper.format(next="third"), first=deeper.format(next="second"),
        )  # fmt: skip
        assert await result(app, "first", n=5) == 8
        top = (await app.service.runs.list_runs(Caller(), workflow="first"))[0]
        tree = await app.service.history.tree(Caller(), top["run_id"])
        names = []
        while tree["calls"]:
            tree = tree["calls"][0]["run"]
            names.append(tree["workflow"])
        assert names == ["second", "third", "last"]


async def test_b20_an_unknown_name_names_close_ones_and_recursion_has_an_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        await made(
            app, greet=GREET, wrong='def run() -> str:\n    """W."""\n    return workflows.invoke("gret")\n',
            endless='def run(n: int = 0) -> int:\n    """E."""\n    return workflows.invoke("endless", n=n + 1)\n',
        )  # fmt: skip
        error = (await outcome(app, "wrong"))["error"]
        assert "gret" in error["message"] and "greet" in error["hint"] and error["line"] == 3
        error = (await outcome(app, "endless"))["error"]
        assert "at most 16 are allowed" in error["message"] and "recursion" in error["hint"]
        assert len(await app.service.runs.list_runs(Caller(), workflow="endless", limit=100)) == 17


async def test_what_a_workflow_raises_reaches_its_caller_as_an_exception(tmp_path: Path) -> None:
    fails = 'def run() -> int:\n    """F."""\n    raise ValueError("no such page")\n'
    catches = '''
from repertoire import CallError
def run() -> list:
    """C."""
    try:
        return workflows.invoke("fails")
    except CallError as error:
        return [str(error), error.type, error.code]
'''
    async with opened(tmp_path) as app:
        await made(app, fails=fails, catches=catches)
        assert await result(app, "catches") == ["fails: no such page", "ValueError", "exception"]


async def test_a_body_reaches_the_registry(tmp_path: Path) -> None:
    source = '''
import asyncio
async def run(source: str) -> dict:
    """R."""
    made = workflows.create("shout", source, "Say it loud.")
    found = await workflows.search("say it loud", limit=3)
    names = [one["name"] for one in workflows.list()]
    said = await workflows.shout(text="a")
    seen = workflows.get("shout")["description"]
    gone = [await workflows.delete("shout"), workflows.delete("shout"), workflows.get("shout")]
    return {"made": made["name"], "found": found[0]["name"], "listed": "shout" in names, "said": said, "seen": seen, "gone": gone}
'''
    shout = 'def run(text: str) -> str:\n    """S."""\n    return text.upper()\n'
    async with opened(tmp_path) as app:
        await made(app, registry=source)
        assert await result(app, "registry", source=shout) == {
            "made": "shout", "found": "shout", "listed": True, "said": "A", "seen": "Say it loud.", "gone": [True, False, None],
        }  # fmt: skip


async def test_a_child_has_its_own_state_or_on_request_its_parents_session(tmp_path: Path) -> None:
    source = '''
def run() -> list:
    """C."""
    own = [workflows.invoke("count"), workflows.invoke("count")]
    shared = [workflows.invoke("count", session_id="parent"), workflows.invoke("count", session_id="parent", by=5)]
    return [own, shared]
'''
    async with opened(tmp_path) as app:
        await made(app, count=COUNT, calls=source)
        assert await result(app, "calls") == [[1, 1], [1, 6]]
        assert await result(app, "calls") == [[1, 1], [7, 12]]
        assert await result(app, "count") == 13
        foreign = 'def run() -> int:\n    """F."""\n    return workflows.invoke("count", session_id="s_of_somebody")\n'
        await made(app, foreign=foreign)
        assert "no session" in (await outcome(app, "foreign"))["error"]["message"]


async def test_arguments_that_are_no_json_are_named(tmp_path: Path) -> None:
    source = 'def run() -> str:\n    """W."""\n    return workflows.invoke("greet", name=object())\n'
    async with opened(tmp_path) as app:
        await made(app, greet=GREET, wrong=source)
        error = (await outcome(app, "wrong"))["error"]
        assert error["type"] == "TypeError" and "must be JSON values" in error["message"]
        positional = 'def run() -> str:\n    """W."""\n    return workflows.invoke("greet", "Ada")\n'
        await made(app, positional=positional)
        assert "name the arguments" in (await outcome(app, "positional"))["error"]["message"]


async def test_the_same_key_is_the_same_run(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        await made(app, count=COUNT)
        service, caller = app.service, Caller()
        first = await service.runs.start(caller, "count", {"by": 2}, None, "order-7")
        done = await service.runs.wait_for_end(first)
        again = await service.runs.start(caller, "count", {"by": 2}, None, "order-7")
        assert again.run.id == done.id and (await service.runs.wait_for_end(again)).result == done.result == json.dumps(
            2
        )
        with pytest.raises(Exception, match="had other arguments"):
            await service.runs.start(caller, "count", {"by": 3}, None, "order-7")
        other = await service.runs.wait_for_end(await service.runs.start(caller, "count", {"by": 2}, None, "order-8"))
        assert other.id != done.id and other.result == json.dumps(4)


@pytest.mark.parametrize("define", ["def", "async def"])
async def test_a_cached_function_is_called_once_for_each_session_and_arguments(tmp_path: Path, define: str) -> None:
    wait = "await " if define == "async def" else ""
    source = f"""
@cached
{define} look_up(word: str) -> dict:
    log.info("looked up " + word)
    return {{"word": word, "letters": {{*word}}}}

{define} run() -> list:
    '''C.'''
    pairs = [{wait}look_up("ab"), {wait}look_up("ab"), {wait}look_up(word="c")]
    return [sorted(pair["letters"]) for pair in pairs]
"""
    async with opened(tmp_path) as app:
        await made(app, looks=source)
        for looked_up in (["looked up ab", "looked up c"], []):
            live = await app.service.runs.start(Caller(), "looks", {})
            assert json.loads((await app.service.runs.wait_for_end(live)).result or "") == [
                ["a", "b"],
                ["a", "b"],
                ["c"],
            ]
            logs = [
                event.data["message"] async for event in app.service.runs.follow(live.run.id) if event.type == "log"
            ]
            assert logs == looked_up


async def test_who_watches_a_run_hears_of_those_below_it(tmp_path: Path) -> None:
    speaks = 'def run(word: str) -> str:\n    """S."""\n    progress(1, 2, "says " + word)\n    return word\n'
    calls = (
        'def run() -> str:\n    """C."""\n    log.info("first")\n    return workflows.invoke("speaks", word="hello")\n'
    )
    async with opened(tmp_path) as app:
        await made(app, speaks=speaks, calls=calls)
        live = await app.service.runs.start(Caller(), "calls", {})
        heard = [event async for event in app.service.runs.follow(live.run.id, nested=True)]
        (below,) = await app.service.runs.list_runs(Caller(), workflow="speaks")
        nested = [
            (event.type, event.data.get("message")) for event in heard if event.data.get("run_id") == below["run_id"]
        ]
        assert nested[:3] == [("call_start", None), ("run_start", None), ("progress", "says hello")]
        own = [event.n async for event in app.service.runs.follow(live.run.id)]
        assert own == list(range(1, 6)), "and its own log is its own"


async def test_a_step_knows_its_key_which_is_the_same_each_time(tmp_path: Path) -> None:
    source = '''
import asyncio
def key(_): return step.key
async def akey(_): return step.key
def nested(): return [step.key, step(key, 1), step.key]
async def run() -> list:
    """K."""
    found = [step.key, step(key, 1), await step(akey, 2), step(nested)]
    return found + await asyncio.gather(step(akey, 3), asyncio.create_task(inner()))
async def inner(): return step(key, 4)
'''
    async with opened(tmp_path) as app:
        await made(app, keys=source)
        live = await app.service.runs.start(Caller(), "keys", {})
        found = json.loads((await app.service.runs.wait_for_end(live)).result or "")
        name = live.run.id
        assert found == [
            "",
            f"{name}:0/0",
            f"{name}:0/1",
            [f"{name}:0/2", f"{name}:0/2:0", f"{name}:0/2"],
            f"{name}:0/3",
            f"{name}:0/0/0",
        ], found


async def test_a_result_too_large_to_be_recorded_is_named(tmp_path: Path) -> None:
    source = 'def large() -> str:\n    return "x" * 2_000\ndef run() -> str:\n    """L."""\n    return step(large)\n'
    async with opened(tmp_path, max_record_bytes="1000") as app:
        await made(app, loud=source)
        error = (await outcome(app, "loud"))["error"]
        assert (
            error["code"] == "result_too_large"
            and "the step large is 2" in error["message"]
            and "file" in error["hint"]
        )


async def test_a_call_that_is_made_again_after_its_connection_broke_is_answered_by_its_run(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        await made(app, count=COUNT)
        service, caller = app.service, Caller()
        lost = await service.runs.start(caller, "count", {"by": 2})
        service.runs.note_undelivered(lost.run.id)
        other = await service.runs.wait_for_end(await service.runs.start(caller, "count", {"by": 3}))
        again = await service.runs.wait_for_end(await service.runs.start(caller, "count", {"by": 2}))
        once_more = await service.runs.wait_for_end(await service.runs.start(caller, "count", {"by": 2}))
        assert again.id == lost.run.id and len({again.id, other.id, once_more.id}) == 3
        assert [run.result for run in (again, other, once_more)] == ["2", "5", "7"]
