"""A body that is begun again: what it is given back, what it may not do otherwise, and which ends are final.

In one process, with real workers: bodies kill their own worker once, so that what was recorded is replayed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App
from repertoire.model.run import Run
from repertoire.model.session import Caller
from repertoire.store import Store
from repertoire.store.journal import NewRecord
from survive_kit import body, effects, eventually, opened, run, said

pytestmark = pytest.mark.anyio

ME = Caller()


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with opened(tmp_path / "home", workers="4") as app:
        yield app


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    folder = tmp_path / "traces"
    folder.mkdir()
    return folder


async def publish(app: App, folder: Path, source: str, name: str = "flow") -> None:
    await app.service.create(ME, name, body(folder, source), replace=True)


async def survived(app: App, folder: Path, source: str, **arguments: Any) -> dict[str, Any]:
    """Publish, run, and see that its worker died once and the run completed all the same."""
    await publish(app, folder, source)
    answer = await run(app, "flow", **arguments)
    assert answer["status"] == "completed", answer["error"]
    assert (folder / "died").exists(), "the body has not killed its worker"
    return answer


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
JSON_OF = "import json\njson_of = json.dumps\n"


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
    await publish(app, traces, 'def run() -> str:\n    return step(effect, "child", 0.2)\n', "child")
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
    calls = (await app.service.tree(ME, answer["run_id"]))["calls"]
    assert [call["cancelled"] for call in calls] == [False, True, True, False]


# Steps


async def test_the_error_of_a_step_is_the_same_both_times(app: App, traces: Path) -> None:
    # promise: errors
    source = """
class Mine(Exception):
    def __init__(self, code, *, extra=None):
        super().__init__(f"mine {code}")

def fails(kind):
    effect(f"fails {kind}")
    if kind == "value":
        raise ValueError("no such value", 3)
    if kind == "key":
        raise KeyError("k")
    if kind == "os":
        open("/no/such/file")
    raise Mine(7)

def run() -> list:
    got = []
    for kind in ("value", "key", "os", "mine"):
        try:
            step(fails, kind)
        except ValueError as error:
            got.append(["ValueError", list(error.args)])
        except KeyError as error:
            got.append(["KeyError", list(error.args)])
        except FileNotFoundError as error:
            got.append(["FileNotFoundError", error.errno])
        except Exception as error:
            got.append(["Exception", str(error)])
    step(effect, json_of(got))
    die()
    return got
"""
    answer = await survived(app, traces, JSON_OF + source)
    expected = [
        ["ValueError", ["no such value", 3]],
        ["KeyError", ["k"]],
        ["FileNotFoundError", 2],
        ["Exception", "mine 7"],
    ]
    assert answer["result"] == expected
    assert effects(traces) == ["fails value", "fails key", "fails os", "fails mine", json.dumps(expected)]


async def test_the_error_of_an_async_step_is_the_same_both_times(app: App, traces: Path) -> None:
    source = """
async def fails():
    effect("fails")
    raise LookupError("not there")

async def run() -> list:
    got = []
    for _ in range(2):
        try:
            await step(fails)
        except LookupError as error:
            got.append([type(error).__name__, *error.args])
        die()
    return got
"""
    answer = await survived(app, traces, source)
    assert answer["result"] == [["LookupError", "not there"]] * 2 and effects(traces) == ["fails", "fails"]


async def test_retries_and_the_timeout_of_each_attempt(app: App, traces: Path) -> None:
    # promise: retries
    source = """
tried = []

def second_time(name):
    effect(f"{name} {len(tried)}")
    tried.append(name)
    if tried.count(name) < 2:
        raise OSError("not yet")
    return len(tried)

async def slow_at_first():
    effect(f"slow {tried.count('slow')}")
    tried.append("slow")
    if tried.count("slow") < 2:
        await asyncio.sleep(30)
    return "quick"

@step(retries=1, timeout=0.1)
def blocks():
    effect("blocks")
    time.sleep(0.5)

