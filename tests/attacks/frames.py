"""Attacks by the socket to the host: no frames, half frames, too large ones, and frames that a worker would not send at that moment.

Each body uses the socket itself. After its frames it returns or waits, so the host also gets what the real worker sends.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Final

from .attack import FAILED, Table, Targets
from .inside import host_socket, send_frames

FRAMES: Final = Table("frames")
alone = FRAMES.alone
_ENDS: Final = ("completed .*", *FAILED, "refused .*", "cancelled .*")
"""It ends. The bystander is answered, and the server reads its runs afterwards: the test sees to both."""


@alone("sends bytes that are no frame", FAILED, raw=True, timeout_s=2)
def garbage(t: Targets) -> object:
    send_frames(b"\x10\x00\x00\x00" + b"\xc1" * 16)
    time.sleep(10)
    return 1


@alone("says that a frame of four gigabytes follows", FAILED, raw=True, timeout_s=2)
def huge_length(t: Targets) -> object:
    send_frames(b"\xff\xff\xff\xff")
    time.sleep(10)
    return 1


@alone("sends half a frame and waits", FAILED, raw=True, timeout_s=0.5)
def half(t: Targets) -> object:
    send_frames(b"\x00\x00\x00\x02" + b"x" * 1000)
    time.sleep(10)
    return 1


@alone("sends one frame of forty megabytes", _ENDS, raw=True, timeout_s=4, costly=True)
def large(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    send_frames(wire.Done('"' + "x" * (40 << 20) + '"'))
    time.sleep(10)
    return 1


@alone("sends a frame with lists in lists, a million deep", FAILED, raw=True, timeout_s=2)
def deep_frame(t: Targets) -> object:
    body = b"\x82\xa4type\xa6events\xa6events" + b"\x91" * 1_000_000 + b"\xc0"
    send_frames(len(body).to_bytes(4, "little") + body)
    time.sleep(10)
    return 1


@alone("sends empty frames without an end", FAILED, raw=True, timeout_s=1)
def empty_frames(t: Targets) -> object:
    while True:
        send_frames(b"\x00" * 65536)


@alone("sends ticks without an end, each a row of the journal", FAILED, raw=True, timeout_s=1, costly=True)
def ticks(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    many = wire.encode(wire.Tick()) * 5000
    while True:
        send_frames(many)


@alone("asks for pages of its journal and reads none", FAILED, raw=True, timeout_s=1, costly=True)
def pages(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    many = wire.encode(wire.More(0)) * 1000
    with host_socket() as sock:
        while True:
            sock.sendall(many)


@alone("makes calls without waiting for answers", FAILED, raw=True, timeout_s=1, costly=True)
def calls(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    for n in range(100_000):
        send_frames(wire.Call(1000 + n, f"9/{n}", "sleep", '{"seconds": 1000}', "h"))
    time.sleep(10)
    return 1


@alone("says that it is done, with a result that is no JSON", FAILED, raw=True)
def no_json(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    send_frames(wire.Done("{not json"))
    time.sleep(10)
    return 1


@alone("says that it is done, with JSON a hundred thousand deep", (*FAILED, "completed None"), raw=True)
def deep_json(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    send_frames(wire.Done("[" * 100_000 + "]" * 100_000))
    time.sleep(10)
    return 1


@alone("says that it is done, with numbers that no JSON has", FAILED, raw=True)
def no_numbers(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    send_frames(wire.Done('{"a": NaN, "b": Infinity}'))
    time.sleep(10)
    return 1


@alone("says that it is done, with an integer of a million digits", (*FAILED, "completed .*"), raw=True)
def many_digits(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    send_frames(wire.Done("9" * 1_000_000))
    time.sleep(10)
    return 1


@alone("says that it is done, with a larger result than allowed", FAILED, raw=True)
def large_result(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    send_frames(wire.Done('"' + "x" * (17 << 20) + '"'))
    time.sleep(10)
    return 1


@alone("says that it is done with a state that is no JSON", FAILED, raw=True)
def bad_state(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    send_frames(wire.Done("1", "{not json"))
    time.sleep(10)
    return 1


@alone("says that it is done three times", ("completed 1",), raw=True)
def done_thrice(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    send_frames(wire.Done("1"), wire.Done("2"), wire.Done("3"))
    time.sleep(10)
    return 4


@alone("answers a run with schemas, as an inspection would be", FAILED, raw=True, timeout_s=1)
def inspected(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    send_frames(wire.Inspected("{}", "{}"), wire.Settled(None))
    time.sleep(10)
    return 1


@alone("calls what there is not, with arguments that are none", _ENDS, raw=True, timeout_s=2)
def odd_calls(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    odd: list[tuple[str, str]] = [
        ("no.such", "{}"), ("", "{}"), ("sleep", "{"), ("sleep", "[]"), ("sleep", "null"), ("sleep", '{"seconds": "x"}'),
        ("sleep", '{"seconds": 1e308}'), ("sleep", '{"seconds": -1e308}'), ("sleep", '{"seconds": NaN}'), ("ask", "{}"),
        ("workflow", '{"name": {}}'), ("workflow", '{"name": "echo", "arguments": 7}'), ("tool", '{"tool": 1}'),
        ("artifacts.save", '{"name": "../../x", "kind": "text"}'), ("artifacts.load", '{"name": "/etc/passwd"}'),
        ("fs.read", '{"path": "../../../etc/passwd"}'), ("fs.write", '{"path": "/etc/attack", "data": "x"}'),
        ("fs.list", '{"path": "/"}'), ("shell", '{"command": "id"}'), ("model", "{}"), ("workflows.create", "{}"),
        ("cache.keep", '{"key": [], "value": "{"}'), ("commit_state", '{"state": "{not json"}'), ("commit_state", '{"state": 7}'),
        ("tools.search", '{"query": 7, "limit": -1}'), ("workflows.list", '{"cursor": {}, "limit": "x"}'),
    ]  # fmt: skip
    send_frames(*(wire.Call(500 + n, f"8/{n}", op, args, "h") for n, (op, args) in enumerate(odd)))
    time.sleep(0.5)
    return "sent"


@alone("calls with ids, paths, labels and clocks that no worker makes", _ENDS, raw=True, timeout_s=2)
def odd_frames(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    send_frames(
        wire.Call(-(2**63), "../..", "now", "{}", "h"),
        wire.Call(2**63, "x" * 1_000_000, "sleep", '{"seconds": 0}', "h", label="\u202e\x1b[31m" * 1000),
        wire.Call(2**63, "0\0", "sleep", '{"seconds": 0}', "h", clock=[[None, "x", -1], [], [[]] * 100]),
        wire.Drop(12345, "0/0", "ask", "h", heard="{"),
        wire.Late(2**62, -1e308),
        wire.Late(-1, 1e308),
        wire.Idle([*range(100_000)], "{not json"),
        wire.Idle([]),
    )
    time.sleep(0.5)
    return "sent"


@alone("records steps with results that are no JSON and times that are none", _ENDS, raw=True, timeout_s=2)
def odd_records(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    send_frames(
        wire.Record(900, "7/0", "step", "h", result="{not json", began=float("nan")),
        wire.Record(901, "7/1", "step", "h", result="[" * 50_000, began=1e300),
        wire.Record(902, "7/1", "no such", "h", label="x" * 1_000_000, began=-1e300),
        wire.Record(
            903,
            "",
            "",
            "",
            error=wire.Fault("no_such_code", "\x1b]0;title\x07", "x" * 1_000_000, line=-(2**63), hint="\u202e"),
        ),
    )
    time.sleep(0.5)
    return "sent"


@alone("sends events of the year 10^300 and of no year", _ENDS, raw=True)
def odd_times(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    for at in (1e300, -1e300, float("nan"), float("inf"), 1e18):
        send_frames(wire.Events([wire.RawEvent("log", at, {"message": "x", "level": "info"}, "", 1)]))
    return "sent"


@alone("sends events with data that no event has", _ENDS, raw=True)
def odd_events(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"d": deep}
    send_frames(
        wire.Events([wire.RawEvent("log", time.time(), {}, "\0" * 1000, -5)]),
        wire.Events([wire.RawEvent("progress", time.time(), {"done": "x", "total": -1, "message": 7})]),
        wire.Events([wire.RawEvent("item", time.time(), deep, "1/2/3", 2**63)]),
        wire.Events([wire.RawEvent("log", time.time(), {"message": "x" * (5 << 20)})]),
        wire.Events([wire.RawEvent("state", time.time(), {"state": "forged"})]),
        wire.Events([]),
    )
    return "sent"


@alone("fails with an error whose parts are hostile", FAILED, raw=True)
def odd_failure(t: Targets) -> object:
    wire: Any = sys.modules["repertoire.wire"]
    fault = wire.Fault(
        "completed", "\x1b[2J", "x" * (3 << 20), line=2**63, hint="\u202e" * 100_000, traceback="\0" * 1_000_000
    )
    send_frames(wire.Failed(fault))
    time.sleep(10)
    return 1


@alone("hands an artifact over that is a link to the secret", (*FAILED, "completed .*"), raw=True)
def linked_artifact(t: Targets) -> object:
    home: Any = sys.modules["repertoire.home"]
    import os

    path = home.incoming_path(f"{t['home']}/artifacts", "x", "6/0")
    try:
        os.symlink(t["secret"], path)
    except OSError:
        return "no folder"
    args: dict[str, Any] = {
        "name": "linked",
        "kind": "text",
        "sha256": None,
        "mime_type": None,
        "description": "",
        "metadata": {},
    }
    wire: Any = sys.modules["repertoire.wire"]
    send_frames(wire.Call(700, "6/0", "artifacts.save", json.dumps(args), "h"))
    time.sleep(0.3)
    return "sent"
