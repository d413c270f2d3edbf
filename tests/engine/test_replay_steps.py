"""Steps and states of a body that is begun again, and which ends are final.

In one process, with real workers: bodies kill their own worker once, so that what was recorded is replayed.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repertoire.app import App
from support import replays
from support.replays import JSON_OF, ME, publish, survived
from support.survivals import effects, eventually, run, said

pytestmark = pytest.mark.anyio

home, app, traces = replays.home, replays.app, replays.traces


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
    await publish(app, traces, child='def run(n: int) -> str:\n    return step(effect, f"child {n}")\n')
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
    await publish(app, traces, flow=source)
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
    await publish(app, traces, flow=source)
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
    await publish(app, traces, flow=source)
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
    await publish(app, traces, flow=source)
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
    await publish(app, traces, flow=source)
    answer = await run(app, "flow")
    assert answer["status"] == status and (code is None or answer["error"]["code"] == code), answer
    assert effects(traces) == ["once", "begun"], "not begun again"


async def test_a_cancel_is_final(app: App, traces: Path) -> None:
    await publish(app, traces, flow='def run() -> None:\n    step(effect, "once")\n    step(effect, "never", 60)\n')
    live = await app.service.runs.start(ME, "flow", {})
    await eventually(lambda: effects(traces))
    assert (await app.service.runs.cancel(ME, live.run.id))["status"] == "cancelled"
    assert effects(traces) == ["once"]
