"""What is recorded of a step is given back as it was: which step it is, what it raised, what it changed in the state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from support import replays
from support.replays import publish
from support.survivals import effects, run

pytestmark = pytest.mark.anyio

home, app, traces = replays.home, replays.app, replays.traces


async def twice(app: App, folder: Path, source: str, **arguments: Any) -> dict[str, Any]:
    """The run of a body that is begun again when it comes to die()."""
    await publish(app, folder, flow=source)
    answer = await run(app, "flow", **arguments)
    assert (folder / "died").exists(), answer
    return answer


# Errors

ERRORS = """
import dataclasses, http.client, io, subprocess, urllib.error, json as _json
from enum import Enum

class Kind(Enum):
    SLOW = 1

class RateLimited(Exception):
    def __init__(self, message, retry_after, *, kind=Kind.SLOW):
        super().__init__(f"{message}!")
        self.retry_after, self.kind = retry_after, kind
        self.where = [{"a": (1, 2)}]

class Slotted(ValueError):
    __slots__ = ("more",)

class Odd(OSError):
    def __init__(self, code):
        super().__init__(5, "odd", "file.txt")
        self.code = code

class Group(ExceptionGroup):
    def derive(self, errors):
        return Group(self.message, errors)

class Alike(Exception):
    def __eq__(self, other):
        raise RuntimeError("no")
    __hash__ = None

def limited():
    error = RateLimited("slow down", 1.5)
    error.add_note("seen twice")
    try:
        raise KeyError("inner")
    except KeyError as inner:
        raise error from inner

def slotted():
    error = Slotted("s"); error.more = {1}
    raise error

def odd(): raise Odd(7)
def group(): raise Group("many", [ValueError(1), RateLimited("x", 2)])
def process(): raise subprocess.CalledProcessError(3, ["a"], b"out", b"err")
def text(): raise UnicodeDecodeError("utf-8", b"\\xff", 0, 1, "bad")
def parsed(): _json.loads("{")
def missing(): raise FileNotFoundError(2, "gone", "a.txt")
def stopped(): raise StopIteration(4)
def alike(): raise Alike("a")
def attribute(): (1).x
def imported(): raise ImportError("m", name="n", path="p")
def looking():
    try: 1 / 0
    except ZeroDivisionError: raise LookupError("l")

def told(error, deep=True):
    held = {k: repr(v) for k, v in sorted(vars(error).items())}
    names = "errno filename code more returncode start pos value name path".split()
    fields = [repr(getattr(error, k, "-")) for k in names]
    inner = [told(e) for e in getattr(error, "exceptions", ())]
    link = [told(e) if e is not None and deep else None for e in (error.__cause__, error.__context__)]
    return [type(error).__qualname__, repr(error.args), str(error), held, fields, inner, link, error.__suppress_context__]

def run() -> list:
    found = []
    for one in (limited, slotted, odd, group, process, text, parsed, missing, stopped, alike, attribute, imported, looking):
        try:
            step(one)
        except Exception as error:
            found.append(told(error))
    with open(os.path.join(FOLDER, "told"), "a") as file:
        file.write(repr(found) + "\\n")
    die()
    return found
"""


async def test_w10_the_error_of_a_step_is_the_same_when_the_body_is_begun_again(app: App, traces: Path) -> None:
    answer = await twice(app, traces, ERRORS)
    assert answer["status"] == "completed", answer["error"]
    first, second = (traces / "told").read_text().splitlines()
    assert first == second
    kinds = [one[0] for one in answer["result"]]
    assert kinds[:4] == ["RateLimited", "Slotted", "Odd", "Group"] and len(kinds) == 13
    assert answer["result"][0][3]["retry_after"] == "1.5" and "seen twice" in answer["result"][0][3]["__notes__"]


LOST = """
import email.message, io, threading, urllib.error

class Failed(Exception):
    def __init__(self, response):
        super().__init__("failed")
        self.response = response
        self.status = 404

def fetch(): raise urllib.error.HTTPError("http://a", 404, "Not Found", email.message.Message(), io.BytesIO(b"body"))
def locked(): raise Failed(threading.Lock())

def run() -> list:
    found = []
    for one in (fetch, locked):
        try:
            step(one)
        except (urllib.error.HTTPError, Failed) as error:
            found.append([type(error).__name__, getattr(error, "code", None) or error.status, str(error)])
            try:
                found[-1].append(error.response.text if one is locked else error.fp.read())
            except Exception as refused:
                found[-1] += [type(refused).__name__, str(refused)]
    with open(os.path.join(FOLDER, "told"), "a") as file:
        file.write(repr(found) + "\\n")
    die()
    return found
