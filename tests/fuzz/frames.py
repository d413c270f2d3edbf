"""Bytes as a hostile worker may send them: frames of ours, changed at random, and the check that only `BadFrame` comes of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from repertoire.engine.frame_check import FrameCheck, Rules
from repertoire.engine.frame_reader import BadFrame, FrameReader
from repertoire.limits import Limits
from repertoire.wire import (
    Answer,
    Call,
    Done,
    Drop,
    Events,
    Failed,
    Fault,
    Idle,
    Inspected,
    Late,
    More,
    Note,
    Page,
    RawEvent,
    Record,
    Recorded,
    Settled,
    Task,
    Tick,
    encode,
)

_FAULT: Final = Fault("exception", "ValueError", "text", 3, "hint", "Traceback")
_CLOCK: Final[list[list[str | int | float]]] = [["0/", 1.5, 2], ["1/init0/", 3.0, 1]]
SEEDS: Final = [
    encode(frame)
    for frame in (
        Events(
            [
                RawEvent("log", 1.0, '{"level": "info", "message": "a"}', "0/", 1),
                RawEvent("item", 2.0, '{"value": [1]}'),
            ]
        ),
        Call(1, "0", "workflow", '{"name": "a", "arguments": {}}', "hash", "a", _CLOCK),
        Record(2, "0/1:0", "step", "hash", "f", '{"a": [1, null]}', _FAULT, 1.0, _CLOCK),
        Drop(1, "0", "sleep", "hash", "", _CLOCK, "[1, 2]"),
        Tick(),
        Late(1, 2.5),
        Idle([1, 2], '{"a": 1}'),
        More(0),
        Done('{"a": "é"}', '{"n": 1}', "NaN became null"),
        Failed(_FAULT, True),
        Inspected('{"type": "object"}', "{}", (Note("untyped", "text", 1, 2),)),
        Settled("a logger"),
    )
]
_TASK: Final = Task("run", "key", "{}", state="{}", recorded=3)
_ODD: Final = [
    b"\xc1",
    b"\xdf\xff\xff\xff\xff",
    b"\xdd\x7f\xff\xff\xff",
    b"\xcb\x7f\xf8" + b"\0" * 6,
    b"\x91" * 300,
    b"\xd9\xff",
    b"\xc7\x08\xff",
]
Change = Callable[[bytearray, random.Random], None]


def _flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 4)):
        data[chance.randrange(len(data))] = chance.randrange(256)


def _cut(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.randint(1, 20)]


def _repeat(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    data[start:start] = data[start : start + chance.randint(1, 40)] * chance.randint(1, 5)


def _insert(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    data[start:start] = chance.choice(_ODD)


def _splice(data: bytearray, chance: random.Random) -> None:
    other = chance.choice(SEEDS)
    data[chance.randrange(len(data)) :] = other[chance.randrange(len(other)) :]


_CHANGES: Final[list[Change]] = [_flip, _cut, _repeat, _insert, _splice]


def hostile_bytes(chance: random.Random) -> bytes:
    """Some frames one after the other, most of them changed. The length in front is mostly right, so that the rest is looked at."""
    parts = []
    for _ in range(chance.randint(1, 12)):
        data = bytearray(chance.choice(SEEDS)[4:])
        for _ in range(chance.choice((0, 1, 1, 2, 4))):
            if data:
                chance.choice(_CHANGES)(data, chance)
        size = len(data) if chance.random() < 0.95 else chance.choice((0, 1, len(data) + 5, 2**31 - 1))
        parts.append(size.to_bytes(4, "little") + data)
    return b"".join(parts) if chance.random() < 0.95 else chance.randbytes(chance.randint(0, 200))


def check(data: bytes, chance: random.Random) -> bool:
    """Take the frames as the server does. False: a frame was refused. Any other exception is a defect."""
    reader, frames = FrameReader(), FrameCheck()
    frames.rules = Rules.of(Limits(), trusted=False, is_reused=chance.random() < 0.5)
    frames.sent(_TASK)
    if chance.random() < 0.5:
        frames.sent(Page([Recorded(3, "0", "sleep", "hash", 0.5)]))
    try:
        while data:
            size = chance.randint(1, 400)
            reader.feed(data[:size])
            data = data[size:]
            while (taken := reader.take()) is not None:
                frame = frames.take(taken[0])
                if isinstance(frame, Call | Record) and chance.random() < 0.5:
                    frames.sent(Answer(frame.id, chance.randint(1, 9), 0.5))
    except BadFrame as error:
        assert 0 < len(str(error)) < 400
        return False
    return True
