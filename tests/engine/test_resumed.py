"""Resumed: a run whose body was begun again says so, in its events and in its envelope. Real deaths of a worker and of a daemon."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from repertoire import home as homes
from support.daemons import until
from support.faults import owner_of
from support.services import create_approved
from support.survivals import body, effects, opened, run
from support.survive_bodies import TRACES
from support.survive_house import House, create


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


@pytest.mark.anyio
async def test_g4_a_run_whose_worker_died_says_how_often_its_body_was_begun_again(tmp_path: Path) -> None:
    """promise: resumed"""
    source = "def run() -> str:\n    effect('outside')\n    step(effect, 'inside')\n    die('one')\n    die('two')\n    return 'done'\n"
    async with opened(tmp_path / "home") as app:
        await create_approved(app, "flow", body(tmp_path, source))
        answer = await run(app, "flow")
        plain = "def run() -> str:\n    return 'done'\n"
        await create_approved(app, "plain", body(tmp_path, plain))
        undisturbed = await run(app, "plain")
    assert effects(tmp_path).count("outside") == 3 and effects(tmp_path).count("inside") == 1
    assert (answer["status"], answer["result"], answer["resumed"]) == ("completed", "done", 2)
    found = [event["data"] for event in answer["events"] if event["type"] == "resumed"]
    assert [one["times"] for one in found] == [1, 2] and all("worker had died" in one["why"] for one in found)
    assert "resumed" not in undisturbed and "resumed" not in [event["type"] for event in undisturbed["events"]]


def test_g4_a_run_whose_server_was_killed_says_so_in_its_events_too(house: House) -> None:
    """promise: resumed"""
    text = """
def run(folder: str) -> str:
    here(folder)
    effect("outside")
    sleep(0)
    while not os.path.exists(os.path.join(folder, "go")):
        time.sleep(0.02)
    return "done"
"""
    it = house.host()
    create(house, it, "waits", f'"""Wait."""\n{TRACES}\n{text}')
    house.begin(it, "waits")
    until(lambda: effects(house.folder) == ["outside"])
    os.kill(owner_of(house.home), signal.SIGKILL)
    until(lambda: not homes.is_owned(str(house.home)))
    again = house.host()
    until(lambda: effects(house.folder) == ["outside", "outside"])
    ((run_id, _, _),) = house.runs()
    going_on = again.call("get_run", run_id=run_id)
    assert (going_on["status"], going_on["resumed"]) == ("working", 1)
    (house.folder / "go").touch()
    until(lambda: house.over)
    answer = again.call("get_run", run_id=run_id)
    assert (answer["result"], answer["resumed"]) == ("done", 1)
    (event,) = [event for event in answer["events"] if event["type"] == "resumed"]
    assert "server had ended" in event["data"]["why"]
    assert [event["n"] for event in answer["events"]] == list(range(1, len(answer["events"]) + 1))
