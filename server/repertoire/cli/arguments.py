"""Arguments: reads what a person types as JSON, and the words of `run` as a workflow's arguments; used by runs.py and workflows.py.

1. Text that stands for JSON is given inline, as @FILE, or as - for standard input. The same for every command.
2. The words of `run` are `key=value`, `--key value`, `--key=value`, `--flag` and `--no-flag`. @FILE and - give an object.
3. The parameter's schema decides what a value is. A parameter that takes text gets the text as it is. Any other text is read as JSON. For
   a list, the key is repeated or the value is JSON. `key=@FILE` takes the value from a file, `key=@-` from standard input; `@@` is an @.

A text that fits no type goes to the server unchanged: the server says what is wrong with it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ..errors import BadArguments

_PAIR: Final = re.compile(r"([A-Za-z_][\w-]*)=(.*)", re.DOTALL)
_OPTION: Final = re.compile(r"--([A-Za-z_][\w-]*)(?:=(.*))?", re.DOTALL)
_YES, _NO = ("true", "yes", "y", "on"), ("false", "no", "n", "off")
_DEEPEST: Final = 20
"""References of a schema that are followed: one may lead to itself."""


def read_text(path: str) -> str:
    """The text of a file; - is standard input."""
    try:
        if path == "-":
            return sys.stdin.read().removeprefix("\ufeff")
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadArguments(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadArguments(f"{path} is not UTF-8: {error.reason} at byte {error.start}.") from error


def read_json(text: str, of: str) -> Any:
    """The JSON that is given inline, as @FILE or as -. `of` names it in errors."""
    source = read_text("-") if text == "-" else read_text(text[1:]) if text.startswith("@") else text
    try:
        return json.loads(source)
    except ValueError as error:
        if "integer string conversion" in str(error):
            raise BadArguments(f"An integer in {of} has more than 4,300 digits: give it as text.") from error
        hint = "It is JSON, @FILE with JSON in it, or - for standard input."
        if source is text and Path(text).is_file():
            hint = f"For the file write @{text}."
        raise BadArguments(f"{of} is not JSON: {error}.", hint) from error


def read_object(text: str, of: str) -> dict[str, Any]:
    value = read_json(text, of)
    if not isinstance(value, dict):
        raise BadArguments(f"{of} must be a JSON object with the workflow's parameters.")
    return value


def read_words(words: Sequence[str], schema: Mapping[str, Any], workflow: str) -> dict[str, Any]:
    """The arguments that the words of `run` give. Raises BadArguments."""
    return _Words(words, schema, workflow).read()


class _Words:
    def __init__(self, words: Sequence[str], schema: Mapping[str, Any], workflow: str) -> None:
        self._left = list(words)
        self._schema = schema
        self._workflow = workflow
        self._properties: Mapping[str, Any] = schema.get("properties", {})
        self._whole: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        """The texts that were given for each key."""

    def read(self) -> dict[str, Any]:
        while self._left:
            self._take(self._left.pop(0))
        return self._whole | {key: self._value(key, texts) for key, texts in self._texts.items()}

    def _take(self, word: str) -> None:
        if word == "-" or word.startswith("@"):
            self._whole |= read_object(word, word)
        elif found := _OPTION.fullmatch(word):
            self._take_option(found[1], found[2])
        elif found := _PAIR.fullmatch(word):
            self._texts.setdefault(self._key(found[1], word), []).append(found[2])
        else:
            first = next(iter(self._properties), "key")
            raise BadArguments(f"{word!r} is no argument: its name is missing.", f"For example {first}={word}.")

    def _take_option(self, name: str, text: str | None) -> None:
        if text is None and name.startswith("no-") and self._is_flag(name.removeprefix("no-")):
            name, text = name.removeprefix("no-"), "false"
        if text is None and self._is_flag(name):
            text = "true"
        if text is None:
            key = self._key(name, f"--{name}")
            if not self._left:
                raise BadArguments(f"--{name} needs a value.", f"For example --{name} {self._sample(key)}.")
            text = self._left.pop(0)
        self._texts.setdefault(self._key(name, f"--{name}"), []).append(text)

    def _key(self, name: str, word: str) -> str:
        """The parameter that is meant. `max-items` is `max_items`."""
        for key in (name, name.replace("-", "_")):
            if key in self._properties:
                return key
        if self._schema.get("additionalProperties") is False:
            takes = ", ".join(self._properties) or "no arguments"
            ours = "`repertoire run -h` shows the options of the command." if word.startswith("--") else None
            raise BadArguments(f"{word!r}: {self._workflow} has no parameter {name!r}. It takes {takes}.", ours)
        return name

    def _is_flag(self, name: str) -> bool:
        schema = self._properties.get(name, self._properties.get(name.replace("-", "_")))
        return schema is not None and kinds(schema, self._schema) - {"null"} == {"boolean"}

    def _sample(self, key: str) -> str:
        return "2" if kinds(self._properties.get(key, {}), self._schema) & {"integer", "number"} else "TEXT"

    def _value(self, key: str, texts: list[str]) -> Any:
        schema = self._properties.get(key, {})
        wanted = kinds(schema, self._schema)
        if len(texts) == 1 and (reference := _reference(texts[0])) is not None:
            return reference
        if "array" in wanted and (len(texts) > 1 or not texts[0].startswith(("[", "@"))):
            items = _items(schema, self._schema)
            return [self._read(text, items, f"{key}[{i}]") for i, text in enumerate(texts)]
        if len(texts) > 1:
            raise BadArguments(f"`{key}` is given {len(texts)} times.")
        return self._read(texts[0], schema, key)

    def _read(self, text: str, schema: Mapping[str, Any], key: str) -> Any:
        wanted = kinds(schema, self._schema)
        if text.startswith("@@"):
            text = text[1:]
        elif text.startswith("@"):
            text = read_text(text[1:])
            if "string" not in wanted:
                return read_json(text, f"`{key}`")
        if "string" in wanted:
            return text
        if "boolean" in wanted and text.lower() in (*_YES, *_NO):
            return text.lower() in _YES
        try:
            return json.loads(text)
        except ValueError:
            return text


def _reference(text: str) -> dict[str, str] | None:
    """`{"$ref": "run:///..."}`, which any parameter takes: the server puts a value in its place."""
    if not text.startswith("{") or '"$ref"' not in text:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if value.keys() == {"$ref"} and str(value["$ref"]).startswith(("run:///", "artifact:///")) else None


def kinds(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0) -> set[str]:
    """The JSON types that a schema lets through, as far as it says; empty when it says nothing."""
    if "$ref" in schema and depth < _DEEPEST:
        return kinds(root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {}), root, depth + 1)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return set().union(*(kinds(choice, root, depth + 1) for choice in choices)) if depth < _DEEPEST else set()
    if "type" in schema:
        named = schema["type"]
        return {named} if isinstance(named, str) else set(named)
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return {"string" if isinstance(value, str) else "other" for value in values}


def _items(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of the items of a list."""
    if "$ref" in schema:
        schema = root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {})
    for choice in schema.get("anyOf", ()):
        if choice.get("type") == "array":
            schema = choice
    items: Mapping[str, Any] = schema.get("items", {}) if isinstance(schema.get("items", {}), dict) else {}
    return items


def time_of(text: str | None) -> str | None:
    """`2h` is two hours ago. The service reads anything else as a time."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    if text is None or not (found := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)):
        return text
    return (datetime.now(UTC) - timedelta(**{units[found[2]]: float(found[1])})).isoformat()
