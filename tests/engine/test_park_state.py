"""What a body holds of the state when it is parked is the state's afterwards too: in every style, for every kind of object.

promise: state-held
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from repertoire.app import App
from repertoire.engine import long_waits
from support import replays
from support.replays import ME, ended, publish
from support.survivals import run

pytestmark = pytest.mark.anyio

home, app, traces = replays.home, replays.app, replays.traces

KINDS = """
from collections import deque, defaultdict
from dataclasses import dataclass, field
from pydantic import BaseModel, PrivateAttr

@dataclass
class Item:
    n: int = 0
    within: list = field(default_factory=list)

@dataclass(frozen=True)
class Fixed:
    within: list = field(default_factory=list)

class Model(BaseModel):
    n: int = 0
    within: list[int] = []
    _hidden: list = PrivateAttr(default_factory=list)

def begin(state):
    state.setdefault("list", [])
    state.setdefault("dict", {})
    state.setdefault("set", set())
    state.setdefault("deque", deque())
    state.setdefault("default", defaultdict(list))
    state.setdefault("item", Item())
    state.setdefault("model", Model())
    state.setdefault("deep", {"a": [{"b": []}]})
    state.setdefault("tuple", ([], 1))
    state.setdefault("fixed", Fixed())
    return [
        state["list"].append, state["dict"].setdefault, state["set"].add, state["deque"].append, state["default"]["k"].append,
        lambda n: setattr(state_item, "n", n) if (state_item := state["item"]) else None, state["item"].within.append,
        state["model"].within.append, state["model"]._hidden.append, state["deep"]["a"][0]["b"].append, state["tuple"][0].append,
        state["fixed"].within.append,
    ]

def shown(state):
    item, model = state["item"], state["model"]
    return [
        state["list"], list(state["dict"]), sorted(state["set"]), list(state["deque"]), state["default"]["k"], item.n, item.within,
        model.within, model._hidden, state["deep"]["a"][0]["b"], state["tuple"][0], state["fixed"].within,
    ]
"""

FUNCTION = """
def run(n: int, waits: bool = True) -> list:
    held = begin(session_state)
    if waits:
        PARK
    for change in held:
        change(n)
    return shown(session_state)
"""
ASYNC = FUNCTION.replace("def run", "async def run").replace("PARK", "await PARK")
CONTEXT = """
def run(ctx: Context) -> list:
    held = begin(ctx.session_state)
    if ctx.payload.get("waits", True):
        ctx.PARK
    for change in held:
        change(ctx.payload["n"])
    return shown(ctx.session_state)
"""
CLASS = """
from repertoire import Workflow

class Flow(Workflow):
    def run(self, n: int, waits: bool = True):
        held = begin(self.session_state)
        if waits:
            PARK
        for change in held:
            change(n)
        return shown(self.session_state)
"""
REPLACING = CLASS.replace("held = begin(", "self.session_state = dict(self.session_state)\n        held = begin(")
STYLES = {
    "function": FUNCTION, "async": ASYNC, "context": "from repertoire import Context\n" + CONTEXT, "class": CLASS, "replacing": REPLACING,
}  # fmt: skip


def everywhere(*numbers: int) -> list[Any]:
    """In the order of KINDS: of a set sorted, of a number the last."""
    return [sorted(numbers) if i == 2 else numbers[-1] if i == 5 else [*numbers] for i in range(12)]


async def until_parked(app: App, run_id: str) -> dict[str, Any]:
    with anyio.fail_after(20):
        while True:
            known = await app.service.runs.get(ME, run_id)
            kept = await app._store.run(run_id)
            if kept is not None and (kept.waiting_for is not None or kept.is_final):
                return known
            await anyio.sleep(0.01)


async def answered(app: App, run_id: str) -> dict[str, Any]:
    await until_parked(app, run_id)
    await app.service.runs.answer(ME, run_id, "on")
    return await ended(app, run_id)


@pytest.mark.parametrize("style", STYLES)
async def test_w1_what_a_body_holds_stays_the_states_over_a_question(style: str, app: App, traces: Path) -> None:
    await publish(app, traces, flow=KINDS + STYLES[style].replace("PARK", 'ask("On?")'))
    first = await app.service.runs.start(ME, "flow", {"n": 1})
    answer = await answered(app, first.run.id)
    assert answer["result"] == everywhere(1), answer
    again = await run(app, "flow", first.run.session_id, n=2, waits=False)
    assert again["result"] == everywhere(1, 2), again


@pytest.mark.parametrize("style", STYLES)
async def test_w1_what_others_have_changed_is_in_the_objects_that_a_body_holds(
    style: str, app: App, traces: Path
) -> None:
    await publish(app, traces, flow=KINDS + STYLES[style].replace("PARK", 'ask("On?")'))
    first = await app.service.runs.start(ME, "flow", {"n": 1})
    await until_parked(app, first.run.id)
    other = await run(app, "flow", first.run.session_id, n=2, waits=False)
    assert other["result"] == everywhere(2), other
    assert (await answered(app, first.run.id))["result"] == everywhere(2, 1)
    assert (await run(app, "flow", first.run.session_id, n=3, waits=False))["result"] == everywhere(2, 1, 3)


async def test_w1_the_same_over_a_sleep(app: App, traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_waits, "_PARK_S", 0.02)
    monkeypatch.setattr(long_waits, "_BRIEF_S", 0.0)
    await publish(app, traces, flow=KINDS + FUNCTION.replace("PARK", "sleep(0.2); sleep(0.2)"))
    answer = await run(app, "flow", n=1)
    assert answer["result"] == everywhere(1), answer
    tree = await app.service.history.tree(ME, answer["run_id"])
    assert [call["op"] for call in tree["calls"]] == ["sleep", "sleep"]
    assert (await run(app, "flow", answer["session_id"], n=2))["result"] == everywhere(1, 2)


async def test_w1_what_the_top_level_holds_of_the_state_stays_the_states(app: App, traces: Path) -> None:
    source = """
SEEN = session_state.setdefault("seen", [])
COUNTS = session_state.setdefault("counts", {"of": []})["of"]

def run(n: int) -> list:
    SEEN.append(n)
    ask("On?")
    COUNTS.append(n)
    return [session_state["seen"], session_state["counts"]["of"], SEEN is session_state["seen"]]
"""
    await publish(app, traces, flow=source)
    first = await app.service.runs.start(ME, "flow", {"n": 1})
    assert (await answered(app, first.run.id))["result"] == [[1], [1], True]
    second = await app.service.runs.start(ME, "flow", {"n": 2}, first.run.session_id)
    assert (await answered(app, second.run.id))["result"] == [[1, 2], [1, 2], True]
