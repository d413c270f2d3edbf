"""Schemas that a process has told of its module: what is too long, too deep or no object is refused before anybody walks through it."""

from __future__ import annotations

import json

import pytest

from repertoire.errors import Refused
from repertoire.registry.told_schemas import read_notes, read_schema
from repertoire.wire import Note

REFUSED = {
    "no JSON": "{",
    "a list": "[]",
    "NaN": '{"minimum": NaN}',
    "deep": '{"items": ' * 200 + "{}" + "}" * 200,
    "deeper than Python reads": '{"items": ' * 50_000 + "{}" + "}" * 50_000,
    "many parameters": json.dumps({"properties": {f"a{n}": {} for n in range(60_000)}}),
    "long": json.dumps({"description": "x" * 2_000_000}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_schema_that_is_no_schema_is_refused(what: str) -> None:
    with pytest.raises(Refused) as caught:
        read_schema(REFUSED[what], "its result")
    assert caught.value.reason == "bad_schema" and "its result" in caught.value.message


def test_a_schema_of_an_ordinary_workflow_is_read() -> None:
    schema = {
        "type": "object",
        "properties": {f"a{n}": {"type": "string", "description": "word " * 50} for n in range(50)},
    }
    assert read_schema(json.dumps(schema), "its parameters") == schema


def test_notes_are_bounded_and_hide_nothing() -> None:
    notes = read_notes([Note("untyped", "see \u202ethis\x1b[2J" + "x" * 10_000, hint=None)] * 1000)
    assert len(notes) == 200 and notes[0].message.startswith("see this[2J") and len(notes[0].message) <= 2_000
