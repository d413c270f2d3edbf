"""kill -9 at every named point: before and after an effect, a commit, an end, a parking, of the worker, the server, both, the front.

Real processes. `faulty_house.py` is the daemon that kills itself at one fact of its store. After each death it is noted what the
journal had committed; in the end none of that was done twice, no event is missing or told twice, and every run gave what it should.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from repertoire import home as homes
from repertoire.daemon.home_lock import read_info
from support.daemons import until
from support.faults import COMMAND, FileLimit, owner_of, query, repertoire
from support.survivals import effects
from support.survive_bodies import RESULTS, TOP, TRACES
from support.survive_house import House, create


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


# The server


CHAINS = {
    "a start": ["start_run:3:before", "start_run:2:after"],
    "a record": ["record_call:10:before", "record_call:10:after", "record_call:40:before"],
    "events": ["add_events:5:before", "record_call:30:after", "add_events:4:after"],
    "an end": ["finish_run:1:before", "finish_run:2:after", "finish_run:3:before"],
    "a question": ["ask:1:before", "ask:1:after", "park:1:before"],
    "an answer": ["park:1:after", "answer:1:before", "answer:1:after", "unpark:1:after"],
    "going on": ["record_call:20:after", "claim_unfinished:1:before", "claim_unfinished:1:after", "unpark:1:before"],
}


@pytest.mark.parametrize("chain", CHAINS)
def test_a_server_that_is_killed_and_killed_again(house: House, chain: str) -> None:
    first, *others = CHAINS[chain]
    owner = house.start(first)
    it = house.host()
    if chain == "a start":
        house.arm()
        for name in TOP:
            it.ask("tools/call", name=name, arguments={"folder": str(house.folder)})
        house.died(owner)
        names = {name for _, name, _ in house.runs()}
    else:
        house.begin(it, *TOP)
        names = set(TOP)
        house.arm()
        house.attend(owner)
        house.died(owner)
    for kill in others:
        if kill.startswith("start_run"):  # nobody begins any but a run that has children
            continue
        owner = house.start(kill)
        house.attend(owner)
        house.died(owner)
    house.start()
    house.attend()
    house.check(*names)


def test_a_server_that_is_killed_while_children_begin(house: House) -> None:
    owner = house.start("start_run:2:after")
    house.begin(house.host(), "parent")
    house.arm()
    house.died(owner)
    for kill in ("start_run:2:before", "start_run:2:after"):
        owner = house.start(kill)
        house.died(owner)
    house.start()
    house.attend()
    house.check("parent")


def test_a_server_that_is_killed_while_a_parent_waits_for_what_its_child_asks(house: House) -> None:
    owner = house.start("park:2:after")  # the child's was the first
    house.begin(house.host(), "boss")
    house.arm()
    house.died(owner)
    for kill in ("answer:1:after", "finish_run:1:before", "finish_run:1:after"):
        owner = house.start(kill)
        house.attend(owner)
        house.died(owner)
    house.start()
    house.attend()
    house.check("boss")


def test_r12_a_call_whose_run_was_not_stored_is_told_so_and_begins_it_when_it_is_made_again(house: House) -> None:
    owner = house.start("start_run:1:before")
    it = house.host()
    house.arm()
    arguments = {"folder": str(house.folder)}
    call = {"name": "run_workflow", "arguments": {"name": "seq", "arguments": arguments, "idempotency_key": "once"}}
    number = it.ask("tools/call", **call)
    while (answer := it.receive()).get("id") != number:
        pass
    house.died(owner)
    assert answer["error"]["code"] == -31000 and "may not have begun" in answer["error"]["message"], answer
    assert "data" not in answer["error"] and house.runs() == []
    for _ in range(2):
        number = it.ask("tools/call", **call)
        while (answer := it.receive()).get("id") != number:
            pass
        assert answer["result"]["structuredContent"]["status"] == "completed", answer
    house.check("seq")


# The worker

EFFECTS = {
    "before": [
        "seq 2",
        "eight 1.3",
        "chains 5.1",
        "items 3",
        "aitems 0",
        "athreads 2a",
        "parent end",
        "state 4",
        "asks this",
    ],
    "after": [
        "seq 5",
        "eight 0.0",
        "chains 1.2",
        "items 0",
        "aitems 4",
        "threads 3b",
        "group 2a",
        "parent first deep 1",
        "state 2",
    ],
}


@pytest.mark.parametrize("when", EFFECTS)
def test_workers_that_are_killed_before_or_after_an_effect(house: House, when: str) -> None:
    for name in EFFECTS[when]:
        (house.folder / f"{when}-{name}").touch()
    house.start()
    house.begin(house.host(), *TOP)
    house.attend()
    house.deaths = 1  # for each of them
    done = Counter(effects(house.folder))
    assert {name: done[name] for name in EFFECTS[when]} == dict.fromkeys(EFFECTS[when], 1 if when == "before" else 2)
    assert not list(house.folder.glob(f"{when}-*")), "all of them were killed"
    house.check(*TOP)


# Both, the front, and an owner that goes by itself


def test_workers_and_their_server_killed_together(house: House) -> None:
    owner = house.start("record_call:25:before")
    for name in EFFECTS["after"]:
        (house.folder / f"after-{name}").touch()
    house.begin(house.host(), *TOP)
    house.arm()
    house.died(owner)
    for name in EFFECTS["before"]:
        if name not in effects(house.folder):
            (house.folder / f"before-{name}").touch()
    house.start()
    house.attend()
    house.deaths += 1
    house.check(*TOP)


def test_a_front_that_is_killed_leaves_its_runs_going(house: House) -> None:
    it = house.host()
    house.begin(it, *TOP)
    owner = owner_of(house.home)
    it.process.kill()
    house.attend()
    assert owner_of(house.home) == owner
    house.check(*TOP)


def test_a_front_and_its_daemon_killed_and_the_next_front_goes_on(house: House) -> None:
    it = house.host()
    house.begin(it, *TOP)
    until(lambda: len(effects(house.folder)) > 10)
    it.process.kill()
    os.kill(owner_of(house.home), signal.SIGKILL)
    until(lambda: not homes.is_owned(str(house.home)))
    house.note()
    again = house.host()
    house.attend()
    for run_id, name, _ in house.runs():
        answer = again.call("get_run", run_id=run_id)
        assert answer["status"] == "completed" and (name == "chains" or answer["result"] == RESULTS[name])
    house.check(*TOP)


def test_a_daemon_that_is_stopped_under_load_leaves_its_runs_to_the_next(house: House) -> None:
    house.begin(house.host(), *TOP)
    until(lambda: len(effects(house.folder)) > 10)
    assert repertoire(house.home, "stop", "--force").returncode == 0
    house.note()
    assert not house.over, "it did not wait for them"
    house.host()
    house.attend()
    house.check(*TOP)


def test_an_http_server_that_takes_the_home_over_goes_on_with_its_runs(house: House) -> None:
    house.begin(house.host(), *TOP)
    until(lambda: len(effects(house.folder)) > 10)
    before = owner_of(house.home)
    command = [*COMMAND, "serve", "--http", "127.0.0.1:0", "--takeover", "--home", str(house.home)]
    house.owners.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    until(lambda: (read_info(str(house.home)) or {}).get("pid") == house.owners[-1].pid)
    assert before != house.owners[-1].pid
    house.deaths += 1
    house.attend()
    house.check(*TOP)


# Case R5
def test_a_disk_that_is_full_at_a_record_holds_the_run_back_and_loses_nothing(house: House) -> None:
    it = house.host()
    until(lambda: homes.is_owned(str(house.home)))
    until((house.home / "daemon.json").exists)
    disk = FileLimit(house.home)
    number = it.ask("tools/call", name="state", arguments={"folder": str(house.folder)})
    until(lambda: len(effects(house.folder)) >= 4)
    disk.fill()
    while (answer := it.receive()).get("id") != number:
        pass
    held_back = answer["result"]["structuredContent"]
    assert held_back["status"] == "working" and "cannot be used" in held_back["message"], held_back
    house.note()
    disk.free()
    ended = it.call("get_run", run_id=held_back["run_id"], wait_s=20)
    assert (ended["status"], ended["result"]) == ("completed", RESULTS["state"]), ended
    house.check("state")


def test_a_long_sleep_holds_no_worker_and_goes_on_where_it_was(house: House) -> None:
    """Killed while it is parked: it is over at the time that was said at first."""
    text = """
