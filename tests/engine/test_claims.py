"""Claims: one run has one body at a time, and one key one run, whatever the number of callers, bodies and restarts.

The facts of the store against a model that hypothesis walks through; then real callers, and real restarts.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repertoire.app import App
from repertoire.engine.live_run import Live
from repertoire.errors import LostClaim
from repertoire.model.run import Run
from repertoire.model.session import Caller
from repertoire.names import new_run_id
from repertoire.store import Store, open_store
from repertoire.store.runs import IdempotencyKey, KeyTaken
from support import replays
from support.replays import ME, ended, publish
from support.survivals import effects, opened

pytestmark = pytest.mark.anyio

home, app, traces = replays.home, replays.app, replays.traces

_KEYS = ("a", "b")
_ACTS = st.one_of(
    st.tuples(st.just("start"), st.sampled_from(_KEYS)),
    st.tuples(st.sampled_from(["claim", "claim twice", "end"]), st.sampled_from(_KEYS)),
    st.tuples(st.sampled_from(["write", "park"]), st.tuples(st.sampled_from(_KEYS), st.integers(0, 3))),
    st.tuples(st.just("restart"), st.none()),
)


class Model:
    """What must be true of the two keys' runs."""

    def __init__(self) -> None:
        self.bodies: dict[str, list[Run]] = {}
        """Of each key: its run as each body that was begun of it knows it, the last one last."""
        self.goes_on: dict[str, bool] = {}
        self.ended: set[str] = set()
        self.events: dict[str, int] = {}

    def may_write(self, key: str, body: Run) -> bool:
        return self.goes_on[key] and key not in self.ended and body is self.bodies[key][-1]


async def _start(store: Store, model: Model, key: str) -> None:
    run = Run(id=new_run_id("w"), workflow="w", version="v", session_id="s", principal="p", created_at=time.time())
    storing = store.start_run(
        run, with_state=False, fingerprint="f", key=IdempotencyKey(key=key, arguments="same", ttl_s=60.0)
    )
    if key not in model.bodies:
        await storing
        model.bodies[key], model.goes_on[key], model.events[key] = [run], True, 1
        return
    with pytest.raises(KeyTaken) as taken:
        await storing
    assert taken.value.run_id == model.bodies[key][0].id and taken.value.same_arguments
    assert await store.run(run.id) is None


async def _claim(store: Store, model: Model, key: str, times: int) -> None:
    claims = [await store.claim_run(model.bodies[key][0].id) for _ in range(times)]
    free = key not in model.ended and not model.goes_on[key]
    assert [claim is not None for claim in claims] == [free, *[False] * (times - 1)]
    if claims[0] is not None:
        model.bodies[key].append(claims[0][0])
        model.goes_on[key] = True


async def _write(store: Store, model: Model, key: str, body: Run) -> None:
    storing = store.add_events(body, model.events[key] + 1, [("log", time.time(), {"message": "x"})])
    if model.may_write(key, body):
        await storing
        model.events[key] += 1
    else:
        with pytest.raises(LostClaim):
            await storing


async def _park(store: Store, model: Model, key: str, body: Run) -> None:
    parking = store.park(body, "a while", wake_at=None, state=None, held_s=0.0)
    if model.may_write(key, body):
        assert (await parking).waiting_for == "a while"
        model.goes_on[key] = False
    else:
        with pytest.raises(LostClaim):
            await parking


async def _end(store: Store, model: Model, key: str) -> None:
    body = model.bodies[key][-1]
    ending = store.finish_run(Run(**{**_fields(body), "last_event": model.events[key]}), "completed", result="1")
    if model.may_write(key, body):
        await ending
        model.ended.add(key)
    else:
        with pytest.raises(LostClaim):
            await ending


def _fields(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in run.__struct_fields__}


async def _walk(path: Path, acts: list[tuple[str, Any]]) -> None:
    model, left = Model(), list(acts)
    while left:
        async with open_store(str(path)) as store:
            await store.claim_unfinished()
            model.goes_on = dict.fromkeys(model.goes_on, False)
            while left and (act := left.pop(0))[0] != "restart":
                await _do(store, model, *act)