"""


async def test_w10_what_an_error_holds_and_cannot_be_recorded_says_so_each_time(app: App, traces: Path) -> None:
    answer = await twice(app, traces, LOST)
    assert answer["status"] == "completed", answer["error"]
    first, second = (traces / "told").read_text().splitlines()
    assert first == second
    http, locked = answer["result"]
    assert http[:3] == ["HTTPError", 404, "HTTP Error 404: Not Found"] and http[3] == "StateError"
    assert (
        locked[:4] == ["Failed", 404, "failed", "StateError"]
        and "response: a _thread.lock cannot be stored" in locked[4]
    )


@pytest.mark.parametrize("catching", [True, False])
async def test_w10_an_error_that_could_not_be_made_again_is_refused_when_it_is_recorded(
    catching: bool, app: App, traces: Path
) -> None:
    source = """
def fail():
    class Local(Exception):
        pass
    raise Local("of no name")

def run(catching: bool) -> str:
    try:
        step(fail)
    except Exception as error:
        die()
        if not catching:
            raise
        return f"{type(error).__name__}: {error}"
"""
    answer = await twice(app, traces, source, catching=catching)
    message = answer["result"] if catching else answer["error"]["message"]
    assert (
        "the error of the step fail cannot be recorded: its class fail.<locals>.Local could not be found again"
        in message
    )
    assert "It was Local: of no name" in message
    if not catching:
        assert answer["error"]["hint"].startswith("Catch it within the step")


async def test_w10_a_validation_error_is_one_again(app: App, traces: Path) -> None:
    source = """
from pydantic import BaseModel, ValidationError

class Model(BaseModel):
    n: int

def parse(): Model(n="x")

def run() -> list:
    try:
        step(parse)
    except ValidationError as error:
        die()
        return [error.title, error.errors()[0]["loc"], error.errors()[0]["input"]]
"""
    answer = await twice(app, traces, source)
    assert answer["result"] == ["Model", ["n"], "x"], answer["error"]


# Which step

ANOTHER = """
import dataclasses

class Payments:
    @step
    def charge(self, n): return effect(f"charged {n}")
    @step
    def refund(self, n): return effect(f"refunded {n}")

@dataclasses.dataclass(frozen=True)
class Account:
    name: str
    @step
    def charge(self, n): return effect(f"{self.name} {n}")

def add(a, n): return effect(f"{a} {n}")

def run(way: str) -> str:
    again = os.path.exists(os.path.join(FOLDER, "died"))
    import functools
    if way == "method":
        got = Payments().refund(7) if again else Payments().charge(7)
    elif way == "bound":
        one = Payments()
        got = step(type(one).refund._function, one, 7) if again else step(type(one).charge._function, one, 7)
    elif way == "object":
        got = Account("b" if again else "a").charge(7)
    elif way == "partial":
        got = step(functools.partial(add, "b" if again else "a"), 7)
    else:
        got = step(lambda: effect("refunded")) if again else step(lambda: effect("charged"))
    die()
    return got
"""


@pytest.mark.parametrize("way", ["method", "bound", "object", "partial", "lambda"])
async def test_w16_another_step_of_the_same_arguments_is_noticed(way: str, app: App, traces: Path) -> None:
    answer = await twice(app, traces, ANOTHER, way=way)
    assert answer["status"] == "failed" and answer["error"]["code"] == "non_determinism", answer
    assert len(effects(traces)) == 1


async def test_w16_the_same_step_is_answered_from_its_record(app: App, traces: Path) -> None:
    answer = await twice(
        app, traces, ANOTHER.replace('os.path.exists(os.path.join(FOLDER, "died"))', "False"), way="method"
    )
    assert answer["result"] == "charged 7" and effects(traces) == ["charged 7"]
    (call,) = (await app.service.history.tree(replays.ME, answer["run_id"]))["calls"]
    assert call["label"] == "Payments.charge"


FIRST = """
from pydantic import BaseModel
import datetime

class Model(BaseModel):
    when: datetime.datetime
    n: int = 1

class Payments:
    @step
    def charge(self, n): return effect(f"charged {n}")

def of(model, more): return effect("of")
def failing(): raise ValueError("v")

def run() -> list:
    found = [Payments().charge(7), step(of, Model(when="2026-01-01T00:00:00Z"), {"a": (1, Model)})]
    try:
        step(failing)
    except ValueError as error:
        found.append(str(error))
    die()
    return found
