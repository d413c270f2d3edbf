"""The arguments of `run` as a person types them, and options that take JSON."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from repertoire.cli.arguments import read_json, read_object, read_words
from repertoire.cli.parameters import example, takes
from repertoire.errors import BadArguments

SCHEMA: dict[str, Any] = {
    "properties": {
        "a": {"type": "integer", "description": "The first."},
        "text": {"type": "string"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "loud": {"type": "boolean", "default": False},
        "max_items": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
        "names": {"type": "array", "items": {"type": "string"}, "default": []},
        "numbers": {"type": "array", "items": {"type": "integer"}, "default": []},
        "place": {"$ref": "#/$defs/Place"},
        "any": {},
    },
    "$defs": {"Place": {"type": "object", "properties": {"x": {"type": "integer"}}}},
    "required": ["a", "text"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["a=2", "text=3"], {"a": 2, "text": "3"}),
        (["--a", "2", "--text=null"], {"a": 2, "text": "null"}),
        (["--a", "-2"], {"a": -2}),
        (["text=a=b", "note="], {"text": "a=b", "note": ""}),
        (["--loud"], {"loud": True}),
        (["--no-loud"], {"loud": False}),
        (["--loud=no", "--max-items", "1.5"], {"loud": False, "max_items": 1.5}),
        (["max_items=null"], {"max_items": None}),
        (["names=x", "names=[y"], {"names": ["x", "[y"]}),
        (["names=x"], {"names": ["x"]}),
        (['names=["x", "y"]'], {"names": ["x", "y"]}),
        (["numbers=1", "--numbers", "2"], {"numbers": [1, 2]}),
        (['place={"x": 1}', "any=[1]"], {"place": {"x": 1}, "any": [1]}),
        (["any=word", "a=many"], {"any": "word", "a": "many"}),
        (["text=@@me"], {"text": "@me"}),
    ],
)
def test_n12_words_become_arguments_by_the_schema(words: list[str], arguments: dict[str, Any]) -> None:
    assert read_words(words, SCHEMA, "w") == arguments


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["b=2"], "w has no parameter 'b'. It takes a, text"),
        (["--jsno"], "has no parameter 'jsno'"),
        (["2"], "its name is missing"),
        (["a=1", "a=2"], "given 2 times"),
        (["--a"], "--a needs a value"),
        (["@missing.json"], "Cannot read missing.json"),
    ],
)
def test_n12_words_that_cannot_be_arguments_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(BadArguments) as refused:
        read_words(words, SCHEMA, "w")
    assert said in refused.value.message


def test_n12_n14_text_for_json_is_inline_or_a_file_or_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "given.json"
    file.write_text(json.dumps({"a": 1, "text": "x"}))
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"a": 9}'))
    assert read_words([f"@{file}", "a=2"], SCHEMA, "w") == {"a": 2, "text": "x"}
    assert read_words(["-"], SCHEMA, "w") == {"a": 9}
    assert read_words([f"text=@{file}"], SCHEMA, "w") == {"text": file.read_text()}
    assert read_words([f"any=@{file}"], SCHEMA, "w") == {"any": {"a": 1, "text": "x"}}
    for text in (file.read_text(), f"@{file}"):
        assert read_json(text, "--examples") == {"a": 1, "text": "x"}
    with pytest.raises(BadArguments) as refused:
        read_json(str(file), "--examples")
    assert refused.value.hint == f"For the file write @{file}."
    with pytest.raises(BadArguments, match="must be a JSON object"):
        read_object("[]", "--payload")


def test_n6_a_schema_is_said_in_words_with_a_command_that_runs_it() -> None:
    lines = list(takes(SCHEMA))
    assert lines[0] == "takes:" and lines[1].split() == ["a", "an", "integer", "required", "The", "first."]
    assert "a number or null" in "\n".join(lines) and "default false" in "\n".join(lines)
    assert example("w", SCHEMA) == "repertoire run w a=1 text=TEXT"
    assert list(takes({"properties": {}, "additionalProperties": False})) == ["takes nothing"]
