from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import mcp_types as types
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage

from repertoire.upstream.stdio_process import LineReader

ANSWERS: list[dict[str, Any]] = [
    {"jsonrpc": "2.0", "id": number, "result": {"text": "é" * number}} for number in (1, 20, 300)
]


def read(lines: bytes, limit: int, *cuts: int) -> list[SessionMessage | Exception]:
    """The messages of these bytes, which come in pieces."""
    reader = LineReader(limit)
    ends = [0, *sorted(min(cut, len(lines)) for cut in cuts), len(lines)]
    return [message for begin, end in pairwise(ends) for message in reader.feed(lines[begin:end])]


@settings(deadline=None)
@given(st.lists(st.integers(0, 1200), max_size=8))
def test_lines_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    lines = b"\n\n".join(json.dumps(answer, ensure_ascii=False).encode() for answer in ANSWERS) + b"\nno end"
    found = read(lines, 10_000, *cuts)
    assert [message.message.model_dump() for message in found if isinstance(message, SessionMessage)] == ANSWERS


@settings(deadline=None)
@given(st.booleans(), st.integers(3000, 20_000), st.integers(50, 70_000))
def test_a_long_line_becomes_an_error_of_its_request(is_id_first: bool, size: int, step: int) -> None:
    answer = (
        {"jsonrpc": "2.0", "id": 77, "result": "x" * size}
        if is_id_first
        else {"result": "x" * size, "jsonrpc": "2.0", "id": 77}
    )
    line = json.dumps(answer).encode()
    small = json.dumps(ANSWERS[0]).encode()
    long, after = read(line + b"\n" + small + b"\n", 2000, *range(step, len(line), step))
    assert isinstance(long, SessionMessage)
    assert isinstance(long.message, types.JSONRPCError)
    assert long.message.id == 77
    assert f"{len(line):,} bytes" in long.message.error.message
    assert isinstance(after, SessionMessage)


def test_rubbish_is_an_error_and_no_message() -> None:
    found = read(b"hello\n{}\n[1]\n\xff\n" + b"y" * 5000 + b"\n", 2000)
    assert [type(message).__mro__[-3] for message in found] == [Exception] * 5