def run(folder: str) -> float:
    here(folder)
    step(effect, "before")
    begun = time.time()
    sleep(6)
    step(effect, "after")
    return time.time() - begun
"""
    it = house.host()
    create(house, it, "sleeps", f'"""Sleep."""\n{TRACES}\n{text}')
    house.begin(it, "sleeps")
    until(lambda: query(house.home, "SELECT parked FROM run WHERE parked IS NOT NULL"))
    os.kill(owner_of(house.home), signal.SIGKILL)
    until(lambda: not homes.is_owned(str(house.home)))
    house.note()
    house.start()
    assert effects(house.folder) == ["before"]
    house.attend()
    ((status, result),) = query(house.home, "SELECT status, result FROM run")
    assert status == "completed" and float(result) >= 5.99 and effects(house.folder) == ["before", "after"]


# What is counted over deaths


def test_the_time_a_run_has_held_a_worker_is_carried_over_the_death_of_its_server(house: House) -> None:
    """promise: wall-time"""
    text = """
def run(folder: str) -> list:
    here(folder)
    return [step(effect, f"slow {n}", 1.2) for n in range(3)]
"""
    owner = house.start()
    it = house.host()
    create(house, it, "slow", f'"""Take long."""\n\n__workflow__ = {{"timeout_s": 3}}\n{TRACES}\n{text}')
    house.begin(it, "slow")
    until(lambda: query(house.home, "SELECT 1 FROM call WHERE op = 'step' AND result LIKE '%slow 1%'"))
    owner.kill()
    house.died(owner)
    ((held,),) = query(house.home, "SELECT max(held_s) FROM call")
    assert held > 2.3
    house.start()
    house.attend()
    ((status, error),) = query(house.home, "SELECT status, error FROM run")
    assert status == "failed" and b"timeout" in error and effects(house.folder) == ["slow 0", "slow 1"]


KILLS_THE_SERVER = """
import json

