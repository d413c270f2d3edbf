"""Narrowing: whether a new JSON Schema refuses values that the old one allowed; used by `callers`.

Types, enumerated values, string formats and items of lists are compared. In doubt, nothing is narrowed; bounds are not compared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

Schema = Mapping[str, Any]
Within = tuple[Any, Schema]
"""A schema, and the root schema that holds its definitions."""

_DEEPEST: Final = 4
"""Levels of lists that are compared. Twice as many levels of references and unions are followed."""
_MOST_CHOICES: Final = 16
"""Alternatives of a union that are followed. A union inside a later one counts as saying nothing."""
_KINDS: Final = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
"""JSON types of the Python types that JSON is read as."""
_SHOWN: Final = {
    "string": "a string", "integer": "an integer", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "an object",
}  # fmt: skip


class _Choice(msgspec.Struct, frozen=True):
    """An alternative of a union. `kinds` are its JSON types, `values` its allowed values; None: any, or not stated."""

    schema: Schema
    root: Schema
    kinds: frozenset[str] | None
    values: list[Any] | None


def narrower(before: Within, after: Within, depth: int = 0) -> str | None:
    """A value that the old schema allowed and the new one does not, as the end of a sentence; None if nothing was found."""
    old, new = choices(*before), choices(*after)
    if depth == _DEEPEST or any(one.kinds is None for one in (*old, *new)):
        return None
    for one in old:
        for kind in sorted(one.kinds or ()):
            if why := _narrower_kind(one, kind, [each for each in new if _takes(each, kind)], depth):
                return why
    return None


def _narrower_kind(one: _Choice, kind: str, takers: list[_Choice], depth: int) -> str | None:
    """The same for the values of one alternative that have one JSON type. `takers` are the new alternatives that take this type."""
    if not takers:
        return f"may no longer be {_SHOWN.get(kind, kind)}"
    allowed = [each.values for each in takers]
    if None not in allowed:
        left = [value for values in allowed for value in values or ()]
        if one.values is None:
            return f"must now be one of {_join(left)}"
        known = set(map(repr, left))
        if gone := [value for value in one.values if kind_of(value) == kind and repr(value) not in known]:
            return f"may no longer be {_join(gone)}"
    forms = {str(each.schema.get("format", "")) for each in takers}
    if kind == "string" and one.values is None and not forms & {"", one.schema.get("format", "")}:
        return f"must now be a string in the form {' or '.join(sorted(forms))}"
    if kind == "array" and len(takers) == 1:
        was, now = ((each.schema.get("items"), each.root) for each in (one, takers[0]))
        if why := narrower(was, now, depth + 1):
            return f"is a list whose items changed: an item {why}"
    return None


def _takes(one: _Choice, kind: str) -> bool:
    kinds = one.kinds or frozenset()
    return kind in kinds or (kind == "integer" and "number" in kinds)


def choices(schema: Any, root: Schema) -> list[_Choice]:
    """The alternatives of a union, with references followed and nested unions flattened. Without a union, the schema itself."""
    found: list[_Choice] = []
    waiting = [(schema, 0)]
    while waiting:
        one, depth = waiting.pop()
        one = one if isinstance(one, Mapping) else {}
        inner = one.get("anyOf") or one.get("oneOf") or []
        if "$ref" in one:
            inner = [(root.get("$defs") or {}).get(str(one["$ref"]).removeprefix("#/$defs/"))]
        if not inner or depth == 2 * _DEEPEST or len(found) > _MOST_CHOICES:
            values = _values(one)
            found.append(_Choice(one, root, _kinds(one, values), values))
        else:
            waiting += [(each, depth + 1) for each in reversed(inner)]
    return found


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    said = schema.get("enum")
    return said if isinstance(said, list) else None


def _kinds(schema: Schema, values: list[Any] | None) -> frozenset[str] | None:
    said = schema.get("type")
    if said:
        return frozenset([said] if isinstance(said, str) else map(str, said))
    return None if values is None else frozenset(map(kind_of, values))


def kinds_text(kinds: Collection[str]) -> str:
    """`an integer or null`."""
    return " or ".join(_SHOWN.get(kind, kind) for kind in sorted(kinds))


def takes(into: Within) -> str:
    """What a schema takes, in words: its values, or its types."""
    found = choices(*into)
    values = [value for one in found for value in one.values or ()]
    if values:
        return f"one of {_join(values)}"
    return kinds_text({kind for one in found for kind in one.kinds or ()}) or "anything"


def kind_of(value: Any) -> str:
    return _KINDS.get(type(value), "null")


def _join(values: list[Any]) -> str:
    return ", ".join(repr(value)[:60] for value in values[:6])
