"""The leases of runs on places among the workers: a model that hypothesis walks through, and random trees of real runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from repertoire.engine.leases import Lease, Places, State
from support.survivals import opened, run

pytestmark = pytest.mark.anyio


class Leases(RuleBasedStateMachine):
    """Runs that hold, give back, want again and end, in any order."""

    begun = Bundle("begun")

    def __init__(self) -> None:
        super().__init__()
        self.places = Places(2)
        self.leases: list[Lease] = []
        self.told: dict[int, list[int]] = {}
        self.wanted: dict[int, list[int]] = {}
        self.waits: dict[int, int] = {}

    def teardown(self) -> None:
        for lease in self.leases:
            self._in_loop(lease.end)
        assert self.places._free == self.places.size, "every place has come back"

    def _in_loop(self, act: Any, *args: Any) -> None:
        async def once() -> None:
            act(*args)

        asyncio.run(once())  # each in a loop of its own: no timer decides anything here

    @rule(target=begun)
    def begin(self) -> int:
        if not self.places.take_now():
            return -1
        self.leases.append(Lease(self.places))
        number = len(self.leases) - 1
        self.told[number], self.wanted[number], self.waits[number] = [], [], 0
        return number

    @rule(number=begun)
    def make_a_call(self, number: int) -> None:
        if number >= 0 and self.leases[number].state is not State.ENDED:
            self.waits[number] += 1
            self._in_loop(self.leases[number].begin_wait)

    @rule(number=begun)
    def be_still(self, number: int) -> None:
        if number >= 0:
            self._in_loop(self.leases[number].settle)

    @rule(number=begun)
    def be_answered(self, number: int) -> None:
        if number < 0 or self.leases[number].state is State.ENDED or not self.waits[number]:
            return
        self.waits[number] -= 1
        self.leases[number].end_wait()
        what = len(self.wanted[number])
        self.wanted[number].append(what)

        def tell() -> None:
            assert self.leases[number].state is State.HELD, "a body is told nothing while others have its place"
            self.told[number].append(what)

        self._in_loop(self.leases[number].go_on, tell)

    @rule(number=consumes(begun))
    def end(self, number: int) -> None:
        if number >= 0:
            self._in_loop(self.leases[number].end)

    @invariant()
    def places_are_counted(self) -> None:
        held = sum(lease.state is State.HELD for lease in self.leases)
        assert held + self.places._free == self.places.size

    @invariant()
    def nobody_waits_beside_a_free_place(self) -> None:
        queued = [lease for lease in self.leases if lease.state is State.QUEUED]
        assert not (queued and self.places.has_room)
        assert len(queued) == len(self.places._going_on)

    @invariant()
    def who_has_its_place_was_told_everything_in_order(self) -> None:
        for number, lease in enumerate(self.leases):
            wanted, told = self.wanted[number], self.told[number]
            assert told == wanted[: len(told)]
            if lease.state is State.HELD:
                assert told == wanted


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


async def test_a_cancelled_caller_leaves_its_place_to_others() -> None:
    places = Places(1)

    async def begin() -> None:
        await places.take("me", "one")
        try:
            await anyio.sleep_forever()
        finally:
            places.give_back()

    for granted in (False, True):
        assert places.take_now()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(begin)
            await anyio.wait_all_tasks_blocked()
            if granted:
                places.give_back()  # and it is cancelled before it hears of it
            tasks.cancel_scope.cancel()
        if not granted:
            places.give_back()
    assert places.has_room and places.waiting == 0


async def test_runs_that_go_on_come_before_runs_that_begin() -> None:
    places, order = Places(1), []
    assert places.take_now()

    async def begin() -> None:
        await places.take("me", "one")
        order.append("begins")
        places.give_back()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(begin)
        await anyio.wait_all_tasks_blocked()
        places.queue(lambda: order.append("goes on"))
        places.give_back()
        assert order == ["goes on"]
        places.give_back()
    assert order == ["goes on", "begins"]


Tree = dict[str, Any]
"""A run of the test: how it calls its children, and these."""

_HOWS = ("one by one", "gather", "threads", "as they come", "tasks and a step")


def _trees() -> st.SearchStrategy[Tree]:
    leaf = st.fixed_dictionaries({"how": st.sampled_from(_HOWS), "below": st.just([])})
    return st.recursive(
        leaf,
        lambda below: st.fixed_dictionaries(
            {"how": st.sampled_from(_HOWS), "below": st.lists(below, min_size=1, max_size=3)}
        ),
        max_leaves=7,
    )


TREE = '''"""A run of a random tree: calls those below it in one of several ways, and counts them."""
import asyncio
from concurrent.futures import ThreadPoolExecutor

def one(n: int) -> int:
    return n

def _blocking(below: list[dict]) -> list[int]:
    return [workflows.tree(how=child["how"], below=child["below"]) for child in below]

async def _chain(child: dict) -> int:
    first = await workflows.tree(how="one by one", below=[])
    return first - 1 + await workflows.tree(how=child["how"], below=child["below"])

async def run(how: str, below: list[dict]) -> int:
    if how == "one by one":
        found = []
        for child in below:
            found.append(await workflows.tree(how=child["how"], below=child["below"]))
    elif how == "gather":
        found = await asyncio.gather(*[_chain(child) for child in below])
    elif how == "threads":
        with ThreadPoolExecutor(2) as pool:
            found = [n for part in pool.map(_blocking, [[child] for child in below]) for n in part]
    elif how == "as they come":
        found = [await next_one for next_one in asyncio.as_completed([_chain(child) for child in below])]
    else:
        tasks = [asyncio.create_task(_chain(child)) for child in below]
        await step(one, len(below))
        found = [await task for task in tasks]
    return 1 + sum(found)
'''


def _count(tree: Tree) -> int:
    return 1 + sum(_count(child) for child in tree["below"])


@pytest.fixture(params=[1, 2, 4])
def workers(request: pytest.FixtureRequest) -> Iterator[int]:
    yield request.param


def test_r1_any_tree_of_runs_ends_with_any_number_of_workers(workers: int, tmp_path: Path) -> None:
    # promise: any-tree
    async def shown(trees: list[list[Tree]]) -> None:
        home = tmp_path / f"home{workers}"
        (home / "workflows").mkdir(parents=True)
        (home / "workflows" / "tree.py").write_text(TREE)
        async with opened(home, workers=str(workers)) as app:
            for group in trees:
                answers: dict[int, Any] = {}

                async def ask(number: int, tree: Tree, answers: dict[int, Any] = answers) -> None:
                    answers[number] = await run(app, "tree", "new", **tree)

                with anyio.fail_after(60):
                    async with anyio.create_task_group() as tasks:
                        for number, tree in enumerate(group):
                            tasks.start_soon(ask, number, tree)
                for number, tree in enumerate(group):
                    assert (answers[number]["status"], answers[number]["result"]) == ("completed", _count(tree))

    groups: list[list[Tree]] = []

    @settings(
        max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=workers != 2
    )
    @given(st.lists(_trees(), min_size=1, max_size=4))
    def collect(group: list[Tree]) -> None:
        groups.append(group)

    collect()
    anyio.run(shown, groups)
