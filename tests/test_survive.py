"""kill -9 at every named point: before and after an effect, a commit, an end, a parking, of the worker, the server, both, the front.

Real processes. `faulty_house.py` is the daemon that kills itself at one fact of its store. After each death it is noted what the
journal had committed; in the end none of that was done twice, no event is missing or told twice, and every run gave what it should.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon_kit import HERE, PATIENCE_S, Peer, until
from faults_kit import COMMAND, Host, owner_of, query, repertoire
from repertoire import home as homes
from repertoire.daemon.owner import read_info
from survive_bodies import ANSWERS, LOGS, RESULTS, SOURCES, TOP, TRACES, source
from survive_kit import effects, whole

SETTINGS = "workers = 16\nready_workflows = false\n"


@functools.cache
def _prepared() -> Path:
    """A home with all the workflows, made by a real client once."""
    home = Path(tempfile.mkdtemp(), "home")
    atexit.register(shutil.rmtree, home.parent)
    home.mkdir(mode=0o700)
    (home / "repertoire.toml").write_text(SETTINGS)
    it = Host(home)
    try:
        it.begin()
        for name in SOURCES:
            create(it, name, source(name))
    finally:
        it.close()
        assert repertoire(home, "stop", "--force").returncode == 0
    return home


def create(it: Host, name: str, text: str) -> None:
    number = it.ask("tools/call", name="create_workflow", arguments={"name": name, "source": text})
    while (answer := it.receive()).get("id") != number:
        assert answer["method"].endswith("/list_changed"), answer
    assert answer["result"]["structuredContent"].get("name") == name, answer


class House:
    """A home, its traces, and the owners it has had."""

    def __init__(self, folder: Path) -> None:
        self.home, self.folder = folder / "home", folder / "traces"
        shutil.copytree(_prepared(), self.home)
        self.folder.mkdir()
        self.deaths = 0
        self.committed: dict[str, int] = {}
        self.owners: list[subprocess.Popen[bytes]] = []
        self.hosts: list[Host] = []

    def start(self, kill: str | None = None) -> subprocess.Popen[bytes]:
        """The daemon; `kill` is where it will."""
        command = [sys.executable, "-P", os.path.join(HERE, "faulty_house.py"), "--home", str(self.home)]
        log = open(self.folder / "log", "ab")
        owner = subprocess.Popen([*command, *(["--kill", kill] if kill else [])], stderr=log)
        log.close()
        self.owners.append(owner)
        until(lambda: homes.is_owned(str(self.home)) or owner.poll() is not None)
        return owner

    def host(self) -> Host:
        self.hosts.append(Host(self.home).begin())
        return self.hosts[-1]

    def begin(self, it: Host, *names: str) -> None:
        """Call these workflows, and wait for none of them but to be stored."""
        for name in names:
            it.ask("tools/call", name=name, arguments={"folder": str(self.folder)})
        until(lambda: len(self.runs()) == len(names))

    def arm(self) -> None:
        (self.home / "armed").touch()

    def runs(self) -> list[tuple[str, str, str]]:
        """Those that no run began: id, workflow, status."""
        return query(self.home, "SELECT id, workflow, status FROM run WHERE parent IS NULL ORDER BY created_at")

    @property
    def over(self) -> bool:
        found = query(self.home, "SELECT count(*) FROM run WHERE status IN ('working', 'input_required')")
        return found == [(0,)]

    def attend(self, owner: subprocess.Popen[bytes] | None = None) -> None:
        """Answer what is asked, until all runs are over or the owner is dead."""
        give_up = time.monotonic() + 2 * PATIENCE_S
        while not self.over:
            assert time.monotonic() < give_up, (self.runs(), (self.folder / "log").read_text()[-3000:])
            if owner is not None and owner.poll() is not None:
                return
            self.answer()
            time.sleep(0.02)

    def answer(self) -> None:
        statement = "SELECT run.id, wait.question FROM wait JOIN run ON run.id = run_id "
        for run_id, question in query(self.home, statement + "WHERE kind = 'ask' AND answered_at IS NULL AND status != 'failed'"):
            try:
                peer = Peer(str(self.home), {"mode": "control", "version": "0.1.0"})
            except OSError:
                return  # the owner is dead, or not yet there
            try:
                peer.send({"id": 1, "verb": "answer", "args": {"run_id": run_id, "answer": ANSWERS[question]}})
                peer.receive()
            except OSError:
                pass
            finally:
                peer.close()

    def died(self, owner: subprocess.Popen[bytes]) -> None:
        """It has killed itself where it was to; note what was committed until then."""
        assert owner.wait(PATIENCE_S) == -signal.SIGKILL, (self.folder / "log").read_text()[-3000:]
        self.note()

    def note(self) -> None:
        self.deaths += 1
        done = Counter(effects(self.folder))
        for (text,) in query(self.home, "SELECT result FROM call WHERE op = 'step' AND error IS NULL AND NOT cancelled"):
            name = json.loads(text)["result"]
            known = self.committed.setdefault(name, done[name])
            assert done[name] == known, f"{name} was committed, and done again"

    def check(self, *names: str) -> None:
        """Whatever has happened, in the end all is as if nothing had."""
        done = Counter(effects(self.folder))
        assert {name: done[name] for name in self.committed} == self.committed, "no committed call twice"
        assert max(done.values(), default=0) <= self.deaths + 1, f"more often than it died: {done.most_common(3)}"
        runs = self.runs()
        assert {(workflow, status) for _, workflow, status in runs} == {(name, "completed") for name in names}, runs
        expected: set[str] = set()
        for run_id, name, _ in runs:
            ((result,),) = query(self.home, "SELECT result FROM run WHERE id = ?", run_id)
            if name == "chains":
                order = json.loads(result)
                assert sorted(order[:4]) == [0, 1, 2, 3] and sorted(order[4:]) == [4, 5, 6, 7]
                expected |= {f"chains {n}.{k}" for n in range(8) for k in range(3)}
                expected |= {f"chains {'as' if n <= 4 else 'first'} {n} {one}" for n, one in enumerate(order, 1)}
                expected.add("chains " + " ".join(map(str, order)))
            else:
                assert json.loads(result) == RESULTS[name], name
                expected |= set(RESULTS[name])
        assert set(done) == expected
        self._check_events()
        self._check_store(names)

    def _check_events(self) -> None:
        for run_id, name in query(self.home, "SELECT id, workflow FROM run"):
            rows = query(self.home, "SELECT n, type, data FROM event WHERE run_id = ? ORDER BY n", run_id)
            whole([{"n": n, "type": kind, "data": json.loads(data)} for n, kind, data in rows])
            messages = [json.loads(data)["message"] for _, kind, data in rows if kind == "log"]
            assert messages == LOGS.get(name, []), f"{name} has told {messages}"
            if name in ("items", "aitems"):
                assert [json.loads(data)["value"] for _, kind, data in rows if kind == "item"] == RESULTS[name]
            ((last,),) = query(self.home, "SELECT last_event FROM run WHERE id = ?", run_id)
            assert last == len(rows)

    def _check_store(self, names: tuple[str, ...]) -> None:
        states = {name: json.loads(value) for name, value in query(self.home, "SELECT workflow, value FROM state")}
        if "state" in names:
            assert states["state"] == {"seen": RESULTS["state"]}
        if "asks" in names:
            assert states["asks"] == {"answer": "this"}
        assert query(self.home, "SELECT * FROM place") == [], "nobody holds a state"
        assert query(self.home, "SELECT * FROM wait WHERE answered_at IS NULL AND kind = 'ask'") == []
        assert query(self.home, "SELECT parent_path FROM run WHERE parent IS NOT NULL GROUP BY parent, parent_path HAVING count(*) > 1") == []

    def close(self) -> None:
        for host in self.hosts:
            host.close()
        for owner in self.owners:
            owner.kill()
            owner.wait()
        if homes.is_owned(str(self.home)):
            os.kill(until(lambda: read_info(str(self.home)))["pid"], signal.SIGKILL)
            until(lambda: not homes.is_owned(str(self.home)))


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


# The worker

EFFECTS = {
    "before": ["seq 2", "eight 1.3", "chains 5.1", "items 3", "aitems 0", "athreads 2a", "parent end", "state 4", "asks this"],
    "after": ["seq 5", "eight 0.0", "chains 1.2", "items 0", "aitems 4", "threads 3b", "group 2a", "parent first deep 1", "state 2"],
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


def test_a_long_sleep_holds_no_worker_and_goes_on_where_it_was(house: House) -> None:
    """Killed while it is parked: it is over at the time that was said at first."""
    text = '''
def run(folder: str) -> float:
    here(folder)
    step(effect, "before")
    begun = time.time()
    sleep(6)
    step(effect, "after")
    return time.time() - begun
'''
    it = house.host()
    create(it, "sleeps", f'"""Sleep."""\n{TRACES}\n{text}')
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
