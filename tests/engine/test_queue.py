"""Whose turn it is when runs wait for a worker: the queue by itself, and two real hosts of one daemon."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repertoire.engine.fair_queue import Queue
from support.daemons import Spoken, until

FLOOD = 40


def taken(queue: Queue, order: list[str], count: int | None = None) -> list[str]:
    """Take so many, or all that wait; their names in that order."""
    del order[:]
    for _ in range(len(queue) if count is None else count):
        queue.take()()
    return list(order)


def put(queue: Queue, order: list[str], caller: str, *names: str) -> None:
    for name in names:
        queue.put(caller, name, lambda name=name: order.append(name))  # type: ignore[misc]  # mypy does not infer the default


# Case R17
def test_callers_take_turns_and_keep_their_own_order() -> None:
    queue, order = Queue(), list[str]()
    put(queue, order, "a", "a1", "a2", "a3")
    put(queue, order, "b", "b1")
    put(queue, order, "c", "c1", "c2")
    assert taken(queue, order) == ["a1", "b1", "c1", "a2", "c2", "a3"]


# Case R17
def test_who_asks_now_and_then_comes_before_500_who_ask_all_the_time() -> None:
    queue, order = Queue(), list[str]()
    for number in range(500):
        put(queue, order, f"client {number}", f"{number}.0")
    assert taken(queue, order, 250) == [f"{number}.0" for number in range(250)]
    for number in range(250):  # each who was served asks again
        put(queue, order, f"client {number}", f"{number}.1")
    assert taken(queue, order, 250)[0] == "250.0"
    put(queue, order, "somebody", "now and then")
    assert queue.before("now and then") == 0 and queue.before("0.1") == 1
    assert taken(queue, order, 2) == ["now and then", "0.1"]


# Case R17
def test_callers_who_come_new_hold_nobody_up_for_ever() -> None:
    queue, order = Queue(), list[str]()
    put(queue, order, "old", "first")
    assert taken(queue, order) == ["first"]
    put(queue, order, "old", "second")
    waited = 0
    while "second" not in order:
        put(queue, order, f"new {waited}", f"of {waited}")
        queue.take()()
        waited += 1
        assert waited <= 1001
    assert waited > 1, "those who come new do come before it"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), max_size=40))
def test_a_ticket_says_how_many_come_before_it(steps: list[tuple[str, int]]) -> None:
    queue, order = Queue(), list[str]()
    waiting: list[str] = []
    for number, (caller, act) in enumerate(steps):
        name = f"{caller}{number}"
        if act < 2:
            put(queue, order, caller, name)
            waiting.append(name)
        elif act == 2 and waiting:
            queue.take()()
            waiting.remove(order[-1])
        elif waiting:
            queue.remove(waiting.pop(number % len(waiting)))
    said = sorted(waiting, key=lambda name: queue.before(name) or 0)
    assert [queue.before(name) for name in said] == list(range(len(said)))
    assert taken(queue, order) == said and all(queue.before(name) is None for name in said)


BUSY = '''"""Wait until the operator lets everybody go, then end."""
import os, time

def run(gate: str, number: int) -> int:
    """Wait for the gate.

    Args:
        gate: A file that opens it.
        number: Given back.
    """
    while not os.path.exists(gate):
        time.sleep(0.01)
    return number
'''


class Host(Spoken):
    """A front of one home, begun as hosts do."""

    def __init__(self, home: Path) -> None:
        config = home / "few.toml"
        config.write_text("workers = 1\ninline_deadline_s = 0.5\n")
        words = ["-m", "repertoire", "serve", "--home", str(home), "--config", str(config)]
        super().__init__([sys.executable, *words])
        self.initialize()

    def receive(self) -> Any:
        """The next answer; word of a changed list may come at any time."""
        while "id" not in (message := super().receive()):
            pass
        return message

    def knows(self, tool: str) -> bool:
        return tool in [one["name"] for one in self.answer("tools/list")["result"]["tools"]]

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = self.answer("tools/call", name=tool, arguments=arguments)
        found: dict[str, Any] = answer["result"]["structuredContent"]
        return found


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    home = tmp_path / "home"
    (home / "workflows").mkdir(parents=True)
    home.chmod(0o700)
    (home / "workflows" / "busy.py").write_text(BUSY)
    first = Host(home)
    second = Host(home)
    until(lambda: first.knows("busy"))
    yield first, second
    for one in (first, second):
        one.close()
    stop = Spoken([sys.executable, "-m", "repertoire", "stop", "--force", "--home", str(home)])
    stop.process.wait(30)
    stop.close()


def test_r17_one_call_beside_a_flood_is_next_and_the_flood_says_its_place(
    hosts: tuple[Host, Host], tmp_path: Path
) -> None:
    flood, one = hosts
    gate = tmp_path / "gate"
    for number in range(FLOOD):
        flood.ask("tools/call", name="busy", arguments={"gate": str(gate), "number": number})
    answers = [flood.receive()["result"]["structuredContent"] for _ in range(FLOOD)]
    assert {answer["status"] for answer in answers} == {"working"}
    waiting = [answer["message"] for answer in answers if "message" in answer]
    assert f"waiting for a worker: {FLOOD - 2} runs are before it" in waiting, waiting
    mine = one.call("busy", gate=str(gate), number=-1)
    assert mine["message"] == "waiting for a worker: 0 runs are before it"
    assert flood.call("get_run", run_id=answers[-1]["run_id"])["message"].startswith(
        f"waiting for a worker: {FLOOD - 1} runs"
    )
    gate.touch()
    until(lambda: all(run["status"] == "completed" for run in one.call("list_runs", limit=100)["runs"]))
    runs = one.call("list_runs", limit=100)["runs"]
    began = [run["run_id"] for run in sorted(runs, key=lambda run: (run["started_at"], run["created_at"]))]
    assert len(began) == FLOOD + 1 and began.index(mine["run_id"]) <= 2, json.dumps(runs)
