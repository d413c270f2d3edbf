"""Portable schema: turns a JSON Schema into one that every host compiles and every model provider accepts; used by tool_listings.py.

`portable_input` and `portable_output` are pure functions.

1. The result is valid under the 2020-12 meta-schema, and means the same to a reader of draft 7.
2. Keywords are copied by a table (schema_keywords.py), each with a check of its value. So no unknown keyword gets in.
3. An input schema may become wider: the worker checks every argument by the types themselves.
4. An output schema is widened where JSON differs from Python: a number may be null (NaN), a time may have no time zone.
   `model/output_check.py` checks each answer against it.
5. `left_out` names each keyword that was not copied, and why.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from ..text import cut, readable
from .schema_keywords import COPIED, UNSUPPORTED, WRONG, pattern_problem, value_problem

PROPERTY: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
"""Property names that the largest provider accepts. Another name makes it refuse the whole request."""
DESCRIPTION_UNITS: Final = 1024
_TITLE_UNITS: Final = 200
_MAX_DEPTH: Final = 40
_MAX_MENTIONED: Final = 20
_MORE: Final = "…"

_FORMATS: Final = frozenset(
    {"date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uri-reference", "uuid", "json-pointer"}
)  # fmt: skip
FORMATS_GIVEN: Final = frozenset({"date", "uuid", "ipv4"})
"""Formats of results that mean the same to hosts and Python."""
_SAID: Final = {
    "date-time": "ISO 8601 date and time, without an offset where it has no time zone.",
    "time": "ISO 8601 time of day, without an offset where it has no time zone.",
    "duration": "ISO 8601 duration.",
}
"""Formats that hosts check more strictly than Python writes them: described in words instead."""
_WITHIN_ROOT: Final = ("anyOf", "oneOf", "allOf", "not", "if", "then", "else", "enum", "const")
"""Refused by providers in the root of a tool's input."""


class LeftOut(msgspec.Struct, frozen=True):
    """A keyword that is not listed. `location` is its path in the schema, `why` a part of a sentence."""

    location: str
    keyword: str
    why: str


class Portable(msgspec.Struct, frozen=True):
    """A listed schema. `aliases` maps a listed name to the parameter's own name."""

    schema: dict[str, Any]
    left_out: tuple[LeftOut, ...] = ()
    aliases: dict[str, str] = {}


def portable_input(schema: Mapping[str, Any], taken: Iterable[str] = ()) -> Portable:
    """The schema of a tool's arguments. No parameter gets a name in `taken`."""
    names = _aliases(schema.get("properties"), taken)
    root = {key: value for key, value in schema.items() if key not in _WITHIN_ROOT}
    converted = _Conversion(schema, is_output=False)
    for key in schema:
        if key in _WITHIN_ROOT:
            converted.leave_out("", key, "providers take no such keyword in the root")
    if names:
        root = _rename(root, names)
    listed = {"type": "object", "properties": {}, **converted.schema({**root, "type": "object"}, "", 0)}
    return Portable(
        converted.with_definitions(listed), tuple(converted.left_out), {alias: name for name, alias in names.items()}
    )


def portable_output(schema: Mapping[str, Any]) -> Portable:
    """The schema of a result. An empty schema stays empty."""
    converted = _Conversion(schema, is_output=True)
    listed = converted.schema(dict(schema), "", 0)
    return Portable(converted.with_definitions(listed), tuple(converted.left_out))