async def run() -> list:
    got = [step(second_time, "sync", retries=2), await step(slow_at_first, retries=1, timeout=0.1)]
    try:
        blocks()
    except TimeoutError as error:
        got.append(str(error))
    try:
        step(second_time, "never enough")
    except OSError as error:
        got.append(str(error))
    die()
    return got
"""
    answer = await survived(app, traces, source)
    assert answer["result"] == [2, "quick", "the step took longer than 0.1 s", "not yet"]
    assert effects(traces) == ["sync 0", "sync 1", "slow 0", "slow 1", "blocks", "blocks", "never enough 4"]


async def test_calls_within_a_step_are_part_of_it(app: App, traces: Path) -> None:
    # promise: covered
    await publish(app, traces, 'def run(n: int) -> str:\n    return step(effect, f"child {n}")\n', "child")
    source = """
def both():
    first = workflows.invoke("child", n=1)
    die("within")
    log("within")
    return [first, step(effect, "inner"), workflows.invoke("child", n=2)]

async def aboth():
    return [await workflows.invoke("child", n=3), await step(aeffect, "ainner")]

async def run() -> list:
    got = [step(both), await step(aboth)]
    die()
    return got + [step(effect, "last")]
"""
    answer = await survived(app, traces, source)
    assert (traces / "within").exists()
    assert answer["result"] == [["child 1", "inner", "child 2"], ["child 3", "ainner"], "last"]
    assert effects(traces) == ["child 1", "inner", "child 2", "child 3", "ainner", "last"], "each once"
    assert said(answer) == ["within"]


async def test_results_of_steps_keep_their_types(app: App, traces: Path) -> None:
    # promise: types
    source = """
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pydantic import BaseModel

@dataclass
class Point:
    x: int
    tags: tuple[str, ...] = ()

class Order(BaseModel):
    number: int
    due: date

def make():
    return {
        "point": Point(1, ("a", "b")), "order": Order(number=3, due=date(2030, 1, 2)), "set": {1}, "bytes": b"\\x00\\xff",
        "at": datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), "for": timedelta(seconds=3), "exact": Decimal("1.10"),
    }

async def amake():
    return make()

async def run() -> list:
    for made in (step(make), await step(amake)):
        assert made == make() and type(made["point"]) is Point and type(made["order"]) is Order, made
        assert type(made["point"].tags) is tuple and type(made["at"]) is datetime
    die()
    return [str(value) for value in made.values()]
"""
    answer = await survived(app, traces, source)
    assert answer["result"][0] == "Point(x=1, tags=('a', 'b'))"


@pytest.mark.parametrize("call", ["step(make)", "await step(amake)"])
async def test_a_result_that_cannot_be_recorded_is_named(app: App, traces: Path, call: str) -> None:
    source = f"""
def make():
    return {{"rows": [1, open("/dev/null")]}}
async def amake():
    return make()
async def run() -> None:
    {call}
"""
    await publish(app, traces, source)
    answer = await run(app, "flow")
    error = answer["error"]
    assert answer["status"] == "failed" and "a step's result cannot be recorded" in error["message"], error
    assert "TextIOWrapper" in error["message"] and "'rows'" in error["message"].replace('"', "'"), error
    assert "plain data" in error["hint"]


async def test_a_body_that_goes_on_after_such_a_result_can_be_begun_again(app: App, traces: Path) -> None:
    source = """
def make():
    return object()
async def amake():
    return object()
async def run() -> int:
    missed = 0
    try:
        step(make)
    except Exception:
        missed += 1
    try:
        await step(amake)
    except Exception:
        missed += 1
    step(effect, "after")
    die()
    return missed
"""
    assert (await survived(app, traces, source))["result"] == 2 and effects(traces) == ["after"]


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
    await publish(app, traces, source)
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
    await publish(app, traces, source)
    answer = await run(app, "flow")
    assert answer["status"] == "failed" and answer["error"]["code"] == "non_determinism", answer
    assert effects(traces) == ["one", "three"]


# State


async def test_state_of_a_run_that_is_begun_again_counts_once(app: App, traces: Path) -> None:
    # promise: state
    source = """
