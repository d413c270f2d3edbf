"""A body that is begun again: what it is given back, what it may not do otherwise, and which ends are final.

In one process, with real workers: bodies kill their own worker once, so that what was recorded is replayed.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.model.run import Run
from repertoire.store import Store
from repertoire.store.journal import NewRecord
from support import replays
from support.replays import JSON_OF, ME, publish, survived
from support.survivals import effects, run, said

pytestmark = pytest.mark.anyio

home, app, traces = replays.home, replays.app, replays.traces


# What is stable over a resume

ASKED = """
import datetime, random, uuid
def ask_all():
    return [
        str(uuid.uuid4()), random.random(), random.choice(range(1000)), time.time(), time.monotonic(),
        time.perf_counter(), datetime.datetime.now().isoformat(), datetime.datetime.now(datetime.UTC).isoformat(),
        datetime.date.today().isoformat(), now().isoformat(), str(uuid.uuid1()),
    ]
"""

SYNC = """
def run() -> list:
    asked = ask_all()
    first = step(effect, json_of(asked))
    asked += ask_all()
    second = step(effect, json_of(asked))
    die()
    return [first, second, json_of(asked)]
"""
ASYNC = """
async def one(n):
    asked = ask_all()
    await step(aeffect, json_of([n, asked]), 0.01 * (4 - n))
    await asyncio.sleep(0.01)
    asked += ask_all()
    await step(aeffect, json_of([n, asked]))
    return json_of([n, asked])

async def run() -> list:
    results = await asyncio.gather(*(one(n) for n in range(4)))
    die()
    return results
"""
GENERATOR = """
def run():
    for n in range(4):
        asked = ask_all()
        yield step(effect, json_of([n, asked]))
        if n == 2:
            die()
"""
ASYNC_GENERATOR = """
async def run():
    for n in range(4):
        asked = ask_all()
        yield await step(aeffect, json_of([n, asked]))
        if n == 2:
            die()
"""
THREADS = """
from concurrent.futures import ThreadPoolExecutor

def one(n):
    asked = ask_all()
    step(effect, json_of([n, asked]), 0.01 * (4 - n))
    return step(effect, json_of([n, asked, ask_all()]))

def run() -> list:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(one, range(4)))
    die()
    return results
"""
TO_THREAD = THREADS.replace(
    """def run() -> list:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(one, range(4)))
""",
    """async def run() -> list:
    results = await asyncio.gather(*(asyncio.to_thread(one, n) for n in range(4)))
""",
)


@pytest.mark.parametrize(
    "source", [SYNC, ASYNC, GENERATOR, ASYNC_GENERATOR, THREADS, TO_THREAD],
    ids=["sync", "async", "generator", "async generator", "threads", "to_thread"],
)  # fmt: skip
async def test_time_chance_and_ids_are_the_same_when_the_body_is_begun_again(
    app: App, traces: Path, source: str
) -> None:
    # promise: clock
    answer = await survived(app, traces, JSON_OF + ASKED + source)
    done = effects(traces)
    assert len(done) == len(set(done)) and set(answer["result"]) <= set(done), "what it saw was what it had seen"


async def test_items_of_a_generator_come_once_and_in_order(app: App, traces: Path) -> None:
    answer = await survived(app, traces, GENERATOR.join([JSON_OF + ASKED, ""]))
    assert said(answer, "item", "value") == effects(traces) == answer["result"]


# Time that has passed


async def test_sleeps_and_timeouts_that_were_over_are_over_at_once(app: App, traces: Path) -> None:
    # promise: slept
    """The second time neither is waited for: the limit of the run would not allow it."""
    source = """
__workflow__ = {"timeout_s": 6}
async def run() -> list:
    got = []
    time.sleep(1.1)
    await asyncio.sleep(1.5)
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 1.2)
    except TimeoutError:
        got.append("wait_for")
    try:
        async with asyncio.timeout(0.2):
            await asyncio.sleep(30)
    except TimeoutError:
        got.append("timeout")
    got.append(await step(aeffect, "after"))
    die()
    return got
