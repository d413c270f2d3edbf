"""Clocks that are set while runs wait: what is due is due by either clock, and no wait is as long as the jump."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App, open_app
from repertoire.engine.wall_clock import LOOK_S, Alarms, Clock
from repertoire.settings import load
from support import replays
from support.replays import ME, publish
from support.survivals import effects, eventually

pytestmark = pytest.mark.anyio

home, traces = replays.home, replays.traces

HOUR = 3600.0


class Hands(Clock):
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.ahead = 0.0
        super().__init__(wall=lambda: time.time() + self.ahead)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
async def app(home: Path, clock: Hands) -> AsyncIterator[App]:
    async with open_app(
        load(home=str(home), environ={"REPERTOIRE_AUTHORING": "sandboxed"}), watch=False, clock=clock
    ) as app:
        yield app


SLEEPS = """
def run(seconds: float) -> str:
    step(effect, "begun")
    sleep(seconds)
    return step(effect, "slept")
"""
ASKS = """
def run(seconds: float) -> str:
    try:
        return ask("Well?", expires_s=seconds)
    except Exception as error:
        return step(effect, type(error).__name__)
"""


async def parked(app: App, run_id: str) -> None:
    await eventually(lambda: not app.live_runs())
    assert (await app.service.runs.get(ME, run_id))["status"] in ("working", "input_required")


async def result(app: App, run_id: str) -> Any:
    with anyio.fail_after(20):
        while (answer := await app.service.runs.get(ME, run_id, wait_s=1))["status"] != "completed":
            pass
    return answer["result"]


async def test_r9_a_parked_sleep_ends_in_time_though_the_clock_is_set_back(
    app: App, clock: Hands, traces: Path
) -> None:
    await publish(app, traces, flow=SLEEPS)
    live = await app.service.runs.start(ME, "flow", {"seconds": 7})
    await parked(app, live.run.id)
    clock.ahead = -HOUR
    assert await result(app, live.run.id) == "slept"
    assert effects(traces) == ["begun", "slept"]


async def test_r9_a_parked_sleep_is_over_when_the_clock_jumps_forward(app: App, clock: Hands, traces: Path) -> None:
    """As after a laptop has slept: no timer hears of it."""
    await publish(app, traces, flow=SLEEPS)
    live = await app.service.runs.start(ME, "flow", {"seconds": HOUR})
    await parked(app, live.run.id)
    clock.ahead = HOUR
    assert await result(app, live.run.id) == "slept"


async def test_r9_a_sleep_begun_while_the_clock_was_wrong_is_over_by_either_clock(
    app: App, clock: Hands, traces: Path
) -> None:
    await publish(app, traces, flow=SLEEPS)
    clock.ahead = -HOUR
    live = await app.service.runs.start(ME, "flow", {"seconds": HOUR / 2})
    await parked(app, live.run.id)
    clock.ahead = 0.0  # right again: by this clock it is long over
    assert await result(app, live.run.id) == "slept"


async def test_r9_a_question_expires_in_time_though_the_clock_is_set_back(app: App, clock: Hands, traces: Path) -> None:
    await publish(app, traces, flow=ASKS)
    live = await app.service.runs.start(ME, "flow", {"seconds": 1.5})
    await parked(app, live.run.id)
    clock.ahead = -HOUR
    assert await result(app, live.run.id) == "CallError"


async def test_r9_a_short_sleep_that_keeps_its_worker_hears_of_a_jump(app: App, clock: Hands, traces: Path) -> None:
    await publish(app, traces, flow=SLEEPS)
    live = await app.service.runs.start(ME, "flow", {"seconds": 4.5})
    await eventually(lambda: effects(traces))
    clock.ahead = HOUR
    assert await result(app, live.run.id) == "slept"


async def test_r9_a_restart_while_the_clock_is_back_waits_for_the_right_time_again(
    home: Path, clock: Hands, traces: Path
) -> None:
    settings = load(home=str(home), environ={"REPERTOIRE_AUTHORING": "sandboxed"})
    async with open_app(settings, watch=False) as app:
        await publish(app, traces, flow=SLEEPS)
        run_id = (await app.service.runs.start(ME, "flow", {"seconds": 6})).run.id
        await parked(app, run_id)
    clock.ahead = -HOUR
    async with open_app(settings, watch=False, clock=clock) as app:
        assert (await app.service.runs.get(ME, run_id))["status"] == "working"
        clock.ahead = HOUR
        assert await result(app, run_id) == "slept"


def test_what_is_due_is_due_by_the_earlier_of_both_clocks() -> None:
    now = {"wall": 1000.0, "steady": 50.0}
    clock = Clock(lambda: now["wall"], lambda: now["steady"])
    assert clock.left(1007.0) == 7
    now["wall"] -= HOUR
    now["steady"] += 6
    assert clock.left(1007.0) == 1
    now["steady"] += 1
    assert clock.left(1007.0) <= 0
    clock.forget(1007.0)
    assert clock.left(1007.0) == 7 + HOUR, "who was forgotten is due by the wall clock"


def test_alarms_are_found_by_both_clocks_whatever_their_order() -> None:
    now = {"wall": 1000.0, "steady": 50.0}
    alarms = Alarms(Clock(lambda: now["wall"], lambda: now["steady"]))
    assert alarms.look_s() is None
    alarms.set("late", 1000.0 + HOUR, sleeps=True)
    assert alarms.look_s() == LOOK_S
    now["wall"] -= 2 * HOUR
    alarms.set("soon by the steady clock", now["wall"] + 10, sleeps=False)
    assert (len(alarms), alarms.sleeping, alarms.due()) == (2, 1, [])
    now["steady"] += 11
    assert alarms.due() == ["soon by the steady clock"]
    alarms.set("set anew", now["wall"] + 1, sleeps=True)
    alarms.set("set anew", now["wall"] + 100, sleeps=True)
    alarms.set("dropped", now["wall"] + 1, sleeps=True)
    alarms.drop("dropped")
    now["wall"] += 2
    assert alarms.due() == []
    now["steady"] += HOUR
    assert sorted(alarms.due()) == ["late", "set anew"] and not alarms
    for number in range(1000):
        alarms.set("again", now["wall"] + number, sleeps=True)
    assert len(alarms._by_wall) < 100, "what is set no more is cleared away"
