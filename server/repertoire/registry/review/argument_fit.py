"""Argument fit: whether a value that a source gives fits a parameter's JSON Schema, as the callee will read it; used by `callers`.

A callee reads its arguments leniently: text as JSON, numbers as text for numbers, null as absent where there is a default. So a value is
refused only where none of these readings can succeed. Bounds, patterns and formats are not compared: there the answer is "unknown".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from .given_values import Given
from .narrowing import Schema, Within, choices, kind_of

Fit = Literal["fits", "refused", "unknown"]

_ALSO: Final = {
    "integer": {"number": "fits", "boolean": "unknown"},
    "number": {"integer": "unknown", "boolean": "unknown"},
    "boolean": {"integer": "fits", "number": "fits"},
    "string": {"integer": "unknown", "number": "unknown", "boolean": "unknown", "array": "unknown", "object": "unknown", "null": "unknown"},
    "array": {"object": "unknown"},
}  # fmt: skip
"""Other JSON types that a value of one type may be read as. Any other type is refused."""
_WORDS: Final = frozenset({"0", "1", "off", "on", "f", "t", "false", "true", "n", "y", "no", "yes"})
"""Texts that are read as a boolean."""


def fit(given: Given | None, into: Within, *, is_optional: bool) -> Fit:
    """`is_optional`: the parameter has a default, so null counts as absent."""
    if given is None:
        return "unknown"
    found = {_fit_kind(given, kind, into, is_optional=is_optional) for kind in given.kinds}
    return found.pop() if len(found) == 1 else "unknown"


def _fit_kind(given: Given, kind: str, into: Within, *, is_optional: bool) -> Fit:
    if kind == "null" and is_optional:
        return "fits"
    found = {_fit_choice(given, kind, one.kinds, one.values, one.schema) for one in choices(*into)}
    if "fits" in found:
        return _fit_items(given, into) if given.items is not None else "fits"
    return "unknown" if "unknown" in found else "refused"


def _fit_choice(given: Given, kind: str, kinds: frozenset[str] | None, values: list[Any] | None, schema: Schema) -> Fit:
    """Into one alternative of a union."""
    if kinds is None:
        return "unknown"
    if values is not None:
        return _fit_values(given, kind, values)
    if kind in kinds:
        return "unknown" if kind == "string" and not schema.keys().isdisjoint(("format", "pattern")) else "fits"
    if "string" in kinds and "format" in schema:  # a date is read from a number too
        return "unknown"
    found = {_ALSO.get(kind, {}).get(one, "refused") for one in kinds}
    if "fits" in found:
        return "fits"
    if "unknown" not in found:
        return "refused"
    return (
        "unknown" if given.value is msgspec.UNSET or any(_is_read_as(given.value, one) for one in kinds) else "refused"
    )


def _fit_values(given: Given, kind: str, values: list[Any]) -> Fit:
    """Into an enumeration. `True` is not 1 there."""
    if given.value is msgspec.UNSET:
        return "unknown" if kind == "string" or any(kind_of(one) == kind for one in values) else "refused"
    known = [(kind_of(one), one) for one in values]
    if (kind, given.value) in known:
        return "fits"
    return "unknown" if kind != "string" or _json(given.value) is not None else "refused"


def _is_read_as(value: Any, kind: str) -> bool:
    """Whether a literal may be read as this type."""
    if isinstance(value, str):
        read = _json(value.strip())
        if kind == "boolean":
            return value.strip().lower() in _WORDS or read in (0, 1)
        if kind in ("integer", "number"):
            return _is_number(value)
        return read is not None and kind_of(read) == kind
    if kind == "boolean":
        return value in (0, 1)
    return bool(value == int(value)) if kind == "integer" and abs(value) < 1e300 else False


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return isinstance(_json(text), int | float)
    return True


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _fit_items(given: Given, into: Within) -> Fit:
    """The items of a literal list, where one alternative of the schema is a list of one type."""
    lists = [one for one in choices(*into) if one.kinds is not None and "array" in one.kinds]
    items = lists[0].schema.get("items") if len(lists) == 1 else None
    if not isinstance(items, Mapping) or "prefixItems" in lists[0].schema:
        return "fits"
    found = {fit(one, (items, lists[0].root), is_optional=False) for one in given.items or ()}
    return "refused" if "refused" in found else "unknown" if "unknown" in found else "fits"