class _Conversion:
    """The conversion of one schema. Its references point into `root`."""

    def __init__(self, root: Mapping[str, Any], *, is_output: bool) -> None:
        self._root = root
        self._is_output = is_output
        self._names: dict[str, str] = {}
        self._waiting: list[tuple[str, dict[str, Any]]] = []
        self.left_out: list[LeftOut] = []

    def leave_out(self, location: str, keyword: str, why: str) -> None:
        self.left_out.append(LeftOut(location, keyword, why))

    def with_definitions(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema with the definitions that it refers to. Converting one may add further ones."""
        definitions: dict[str, Any] = {}
        while self._waiting:
            name, source = self._waiting.pop()
            definitions[name] = self.schema(source, name, 0)
        return {**schema, "$defs": dict(sorted(definitions.items()))} if definitions else schema

    def schema(self, source: Any, location: str, depth: int) -> dict[str, Any]:
        if isinstance(source, bool):
            return {} if source else {"not": {}}
        if not isinstance(source, dict) or depth > _MAX_DEPTH:
            self.leave_out(location, "schema", "it is no schema" if depth <= _MAX_DEPTH else "it is too deep")
            return {}
        listed: dict[str, Any] = {}
        for keyword, value in source.items():
            self._copy(listed, keyword, value, location, depth)
        self._array(listed, source, location, depth)
        self._object(listed, source, location, depth)
        return self._widen(listed) if self._is_output else listed

    def _copy(self, listed: dict[str, Any], keyword: str, value: Any, location: str, depth: int) -> None:
        """Copy a keyword that depends on no other."""
        if keyword in COPIED:
            if (why := COPIED[keyword](value)) is None:
                listed[keyword] = value
            else:
                self.leave_out(location, keyword, why)
        elif keyword in ("title", "description") and isinstance(value, str):
            listed[keyword] = cut(readable(value), _TITLE_UNITS if keyword == "title" else DESCRIPTION_UNITS, _MORE)
        elif keyword in ("default", "examples"):
            if value_problem(value) is None and (keyword == "default" or isinstance(value, list)):
                listed[keyword] = value
        elif keyword == "format":
            self._format(listed, value, location)
        elif keyword == "$ref":
            self._reference(listed, value, location)
        elif keyword in ("anyOf", "oneOf", "allOf"):
            self._branches(listed, keyword, value, location, depth)
        elif keyword == "not" and value == {}:
            listed["not"] = {}  # nothing fits: `Never`
        elif keyword.startswith("x-") and value_problem(value) is None:
            listed[keyword] = value
        elif keyword in UNSUPPORTED:
            self.leave_out(location, keyword, "hosts do not agree on it")

    def _format(self, listed: dict[str, Any], value: Any, location: str) -> None:
        if not isinstance(value, str):
            self.leave_out(location, "format", WRONG)
        elif value in (FORMATS_GIVEN if self._is_output else _FORMATS):
            listed["format"] = value
        elif self._is_output and value in _SAID:
            listed.setdefault("description", _SAID[value])

    def _reference(self, listed: dict[str, Any], value: Any, location: str) -> None:
        found = self._definition_name(value) if isinstance(value, str) else None
        if found is None:
            self.leave_out(location, "$ref", "it does not point into this schema")
        else:
            listed["$ref"] = f"#/$defs/{found}"

    def _definition_name(self, reference: str) -> str | None:
        """The name of the definition that a reference becomes; None where it points to nothing."""
        if reference in self._names:
            return self._names[reference]
        if not reference.startswith("#") or (reference != "#" and not reference.startswith("#/")):
            return None
        target: Any = self._root
        parts = [unquote(part).replace("~1", "/").replace("~0", "~") for part in reference[1:].split("/")[1:]]
        for part in parts:
            if isinstance(target, list) and part.isdecimal() and int(part) < len(target):
                target = target[int(part)]
            elif isinstance(target, dict) and part in target:
                target = target[part]
            else:
                return None
        if not isinstance(target, dict):
            return None
        name = _plain_name(parts[-1] if parts else "root", set(self._names.values()), "definition")
        self._names[reference] = name
        self._waiting.append((name, target))
        return name

    def _branches(self, listed: dict[str, Any], keyword: str, value: Any, location: str, depth: int) -> None:
        if not isinstance(value, list) or not value:
            self.leave_out(location, keyword, WRONG)
            return
        before = len(self.left_out)
        branches = [self.schema(one, location, depth + 1) for one in value]
        if keyword == "oneOf" and (self._is_output or len(self.left_out) > before):
            keyword = "anyOf"  # wider branches may overlap
        if keyword == "anyOf":
            branches = _flat(branches)
        if keyword in listed:  # the source has both anyOf and oneOf
            listed["allOf"] = [*listed.get("allOf", []), {keyword: branches}]
        elif keyword == "allOf" and "allOf" in listed:
            listed["allOf"] += branches
        else:
            listed[keyword] = branches

    def _array(self, listed: dict[str, Any], source: dict[str, Any], location: str, depth: int) -> None:
        """Add `items` beside `prefixItems`: some hosts refuse an array without it, and readers of draft 7 apply it to every item."""
        kinds = listed.get("type")
        tuple_like = source.get("prefixItems", source["items"] if isinstance(source.get("items"), list) else None)
        rest = source.get("additionalItems") if isinstance(source.get("items"), list) else source.get("items")
        if tuple_like is None and rest is None:
            if kinds == "array" or (isinstance(kinds, list) and "array" in kinds):
                listed["items"] = {}
            return
        if tuple_like is None:
            listed["items"] = self.schema(rest, _below(location, "[]"), depth + 1)
            return
        if not isinstance(tuple_like, list) or not tuple_like:
            self.leave_out(location, "prefixItems", WRONG)
            listed["items"] = {}
            return
        first = [self.schema(one, _below(location, f"[{n}]"), depth + 1) for n, one in enumerate(tuple_like)]
        listed["prefixItems"] = first
        most = listed.get("maxItems")
        if rest is False:
            most = listed["maxItems"] = min(len(first), most if isinstance(most, int) else len(first))
        elif not (isinstance(most, int) and most <= len(first)):
            first = [*first, {} if rest is None else self.schema(rest, _below(location, "[]"), depth + 1)]
        choices = _flat(first)
        listed["items"] = choices[0] if len(choices) == 1 else {} if {} in choices else {"anyOf": choices}

    def _object(self, listed: dict[str, Any], source: dict[str, Any], location: str, depth: int) -> None:
        hidden: list[str] = []
        if "properties" in source:
            listed["properties"] = self._properties(source["properties"], hidden, location, depth)
        is_open = bool(hidden)
        if "patternProperties" in source:
            is_open |= not self._patterns(listed, source["patternProperties"], location, depth)
        if "required" in listed:
            listed["required"] = [name for name in listed["required"] if name not in hidden]
        if "additionalProperties" in source and not is_open:
            more = source["additionalProperties"]
            listed["additionalProperties"] = (
                more if isinstance(more, bool) else self.schema(more, _below(location, "*"), depth + 1)
            )
        if hidden:
            said = f"{listed.get('description', '')} Also: {', '.join(f'`{name[:100]}`' for name in hidden[:_MAX_MENTIONED])}."
            listed["description"] = cut(said.strip(), DESCRIPTION_UNITS, _MORE)

    def _properties(self, properties: Any, hidden: list[str], location: str, depth: int) -> dict[str, Any]:
        """The properties that have portable names. The names of the others are added to `hidden`."""
        if not isinstance(properties, dict):
            self.leave_out(location, "properties", WRONG)
            return {}
        listed = {}
        for name, schema in properties.items():
            if PROPERTY.fullmatch(name):
                listed[name] = self.schema(schema, _below(location, name), depth + 1)
            else:
                hidden.append(name)
                self.leave_out(_below(location, name), "properties", "its name is not one that every provider takes")
        return listed

    def _patterns(self, listed: dict[str, Any], patterns: Any, location: str, depth: int) -> bool:
        """Copy the patterns. False: some are left out."""
        if not isinstance(patterns, dict):
            self.leave_out(location, "patternProperties", WRONG)
            return False
        kept = {}
        for pattern, schema in patterns.items():
            if (why := pattern_problem(pattern)) is None:
                kept[pattern] = self.schema(schema, _below(location, pattern), depth + 1)
            else:
                self.leave_out(location, "patternProperties", why)
        if kept:
            listed["patternProperties"] = kept
        return len(kept) == len(patterns)

    def _widen(self, listed: dict[str, Any]) -> dict[str, Any]:
        """Widen the schema of a result: JSON has no NaN and no infinities, so they become null."""
        kinds = listed.get("type")
        if (listed.get("multipleOf") or 1) % 1:  # hosts divide floats, and 0.3 % 0.1 is not 0
            del listed["multipleOf"]
        if "enum" in listed or "const" in listed:
            return listed
        if isinstance(kinds, list) and "number" in kinds and "null" not in kinds:
            return {**listed, "type": [*kinds, "null"]}
        if kinds != "number":
            return listed
        outside: dict[str, Any] = {
            key: listed.pop(key) for key in ("title", "description", "default", "examples") if key in listed
        }
        return {"anyOf": [listed, {"type": "null"}], **outside}


def _flat(branches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each branch once, with the branches of an inner anyOf."""
    flat: list[dict[str, Any]] = []
    for branch in branches:
        for one in branch["anyOf"] if branch.keys() == {"anyOf"} else [branch]:
            if one not in flat:
                flat.append(one)
    return flat


def _below(location: str, name: str) -> str:
    return f"{location}.{name}" if location and not name.startswith("[") else f"{location}{name}"


def _aliases(properties: Any, taken: Iterable[str]) -> dict[str, str]:
    """A portable name for each parameter that has none."""
    if not isinstance(properties, dict):
        return {}
    used = {*properties, *taken}
    names: dict[str, str] = {}
    for name in properties:
        if not PROPERTY.fullmatch(name):
            names[name] = _plain_name(name, used, "parameter")
            used.add(names[name])
    return names


def _plain_name(name: str, used: set[str], fallback: str) -> str:
    """The nearest ASCII name that is not in `used`."""
    if PROPERTY.fullmatch(name) and name not in used:
        return name
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    plain = re.sub(r"[^a-zA-Z0-9_.-]+", "_", "".join(c for c in letters if not unicodedata.combining(c)))
    plain = (plain if re.search("[a-zA-Z0-9]", plain) else fallback)[:56]
    candidates = (plain, *(f"{plain}_{n}" for n in range(2, len(used) + 3)))
    return next(one for one in candidates if one not in used)


def _rename(schema: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The root with portable names of its properties. Each description has the own name."""
    renamed = dict(schema)
    renamed["properties"] = {
        names.get(name, name): _with_own_name(name, one) if name in names else one
        for name, one in schema["properties"].items()
    }
    if isinstance(schema.get("required"), list):
        renamed["required"] = [names.get(name, name) if isinstance(name, str) else name for name in schema["required"]]
    return renamed


def _with_own_name(name: str, schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    said = schema.get("description")
    return {**schema, "description": f"`{name[:200]}`" + (f": {said}" if isinstance(said, str) and said else "")}