def run(home: str, folder: str) -> str:
    here(folder)
    step(effect, "before")
    effect("begun")
    while True:
        with open(os.path.join(home, "daemon.json")) as file:
            os.kill(json.load(file)["pid"], signal.SIGKILL)
        time.sleep(0.05)
"""


def test_a_run_that_kills_its_server_each_time_is_given_up_and_no_other(house: House) -> None:
    """promise: server-deaths"""
    with open(house.home / "repertoire.toml", "a") as file:
        file.write("max_server_deaths = 2\n")
    caller = """
from repertoire.authoring.durable import CallError

def run(home: str, folder: str) -> str:
    here(folder)
    try:
        return workflows.kills(home=home, folder=folder)
    except CallError as error:
        return step(effect, error.code)
"""
    waits = 'def run(folder: str) -> str:\n    here(folder)\n    return ask("Which?")\n'
    house.start()
    it = house.host()
    create(house, it, "kills", f'"""Kill the server."""\n{TRACES}\n{KILLS_THE_SERVER}')
    create(house, it, "calls", f'"""Call it."""\n{TRACES}\n{caller}')
    create(house, it, "waits", f'"""Wait."""\n{TRACES}\n{waits}')
    house.begin(it, "waits")
    until(lambda: query(house.home, "SELECT 1 FROM run WHERE parked IS NOT NULL"))
    it.ask("tools/call", name="calls", arguments={"home": str(house.home), "folder": str(house.folder)})
    for _ in range(3):
        house.owners[-1].wait(20)
        house.start()
    house.attend()
    assert dict(query(house.home, "SELECT workflow, status FROM run")) == {
        "kills": "failed", "calls": "completed", "waits": "completed",
    }  # fmt: skip
    ((error,),) = query(house.home, "SELECT error FROM run WHERE workflow = 'kills'")
    assert b"WorkerLost" in error and b"died 3 times" in error, error
    assert effects(house.folder) == ["before", "begun", "begun", "begun", "worker_lost"]
    assert query(house.home, "SELECT server_deaths FROM run WHERE workflow = 'waits'") == [(0,)]


def test_a_server_that_goes_by_itself_counts_against_nobody(house: House) -> None:
    house.start()
    it = house.host()
    house.begin(it, "seq")
    until(lambda: effects(house.folder))
    assert repertoire(house.home, "stop", "--force").returncode == 0
    house.note()
    house.start()
    assert query(house.home, "SELECT server_deaths FROM run") == [(0,)]
    house.attend()
    house.check("seq")
