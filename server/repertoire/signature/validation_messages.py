"""Validation messages: turns pydantic's validation errors into sentences for a model. Used by `arguments` and `result`.

Each sentence names the field, the wanted type and the value that came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .unknown_arguments import explain_unknown

_MISSING: Final = frozenset({"missing", "missing_argument", "missing_keyword_only_argument"})
_UNKNOWN: Final = frozenset({"unexpected_keyword_argument", "extra_forbidden"})

_WORDS: Final = {
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "boolean": "true or false",
    "list": "a list",
    "array": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozenset": "a list",
    "dictionary": "an object",
    "object": "an object",
    "decimal": "a decimal number",
    "null": "null",
    "None": "null",
    "date": "a date such as 2026-01-31",
    "datetime": "a date and time such as 2026-01-31T12:00:00Z",
    "time": "a time such as 12:30:00",
    "timedelta": "a duration such as PT1H30M",
    "bytes": "a string",
    "UUID": "a UUID",
    "URL": "a URL",
}


def sentences(
    errors: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any], schema: Mapping[str, Any]
) -> list[str]:
    """One sentence for each place. The wanted types of a union's members are joined with "or"."""
    wanted: dict[str, list[str]] = {}
    lines: list[str] = []
    unknown: list[str] = []
    for error in errors:
        path = _path(error, arguments)
        if error["type"] in _MISSING:
            lines.append(_missing_message(error, path, schema))
        elif error["type"] in _UNKNOWN and len(error["loc"]) == 1:
            unknown.append(path)
        elif error["type"] in _UNKNOWN:
            lines.append(f"`{path}`: unknown field")
        elif (want := _want(error)) is None:
            lines.append(f"`{path}`: {_plain_message(error)}, got {show_value(error['input'])}")
        else:
            wants = wanted.setdefault(f"{path}\0{show_value(error['input'])}", [])
            if want not in wants:
                wants.append(want)
    for key, wants in wanted.items():
        path, _, got = key.partition("\0")
        lines.append(f"`{path}`: wants {' or '.join(wants)}, got {got}")
    known = list(schema.get("properties", {}))
    return list(dict.fromkeys(explain_unknown(lines, unknown, known, arguments, "this workflow")))


def show_value(value: Any) -> str:
    """A value with its type, cut at 100 characters: `'abc' (str)`."""
    try:
        text = repr(value)
    except Exception:  # repr is the author's code
        text = "an object without repr"
    return f"{text if len(text) <= 100 else text[:97] + '...'} ({type(value).__name__})"


def words(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """The type that a schema wants, in a few words."""
    if "$ref" in schema:
        return words(root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {}), root)
    if "enum" in schema:
        return "one of " + ", ".join(map(repr, schema["enum"]))
    if "const" in schema:
        return repr(schema["const"])
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(dict.fromkeys(words(choice, root) for choice in choices))
    if schema.get("format") in ("date", "time", "uuid", "date-time", "duration"):
        return _WORDS[
            {"uuid": "UUID", "date-time": "datetime", "duration": "timedelta"}.get(schema["format"], schema["format"])
        ]
    return _WORDS.get(schema.get("type", ""), "a value")


def _missing_message(error: Mapping[str, Any], path: str, schema: Mapping[str, Any]) -> str:
    location = error["loc"]
    if len(location) != 1:
        return f"`{path}`: missing"
    return f"`{path}`: missing; wants {words(schema.get('properties', {}).get(location[0], {}), schema)}"


def _want(error: Mapping[str, Any]) -> str | None:
    """The type that a type error wants, in JSON's words; None for another kind of error."""
    message = str(error["msg"])
    found = re.match(r"Input should be (?:a valid |an instance of |an? )?(.+)", message)
    if error["type"] == "int_from_float":
        return "an integer"
    if error["type"] in ("model_type", "dataclass_type", "model_attributes_type"):
        return "an object"
    if found is None:
        return None
    thing = found.group(1).split(",")[0] if error["type"] not in ("enum", "literal_error") else found.group(1)
    first = thing.split(" ")[0].strip("'\"")
    if error["type"] in ("enum", "literal_error"):
        return f"one of {thing}" if " or " in thing or "," in thing else thing
    if first in _WORDS:
        return _WORDS[first]
    return f"a value {thing}" if re.match(r"(greater|less)", thing) else thing


def _plain_message(error: Mapping[str, Any]) -> str:
    """Pydantic's message without the prefix that it puts before an author's own."""
    message = re.sub(r"^(Value|Assertion) error, ", "", str(error["msg"]))
    return message[:1].lower() + message[1:]


def _path(error: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """The error's place as `a.b[2]`, without the union members that pydantic's location also names."""
    first, *rest = error["loc"] or ("arguments",)
    path, current = str(first), arguments.get(str(first))
    for position, part in enumerate(rest):
        if isinstance(current, dict) and part in current:
            path, current = f"{path}.{part}", current[part]
        elif isinstance(current, list | tuple) and isinstance(part, int) and part < len(current):
            path, current = f"{path}[{part}]", current[part]
        elif position == len(rest) - 1 and error["type"] in _MISSING:
            path = f"{path}.{part}"
    return path