def run() -> list:
    session_state["n"] = session_state.get("n", 0) + 1
    step(effect, f"n {session_state['n']}")
    commit_state()
    session_state["n"] += 10
    step(effect, f"then {session_state['n']}")
    die()
    return [session_state["n"], step(effect, "end")]
"""
    answer = await survived(app, traces, source)
    assert answer["result"] == [11, "end"] and effects(traces) == ["n 1", "then 11", "end"]
    again = await run(app, "flow", answer["session_id"])
    assert again["result"][0] == 22, "what was committed is stored, and so is what came after it"


async def test_state_committed_before_a_failure_stays(app: App, traces: Path) -> None:
    source = """
def run(fail: bool) -> int:
    session_state["n"] = session_state.get("n", 0) + 1
    commit_state()
    session_state["n"] += 100
    die()
    if fail:
        raise ValueError("no")
    return session_state["n"]
"""
    await publish(app, traces, source)
    failed = await run(app, "flow", fail=True)
    assert failed["status"] == "failed" and failed["error"]["type"] == "ValueError"
    assert (await run(app, "flow", failed["session_id"], fail=False))["result"] == 102


# Deaths, and other ends


async def test_a_worker_that_dies_each_time_is_given_up_after_three(app: App, traces: Path) -> None:
    # promise: worker-thrice
    source = """
def run() -> None:
    step(effect, "once")
    with open(os.path.join(FOLDER, "begun"), "a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    await publish(app, traces, source)
    answer = await run(app, "flow")
    assert answer["status"] == "failed" and answer["error"]["code"] == "worker_lost", answer
    assert answer["error"]["type"] == "WorkerLost"
    assert effects(traces) == ["once"]
    assert (traces / "begun").read_text() == "xxx" + "x", (
        "the first time it had got somewhere; then three times it had not"
    )


async def test_a_worker_that_dies_often_but_gets_on_is_not_given_up(app: App, traces: Path) -> None:
    source = """
def run() -> list:
    got = []
    for n in range(6):
        got.append(step(effect, str(n)))
        die(f"died{n}")
    return got
"""
    await publish(app, traces, source)
    answer = await run(app, "flow")
    assert answer["status"] == "completed" and answer["result"] == effects(traces) == [str(n) for n in range(6)]


FINAL = {
    "exit": ("os._exit(3)", "worker_exit", "failed"),
    "exception": ("raise ValueError('no')", "exception", "failed"),
    "sys.exit": ("raise SystemExit(4)", None, "failed"),
    "timeout": ("time.sleep(60)", "timeout", "failed"),
    "timeout in a step": ("step(effect, 'never', 60)", "timeout", "failed"),
}


@pytest.mark.parametrize("kind", FINAL)
async def test_an_end_by_the_body_or_by_a_limit_is_final(app: App, traces: Path, kind: str) -> None:
    # promise: final
    what, code, status = FINAL[kind]
    source = f'__workflow__ = {{"timeout_s": 1}}\n\ndef run() -> None:\n    step(effect, "once")\n    effect("begun")\n    {what}\n'
    await publish(app, traces, source)
    answer = await run(app, "flow")
    assert answer["status"] == status and (code is None or answer["error"]["code"] == code), answer
    assert effects(traces) == ["once", "begun"], "not begun again"


async def test_a_cancel_is_final(app: App, traces: Path) -> None:
    await publish(app, traces, 'def run() -> None:\n    step(effect, "once")\n    step(effect, "never", 60)\n')
    live = await app.service.run(ME, "flow", {})
    await eventually(lambda: effects(traces))
    assert (await app.service.cancel(ME, live.run.id))["status"] == "cancelled"
    assert effects(traces) == ["once"]
