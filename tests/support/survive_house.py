"""Survive house: a home whose real daemon kills itself at a fact of its store, with real clients, and the final invariants."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path

from repertoire import home as homes
from repertoire.daemon.home_lock import read_info
from support import commands
from support.commands import Started
from support.daemons import HERE, PATIENCE_S, Peer, until
from support.faults import Host, query, repertoire
from support.survivals import effects, whole
from support.survive_bodies import ANSWERS, LOGS, RESULTS, SOURCES, source

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
            _create(it, name, source(name))
    finally:
        it.close()
        assert repertoire(home, "stop", "--force").returncode == 0
    with sqlite3.connect(homes.database_path(str(home))) as db:  # as `approve` does, without a process for each
        db.execute("INSERT INTO approval SELECT hash, name, 'local', '', 'command line', created_at FROM version")
    db.close()
    return home


def create(house: House, it: Host, name: str, text: str) -> None:
    """A workflow that leaves traces on this machine's disk: it needs approval."""
    _create(it, name, text)
    done = repertoire(house.home, "approve", name, "--yes")
    assert done.returncode == 0, done.stderr


def _create(it: Host, name: str, text: str) -> None:
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
        self.owners: list[Started] = []
        self.hosts: list[Host] = []

    def start(self, kill: str | None = None) -> Started:
        """Start the daemon; `kill` is the fact at which it kills itself."""
        words = ["--home", str(self.home), *(["--kill", kill] if kill else [])]
        with open(self.folder / "log", "ab") as log, open(os.devnull, "r+b") as nothing:
            owner = commands.start(
                *words, stdin=nothing.fileno(), stdout=nothing.fileno(), stderr=log.fileno(), env=os.environ,
                program=os.path.join(HERE, "faulty_house.py"),
            )  # fmt: skip
        self.owners.append(owner)
        until(lambda: homes.is_owned(str(self.home)) or owner.poll() is not None)
        return owner

    def host(self) -> Host:
        self.hosts.append(Host(self.home).begin())
        return self.hosts[-1]

    def begin(self, it: Host, *names: str, **arguments: str) -> None:
        """Call these workflows, and wait only until they are stored."""
        there = len(self.runs())
        for name in names:
            it.ask("tools/call", name=name, arguments={"folder": str(self.folder), **arguments})
        until(lambda: len(self.runs()) == there + len(names))

    def arm(self) -> None:
        (self.home / "armed").touch()

    def runs(self) -> list[tuple[str, str, str]]:
        """Runs that no other run started: id, workflow, status."""
        return query(self.home, "SELECT id, workflow, status FROM run WHERE parent IS NULL ORDER BY created_at")

    @property
    def over(self) -> bool:
        found = query(self.home, "SELECT count(*) FROM run WHERE status IN ('working', 'input_required')")
        return found == [(0,)]

    def attend(self, owner: Started | None = None) -> None:
        """Answer all questions, until all runs have ended or the owner is dead."""
        give_up = time.monotonic() + 2 * PATIENCE_S
        while not self.over:
            assert time.monotonic() < give_up, (self.runs(), (self.folder / "log").read_text()[-3000:])
            if owner is not None and owner.poll() is not None:
                return
            self.answer()
            time.sleep(0.02)

    def answer(self) -> None:
        statement = "SELECT run.id, wait.question FROM wait JOIN run ON run.id = run_id "
        for run_id, question in query(
            self.home, statement + "WHERE kind = 'ask' AND answered_at IS NULL AND status != 'failed'"
        ):
            try:
                peer = Peer(str(self.home), {"mode": "control", "version": "0.1.0"})
            except OSError:
                return  # the owner is dead, or not yet there
            try:
                peer.send({})  # of its environment there is nothing to tell
                peer.send({"id": 1, "verb": "answer", "args": {"run_id": run_id, "answer": ANSWERS[question]}})
                peer.receive()
            except OSError:
                pass
            finally:
                peer.close()

    def died(self, owner: Started) -> None:
        """Check that the daemon killed itself at that fact; note the effects committed until then."""
        assert owner.wait(PATIENCE_S) == -signal.SIGKILL, (self.folder / "log").read_text()[-3000:]
        self.note()

    def note(self) -> None:
        self.deaths += 1
        rows = query(self.home, "SELECT result FROM call WHERE op = 'step' AND error IS NULL AND NOT cancelled")
        done = Counter(effects(self.folder))  # read after the rows: what they name has been done
        for (text,) in rows:
            name = json.loads(text)["result"]
            known = self.committed.setdefault(name, done[name])
            assert done[name] == known, f"{name} was committed, and done again"

    def check(self, *names: str) -> None:
        """Check the end: results, effects and records are as without any kill."""
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
        # What was decided by a timer alone is decided anew where nothing was recorded since: such a call may come as another one.
        undecided = {name for name in done if name.startswith(("chains as ", "chains first "))}
        assert expected <= set(done) <= expected | undecided, (
            f"missing {expected - set(done)}, too many {set(done) - expected}"
        )
        self.check_events()
        self.check_store(*names)

    def check_events(self) -> None:
        for run_id, name in query(self.home, "SELECT id, workflow FROM run"):
            rows = query(self.home, "SELECT n, type, data FROM event WHERE run_id = ? ORDER BY n", run_id)
            whole([{"n": n, "type": kind, "data": json.loads(data)} for n, kind, data in rows])
            messages = [json.loads(data)["message"] for _, kind, data in rows if kind == "log"]
            if name == "chance":  # in an order that is left to chance
                assert sorted(messages) == [f"{n}.{k}" for n in range(4) for k in range(4)]
                continue
            assert messages == LOGS.get(name, []), f"{name} has told {messages}"
            if name in ("items", "aitems"):
                assert [json.loads(data)["value"] for _, kind, data in rows if kind == "item"] == RESULTS[name]
            ((last,),) = query(self.home, "SELECT last_event FROM run WHERE id = ?", run_id)
            assert last == len(rows)

    def check_store(self, *names: str) -> None:
        states = {name: json.loads(value) for name, value in query(self.home, "SELECT workflow, value FROM state")}
        if "state" in names:
            assert states["state"] == {"seen": RESULTS["state"]}
        if "asks" in names:
            assert states["asks"] == {"answer": "this"}
        assert query(self.home, "SELECT * FROM place") == [], "nobody holds a state"
        assert query(self.home, "SELECT * FROM wait WHERE answered_at IS NULL AND kind = 'ask'") == []
        assert (
            query(
                self.home,
                "SELECT parent_path FROM run WHERE parent IS NOT NULL GROUP BY parent, parent_path HAVING count(*) > 1",
            )
            == []
        )

    def close(self) -> None:
        for host in self.hosts:
            host.close()
        for owner in self.owners:
            owner.kill()
            owner.wait()
        if homes.is_owned(str(self.home)):
            os.kill(until(lambda: read_info(str(self.home)))["pid"], signal.SIGKILL)
            until(lambda: not homes.is_owned(str(self.home)))