"""
    answer = await survived(app, traces, source)
    assert answer["result"] == ["wait_for", "timeout", "after"] and effects(traces) == ["after"]


async def test_a_timeout_counts_from_when_it_is_set_and_not_from_what_the_loop_last_heard(
    app: App, traces: Path
) -> None:
    """A step that blocks the loop for longer than the timeout which is set after it."""
    await publish(app, traces, child='def run() -> str:\n    return step(effect, "child", 0.2)\n')
    source = """
async def run() -> str:
    step(effect, "slow", 1.0)
    got = await asyncio.wait_for(workflows.invoke("child"), 0.9)
    die()
    return got
"""
    answer = await survived(app, traces, source)
    assert answer["result"] == "child" and effects(traces) == ["slow", "child"]


async def test_a_sleep_is_as_long_as_it_says_whatever_the_body_did_before(app: App, traces: Path) -> None:
    source = """
async def run() -> bool:
    import time as clock
    blocks = clock.process_time() + 0.3
    while clock.process_time() < blocks:
        pass
    before = clock.monotonic()
    await asyncio.sleep(0.25)
    slept = clock.monotonic() - before
    step(effect, "slept")
    die()
    return slept >= 0.24
"""
    assert (await survived(app, traces, source))["result"] is True


async def test_an_answer_that_was_on_its_way_while_a_timer_fired_comes_after_it_again(
    app: App, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorded just before the time was over, heard of after that: a slow disk is enough."""
    source = """
async def run() -> list:
    quick = asyncio.create_task(step(aeffect, "quick", 0.1))
    nap = asyncio.create_task(asyncio.sleep(0.3, "nap"))
    order = []
    pending = {quick, nap}
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        order += [task.result() for task in done]
    step(effect, " ".join(order))
    die()
    return order
"""
    commit = Store.record_call

    def slow(store: Store, run: Run, record: NewRecord, first: int, events: Any, then: Any) -> None:
        def later(error: BaseException | None) -> None:
            asyncio.get_running_loop().call_later(0.6 if record.call.n == 1 else 0, then, error)

        commit(store, run, record, first, events, later)

    monkeypatch.setattr(Store, "record_call", slow)
    answer = await survived(app, traces, source)
    assert answer["result"] == ["nap", "quick"] and effects(traces) == ["quick", "nap quick"]


async def test_what_a_step_draws_is_not_missing_when_it_is_not_done_again(app: App, traces: Path) -> None:
    source = """
import random, uuid
def draw():
    return [str(uuid.uuid4()), random.random(), time.time(), time.monotonic()]
async def adraw():
    await asyncio.sleep(0)
    return draw()
def more():
    return [str(uuid.uuid4()), random.random(), random.gauss(0, 1), random.sample(range(99), 3)]
async def run() -> list:
    random.seed(5)
    got = [step(draw), more(), await step(adraw), more()]
    step(effect, json_of(got))
    die()
    return got
"""
    answer = await survived(app, traces, JSON_OF + source)
    assert [json.loads(line) for line in effects(traces)] == [answer["result"]]


async def test_a_loop_that_is_blocked_by_waiting_for_a_thread_of_its_own_gets_on(app: App, traces: Path) -> None:
    source = """
from concurrent.futures import ThreadPoolExecutor

async def run() -> list:
    with ThreadPoolExecutor(2) as pool:
        got = [pool.submit(step, effect, "one").result(), pool.submit(step, effect, "two").result()]
    got.append(await step(aeffect, "three"))
    die()
    return got
"""
    answer = await survived(app, traces, source)
    assert answer["result"] == effects(traces) == ["one", "two", "three"]


async def test_who_was_first_is_first_again(app: App, traces: Path) -> None:
    # promise: order
    source = """
async def chain(n):
    for k in range(3):
        await step(aeffect, f"{n}.{k}", ((n * 7 + k * 5) % 4) * 0.01)
    return n

async def run() -> list:
    order = []
    for done in asyncio.as_completed([chain(n) for n in range(5)]):
        n = await done
        order.append(n)
        await step(aeffect, f"done {len(order)} {n}")
    tasks = {asyncio.create_task(chain(n + 10)) for n in range(4)}
    while tasks:
        done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            order.append(task.result())
            await step(aeffect, f"first {len(order)} {task.result()}")
        if len(order) == 7:
            die()
    return order
"""
    answer = await survived(app, traces, source)
    done = effects(traces)
    assert sorted(answer["result"]) == [*range(5), *range(10, 14)]
    in_flight = 3
    assert len(done) - len(set(done)) <= in_flight, "only what was in flight at the kill may be done twice"
    assert [line.split()[2] for line in done if line.startswith("done")] == [str(n) for n in answer["result"][:5]]


