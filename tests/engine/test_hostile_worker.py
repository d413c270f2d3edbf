"""A workflow that finds its worker's own socket and writes to it: that ends its run, and no other run notices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
import pytest

from repertoire.app import App
from repertoire.call_operations import OPERATIONS
from repertoire.model.session import Caller
from repertoire.wire import Call, Done, Events, Idle, Inspected, Late, More, RawEvent, Record, Settled, Tick, encode
from support.publishing import DOUBLE, ME, OFF, refused
from support.services import opened, run

pytestmark = pytest.mark.anyio

FORGER = '''"""Write to the worker's own socket."""
import os
import stat


def run(frames: str, times: int = 1) -> str:
    """Write these bytes to every socket that the process has.

    Args:
        frames: Bytes, as hexadecimal digits.
        times: How often.
    """
    for fd in range(3, 64):
        try:
            data = bytes.fromhex(frames) * times if stat.S_ISSOCK(os.fstat(fd).st_mode) else b""
            while data:
                data = data[os.write(fd, data) :]
        except OSError:
            pass
    return "alive"
'''
OTHER = Caller(client="another 1.0")


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    async with opened(tmp_path_factory.mktemp("home"), None, **OFF, max_events="50", inspect_timeout_s="60") as app:
        await app.service.publishing.create(ME, "forger", FORGER)
        await app.service.publishing.create(ME, "double", DOUBLE)
        yield app


def raw(value: Any) -> bytes:
    body = msgspec.msgpack.encode(value)
    return len(body).to_bytes(4, "little") + body


def event(data: str, path: str = "", at: float = 1.0) -> bytes:
    return encode(Events([RawEvent("log", at, data, path, 1)]))


REFUSED = {
    "a length of two gigabytes": b"\xff\xff\xff\x7f",
    "bytes that are no frame": b"\x04\0\0\0none",
    "another kind": raw({"type": "approve", "version": "1"}),
    "the schemas of a module": encode(Inspected("{}", "{}")),
    "a state that it was not given": encode(Done("1", state='{"a": 1}')),
    "a state to be stored now": encode(Call(1, "0", "commit_state", '{"state": "{}"}', "h")),
    "a report of a worker that is used again": encode(Settled()),
    "the page of a journal that there is not": encode(More(0)),
    "a call that it has not made": encode(Idle([7])),
    "an answer that it has not got": encode(Late(3, 1.0)),
    "a path of another kind": encode(Record(1, "0?approve github.delete", "ask", "h", result='"once"')),
    "a record that is no JSON": encode(Record(1, "0", "step", "h", result="nan")),
    "an event that is no JSON": event("{"),
    "an event with a value of a thousand lists": event('{"a": ' + "[" * 1000 + "]" * 1000 + "}"),
    "an event of half a megabyte": event('{"a": "' + "x" * 500_000 + '"}'),
    "an event in the year 90000": raw({"type": "events", "events": [["log", 2.8e12, "{}", "", 1]]}),
    "a negative number of a call": raw({"type": "drop", "id": -1, "path": "0", "op": "x", "hash": "h"}),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_forged_frame_ends_the_run_that_wrote_it(app: App, what: str) -> None:
    answer = await run(app, ME, "forger", frames=REFUSED[what].hex())
    assert answer["status"] == "failed" and answer["error"]["code"] == "bad_frame", answer
    assert (await run(app, OTHER, "double", n=4))["result"] == 8


async def test_a_forged_end_is_the_end_of_its_own_run_only(app: App) -> None:
    answer = await run(app, ME, "forger", frames=(encode(Done('"forged"')) + encode(Done('"twice"'))).hex())
    assert (answer["status"], answer["result"]) == ("completed", "forged")
    assert (await run(app, OTHER, "double", n=5))["result"] == 10


@pytest.mark.parametrize("result", ["NaN", "{", "[" * 1000 + "]" * 1000, '"\x01"'])
async def test_a_forged_result_that_nobody_could_read_is_refused(app: App, result: str) -> None:
    answer = await run(app, ME, "forger", frames=encode(Done(result)).hex())
    assert answer["error"]["code"] == "result_not_json", answer


async def test_half_a_character_in_a_forged_result_is_repaired(app: App) -> None:
    answer = await run(app, ME, "forger", frames=encode(Done('"a\\ud800 \\ud83d\\ude00 \\\\ud800"')).hex())
    assert answer["result"] == "a\ufffd \U0001f600 \\ud800"


LOADER = '''"""Answer for the module that is being loaded."""
import os
import stat

for fd in range(3, 64):
    try:
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            os.write(fd, bytes.fromhex({frames!r}))
    except OSError:
        pass


def run() -> int:
    """Do nothing."""
    return 1
'''
SCHEMAS = {
    "a deep one": ('{"a": ' * 200 + "1" + "}" * 200, "bad_schema"),
    "a list": ("[]", "bad_schema"),
    "no JSON": ("{", "bad_schema"),
    "parameters that are no schemas": ('{"properties": {"a": 1}}', "bad_schema"),
}


@pytest.mark.parametrize("what", SCHEMAS)
async def test_a_forged_schema_is_refused(app: App, what: str) -> None:
    text, code = SCHEMAS[what]
    frames = encode(Inspected(text, "{}")).hex()
    refusal = await refused(app, "loader", LOADER.format(frames=frames))
    assert refusal.reason == code, refusal
    assert (await run(app, OTHER, "double", n=6))["result"] == 12


async def test_a_call_with_arguments_in_no_form_that_a_door_expects_is_answered(app: App) -> None:
    """The forger does not hear the answers. The doors must survive the arguments."""
    odd = [
        "null",
        "[]",
        "{}",
        '{"question": 1}',
        '{"seconds": 1e300}',
        '{"seconds": "x"}',
        '{"name": {}, "arguments": []}',
    ]
    calls = [
        encode(Call(n, str(n), op, args, "h"))
        for n, (op, args) in enumerate(
            ((op, args) for op in (*OPERATIONS, "none") for args in odd if op != "commit_state"), 1
        )
    ]
    answer = await run(app, ME, "forger", frames=b"".join(calls).hex())
    assert answer["status"] in ("completed", "failed"), answer
    assert (await run(app, OTHER, "double", n=7))["result"] == 14


async def test_a_flood_of_events_is_recorded_up_to_the_limit_with_one_remark(app: App) -> None:
    live = await app.service.runs.start(ME, "forger", {"frames": event('{"message": "flood"}').hex(), "times": 1500})
    answer = app.service.runs.envelope(await app.service.runs.wait_for_end(live))
    assert answer["status"] == "completed", answer["error"]
    events = [one async for one in app.service.runs.follow(live.run.id)]
    logs = [one.data for one in events if one.type == "log"]
    assert 50 <= len(logs) <= 80 and sum(one.get("level") == "warning" for one in logs) == 1
    assert "max_events" in logs[-1]["message"]


async def test_a_flood_of_frames_does_not_hold_up_another_run(app: App) -> None:
    """The flood would take a minute at the pace that created code has."""
    flood = await app.service.runs.start(ME, "forger", {"frames": encode(Tick()).hex(), "times": 60_000})
    with anyio.fail_after(30):
        for n in range(10):
            assert (await run(app, OTHER, "double", n=n))["result"] == 2 * n
    assert not flood.done.is_set()
    await app.service.runs.cancel(ME, flood.run.id)