"""


async def test_w16_journals_of_earlier_versions_are_answered_from(
    app: App, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier version recorded of the same calls: hash, and the error's form."""
    from repertoire.store import Store

    hashes = iter(["@METHOD@", "@MODEL@", "@ERROR@"])
    record = Store.record_call
    import msgspec

    from repertoire.values.argument_hashes import hash_of

    when = '{"__repertoire__":"model","cls":"repertoire_workflow.flow:Model","value":{"when":"2026-01-01T00:00:00Z","n":1}}'
    shape = '[[{"when":datetime}]]'
    assert hashes and when and shape
    former = [
        hash_of("step", 'partial\0{"":[[7],{}]}'),
        hash_of(
            "step",
            "of\0[["
            '{"":'
            + when
            + "}"
            + ",{'a':["
            + '{"":1}'
            + ',<pydantic._internal._model_construction.ModelMetaclass>]}],{"":{}}]',
        ),
        hash_of("step", 'failing\0{"":[[],{}]}'),
    ]

    def first(store: Store, run: Any, one: Any, number: int, told: Any, then: Any) -> None:
        if one.call.op == "step":
            call = msgspec.structs.replace(one.call, hash=former[one.call.n - 1])
            if call.error is not None:
                text = '{"module": "builtins", "name": "ValueError", "args": "{\\"args\\":[\\"v\\"]}", "text": "v"}'
                call = msgspec.structs.replace(call, result=text)
            one = msgspec.structs.replace(one, call=call)
        record(store, run, one, number, told, then)

    monkeypatch.setattr(Store, "record_call", first)
    answer = await twice(app, traces, FIRST)
    assert answer["status"] == "completed", answer["error"]
    assert answer["result"] == ["charged 7", "of", "v"] and effects(traces) == ["charged 7", "of"]


# What a step changes in the state

CHANGES = """
from dataclasses import dataclass, field

@dataclass
class Tally:
    seen: list = field(default_factory=list)

def change(n):
    session_state["n"] = session_state.get("n", 0) + n
    session_state.setdefault("list", []).append(n)
    session_state["deep"]["a"].append({n})
    session_state["tally"].seen.append(n)
    session_state.pop("gone", None)
    if n == 3:
        raise ValueError("three")
    return n

def run() -> list:
    deep = session_state.setdefault("deep", {"a": []})
    tally = session_state.setdefault("tally", Tally())
    session_state["gone"] = 1
    for n in (1, 2, 3):
        try:
            STEP
        except ValueError as error:
            effect(str(error))
    die()
    assert deep is session_state["deep"] and tally is session_state["tally"]
    return [session_state["n"], session_state["list"], [list(one) for one in deep["a"]], tally.seen, "gone" in session_state]
"""


@pytest.mark.parametrize("call", ["step(change, n)", "step(lambda: change(n))"])
async def test_w14_what_a_step_changes_in_the_state_is_recorded_with_it(call: str, app: App, traces: Path) -> None:
    """promise: step-state"""
    answer = await twice(app, traces, CHANGES.replace("STEP", call))
    assert answer["status"] == "completed", answer["error"]
    assert answer["result"] == [6, [1, 2, 3], [[1], [2], [3]], [1, 2, 3], False]


async def test_w14_steps_at_the_same_time_change_the_state_once(app: App, traces: Path) -> None:
    source = """
async def change(n):
    session_state["began"] += 1
    await asyncio.sleep(0.01 * (3 - n))
    session_state["list"].append(n)
    return n

async def run() -> list:
    session_state.update(list=[], began=0, ended=0)
    async def one(n):
        got = await step(change, n)
        session_state["list"].append(f"after {got}")
        session_state["began"] += 10
    await asyncio.gather(*map(one, range(3)))
    die()
    return [sorted(map(str, session_state["list"])), session_state["began"]]
"""
    answer = await twice(app, traces, source)
    assert answer["status"] == "completed", answer["error"]
    assert answer["result"] == [["0", "1", "2", "after 0", "after 1", "after 2"], 33]


async def test_w14_what_a_step_and_code_beside_it_both_change_is_no_silent_loss(app: App, traces: Path) -> None:
    source = """
async def change(n):
    await asyncio.sleep(0.05)
    session_state["text"] += str(n)

async def run() -> str:
    session_state["text"] = ""
    async def beside():
        await step(aeffect, "beside")
        session_state["text"] = "beside"
    await asyncio.gather(step(change, 1), beside())
    die()
    return session_state["text"]
"""
    answer = await twice(app, traces, source)
    assert answer["result"] == "beside1" or answer["error"]["code"] == "non_determinism", answer