async def test_a_task_group_and_tasks_of_their_own_are_found_again(app: App, traces: Path) -> None:
    source = """
async def pair(n):
    return [await step(aeffect, f"{n}a", 0.01 * (3 - n)), await step(aeffect, f"{n}b")]

async def run() -> list:
    alone = asyncio.create_task(pair(0))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(pair(n)) for n in (1, 2)]
    got = [task.result() for task in tasks] + [await alone]
    die()
    return got + [await step(aeffect, "end")]
"""
    answer = await survived(app, traces, source)
    assert answer["result"] == [["1a", "1b"], ["2a", "2b"], ["0a", "0b"], "end"]
    assert sorted(effects(traces)) == ["0a", "0b", "1a", "1b", "2a", "2b", "end"]


async def test_a_call_that_the_body_cancelled_is_recorded_as_cancelled(app: App, traces: Path) -> None:
    # promise: dropped
    source = """
async def run() -> list:
    got = []
    slow = asyncio.create_task(step(aeffect, "never", 30))
    await step(aeffect, "quick", 0.05)
    slow.cancel()
    try:
        await slow
    except asyncio.CancelledError:
        got.append("cancelled")
    try:
        await asyncio.wait_for(step(aeffect, "never either", 30), 0.05)
    except TimeoutError:
        got.append("too late")
    got.append(await step(aeffect, "after"))
    die()
    return got
"""
    answer = await survived(app, traces, source)
    assert answer["result"] == ["cancelled", "too late", "after"] and effects(traces) == ["quick", "after"]
    calls = (await app.service.history.tree(ME, answer["run_id"]))["calls"]
    assert [call["cancelled"] for call in calls] == [False, True, True, False]


# What is not the same the second time


DIFFERENT = {
    "another name": ("step(effect, 'one') if first else step(other, 'one')", "effect", "other"),
    "another argument": ("step(effect, 'one' if first else 'two')", "step effect", "step effect"),
    "another kind": ("step(effect, 'one') if first else workflows.list()", "step effect", "workflows.list"),
    "one less": ("step(effect, 'one') if first else None", "effect", "ended without"),
    "awaited": ("(await step(aeffect, 'one')) if first else (await step(aother, 'one'))", "aeffect", "aother"),
}


@pytest.mark.parametrize("kind", DIFFERENT)
async def test_a_body_that_does_something_else_is_told_what_and_nothing_is_done(
    app: App, traces: Path, kind: str
) -> None:
    # promise: nondeterminism
    """The usual way there: it branches on something outside that has changed."""
    call, was, came = DIFFERENT[kind]
    looks = 'not os.path.exists(os.path.join(FOLDER, "died"))'
    source = f"""
def other(name):
    return effect("other " + name)
async def aother(name):
    return other(name)
async def run() -> str:
    first = {looks}
    {call}
    die()
    return step(effect, "never")
"""
    if kind == "one less":
        source = source.replace('    return step(effect, "never")', '    return "never"')
    await publish(app, traces, flow=source)
    answer = await run(app, "flow")
    error = answer["error"]
    assert answer["status"] == "failed" and error["code"] == "non_determinism" and error["type"] == "NonDeterminism", (
        error
    )
    assert was in error["message"] and came in error["message"], error
    assert "step()" in error["hint"]
    assert effects(traces) == ["one"], "nothing but what was done the first time"


async def test_a_body_cannot_catch_that_and_go_on(app: App, traces: Path) -> None:
    source = """
def run() -> str:
    first = not os.path.exists(os.path.join(FOLDER, "died"))
    try:
        step(effect, "one" if first else "two")
    except Exception:
        pass
    try:
        step(effect, "three")
    except Exception:
        pass
    die()
    return "as if nothing had happened"
"""
    await publish(app, traces, flow=source)
    answer = await run(app, "flow")
    assert answer["status"] == "failed" and answer["error"]["code"] == "non_determinism", answer
    assert effects(traces) == ["one", "three"]