async def _do(store: Store, model: Model, act: str, what: Any) -> None:
    key, number = what if isinstance(what, tuple) else (what, -1)
    if act == "start":
        await _start(store, model, key)
    elif key not in model.bodies:
        return
    elif act.startswith("claim"):
        await _claim(store, model, key, 2 if act == "claim twice" else 1)
    elif act == "end":
        await _end(store, model, key)
    else:
        bodies = model.bodies[key]
        await (_write if act == "write" else _park)(store, model, key, bodies[number % len(bodies)])


def test_r2_only_the_last_body_of_a_run_writes_and_a_key_has_one_run(tmp_path: Path) -> None:
    tried = 0

    @settings(max_examples=40, deadline=None, database=None)
    @given(st.lists(_ACTS, min_size=5, max_size=30))
    def walk(acts: list[tuple[str, Any]]) -> None:
        nonlocal tried
        tried += 1
        anyio.run(_walk, tmp_path / f"{tried}.db", acts)

    walk()
    assert tried >= 40


async def test_r2_callers_with_one_key_at_once_get_one_run(app: App, traces: Path) -> None:
    # promise: one-body
    await publish(app, traces, flow='def run(n: int) -> str:\n    return step(effect, "done", 0.05)\n')
    answers: list[tuple[str, str, Any]] = []

    async def call(n: int) -> None:
        caller = Caller(client=f"client {n}")
        live = await app.service.runs.start(caller, "flow", {"n": 1}, "new", "one key")
        run = await app.service.runs.wait_for_end(live)
        answers.append((run.id, run.status, run.result))

    async with anyio.create_task_group() as tasks:
        for n in range(30):
            tasks.start_soon(call, n)
    assert len(answers) == 30 and set(answers) == {(answers[0][0], "completed", '"done"')}
    assert effects(traces) == ["done"]
    assert len(await app.service.runs.list_runs(ME)) == 1 and app.live_runs() == 0


async def test_r2_a_run_that_is_cancelled_while_others_ask_for_it_with_its_key_stays_cancelled(
    app: App, traces: Path
) -> None:
    await publish(app, traces, flow='def run() -> None:\n    time.sleep(30)\n    step(effect, "too late")\n')
    first = await app.service.runs.start(ME, "flow", {}, "new", "key")
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(app.service.runs.start, ME, "flow", {}, "new", "key")
        tasks.start_soon(app.service.runs.cancel, ME, first.run.id)
    again = await app.service.runs.start(ME, "flow", {}, "new", "key")
    assert again.run.id == first.run.id and (await app.service.runs.wait_for_end(again)).status == "cancelled"
    assert app.live_runs() == 0 and effects(traces) == []


ASKS_BESIDE = """
import asyncio

async def long() -> str:
    await step(aeffect, "begun")
    while not os.path.exists(os.path.join(FOLDER, "go")):
        await asyncio.sleep(0.05)
    return await step(aeffect, "long")

async def question() -> str:
    return await ask("Well?")

async def run() -> list:
    return list(await asyncio.gather(long(), question()))
"""


async def test_r10_r19_what_a_run_asks_is_shown_and_answered_at_once_after_a_restart(home: Path, traces: Path) -> None:
    async with opened(home) as app:
        await publish(app, traces, flow=ASKS_BESIDE, idle="def run() -> None:\n    time.sleep(60)\n")
        live = await app.service.runs.start(ME, "flow", {})
        with anyio.fail_after(20):
            while (await app.service.runs.get(ME, live.run.id))["status"] != "input_required" or not effects(traces):
                await anyio.sleep(0.01)
        idle = [await app.service.runs.start(ME, "idle", {}, "new") for _ in range(2)]
    async with opened(home, workers="1") as app:  # and its body may have to wait long for a worker
        at_once = await app.service.runs.get(ME, live.run.id)
        assert at_once["status"] == "input_required" and at_once["questions"][0]["question"] == "Well?"
        assert [row["status"] for row in await app.service.runs.list_runs(ME, workflow="flow", status="input_required")]
        told = await app.service.runs.answer(ME, live.run.id, "yes")
        assert told["status"] == "working"
        for one in idle:
            await app.service.runs.cancel(ME, one.run.id)
        (traces / "go").touch()
        assert (await ended(app, live.run.id))["result"] == ["long", "yes"]
    assert effects(traces) == ["begun", "long"]


async def stored(live: Live) -> None:
    """Its session is known to others then."""
    assert live.recorded is not None
    await live.recorded


CREATES = """
def run() -> list:
    source = '"' * 3 + "Say it." + '"' * 3 + "\\ndef run() -> str:\\n    return 'it'\\n"
    made = workflows.create("said", source)
    step(effect, "created " + made["status"])
    gone = workflows.delete("said")
    step(effect, f"deleted {gone}")
    return [made["name"], made["version"], gone]
"""


@pytest.mark.parametrize("fact", ["publish", "unpublish"])
async def test_r18_what_a_body_creates_and_deletes_is_done_once_although_the_server_dies_before_it_is_recorded(
    home: Path, traces: Path, fact: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # promise: own-effects
    record, stopped = Store.record_call, anyio.Event()

    def lose(store: Store, run: Run, one: Any, *more: Any) -> None:
        """As a server that dies between what the call has changed and its record."""
        if one.call.op == {"publish": "workflows.create", "unpublish": "workflows.delete"}[fact]:
            stopped.set()
        else:
            record(store, run, one, *more)

    async with opened(home) as app:
        await publish(app, traces, flow=CREATES)
        monkeypatch.setattr(Store, "record_call", lose)
        live = await app.service.runs.start(ME, "flow", {})
        with anyio.fail_after(20):
            await stopped.wait()
    monkeypatch.setattr(Store, "record_call", record)
    async with opened(home) as app:
        answer = await ended(app, live.run.id)
        assert answer["status"] == "completed" and answer["result"][0::2] == ["said", True], answer
        lines = [one.action for one in await app._store.history("said")]
    assert effects(traces) == ["created published", "deleted True"] and lines == ["deleted", "published"]


async def test_runs_that_would_wait_for_each_others_state_in_a_circle_are_told_so(app: App, traces: Path) -> None:
    each = """
def run(other: str, file: str) -> list:
    session_state["seen"] = True
    step(effect, file)
    while len(open(os.path.join(FOLDER, "effects")).readlines()) < 2:
        time.sleep(0.01)
    try:
        return workflows.invoke(other, other=file, file=other, session_id="parent")
    except Exception as error:
        return [getattr(error, "code", repr(error))]
"""
    await publish(app, traces, left=each, right=each)
    first = await app.service.runs.start(ME, "left", {"other": "right", "file": "left"}, "new")
    await stored(first)
    second = await app.service.runs.start(ME, "right", {"other": "left", "file": "right"}, first.run.session_id)
    with anyio.fail_after(30):
        results = [(await app.service.runs.wait_for_end(live)).result for live in (first, second)]
    assert any("deadlock" in str(result) for result in results), results


async def test_a_child_with_its_parents_state_does_not_queue_behind_those_who_wait_for_the_parent(
    app: App, traces: Path
) -> None:
    source = """
def run(deep: bool, wait: bool) -> int:
    session_state["n"] = session_state.get("n", 0) + 1
    while wait and not os.path.exists(os.path.join(FOLDER, "go")):
        time.sleep(0.01)
    if deep:
        commit_state()
        return workflows.flow(deep=False, wait=False, session_id="parent")
    return session_state["n"]
"""
    await publish(app, traces, flow=source)
    first = await app.service.runs.start(ME, "flow", {"deep": True, "wait": True}, "new")
    await stored(first)
    second = await app.service.runs.start(ME, "flow", {"deep": False, "wait": False}, first.run.session_id)
    with anyio.fail_after(20):
        await second.queued.wait()
        (traces / "go").touch()
        assert [(await app.service.runs.wait_for_end(live)).status for live in (first, second)] == ["completed"] * 2
