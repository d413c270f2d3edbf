"""Output check: `fitting` compiles a listed output schema into a function that checks results; used before each answer.

Clients discard an answer that does not fit. A schema from `portable_output` has few keywords, so a check costs about a microsecond a
value, and no pattern in it can take long. Where readers of JSON Schema differ, it refuses.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from datetime import date
from typing import Any, Final

from .portable_pattern import matcher

Check = Callable[[Any], str | None]
"""Returns the location of a value that does not fit; None: everything fits."""

_KINDS: Final[dict[str, frozenset[type]]] = {
    "object": frozenset({dict}), "array": frozenset({list}), "string": frozenset({str}), "boolean": frozenset({bool}),
    "null": frozenset({type(None)}), "number": frozenset({int, float}), "integer": frozenset({int}),
}  # fmt: skip
"""Values come from a JSON parser, so they have exactly these types."""
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.I | re.A)
_IPV4: Final = re.compile(r"[0-9.]+")


def fitting(schema: dict[str, Any]) -> Check:
    """The check of a whole schema, with the definitions in its root."""
    checks: dict[str, Check] = {}

    def reference(name: str) -> Check:
        return lambda value: checks[name](value)

    checks.update({name: _check(one, reference) for name, one in schema.get("$defs", {}).items()})
    return _check(schema, reference)


def _check(schema: dict[str, Any], reference: Callable[[str], Check]) -> Check:
    """One check for each keyword, or group of keywords. A check for another type of value passes."""
    makers = [make for keyword, make in _SINGLE.items() if keyword in schema]
    makers += [make for make, keywords in _GROUPS.items() if any(keyword in schema for keyword in keywords)]
    checks = [make(schema, reference) for make in makers]
    if not checks:
        return _pass
    if len(checks) == 1:
        return checks[0]

    def check(value: Any) -> str | None:
        for one in checks:
            if (location := one(value)) is not None:
                return location
        return None

    return check


def _pass(value: Any) -> str | None:
    return None


def _verdict(fits: Callable[[Any], bool]) -> Check:
    return lambda value: None if fits(value) else ""


def _type(schema: dict[str, Any], reference: Callable[[str], Check]) -> Check:
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    types = frozenset[type]().union(*(_KINDS[kind] for kind in kinds))
    if "integer" not in kinds or "number" in kinds:
        return lambda value: None if type(value) in types else ""
    return lambda value: None if type(value) in types or (type(value) is float and value.is_integer()) else ""


def _enum(schema: dict[str, Any], reference: Callable[[str], Check]) -> Check:
    allowed = {_key(one) for one in (schema["enum"] if "enum" in schema else [schema["const"]])}
    return _verdict(lambda value: _key(value) in allowed)


def _key(value: Any) -> str:
    """A text that is equal for values that are equal in JSON: 1 and 1.0, not 1 and true."""
    return json.dumps(_whole(value), sort_keys=True)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return {key: _whole(item) for key, item in value.items()} if isinstance(value, dict) else value


def _numbers(schema: dict[str, Any], reference: Callable[[str], Check]) -> Check:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below, step = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum"), schema.get("multipleOf")

    def fits(value: Any) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return True
        if (low is not None and value < low) or (high is not None and value > high):
            return False
        if (above is not None and value <= above) or (below is not None and value >= below):
            return False
        return step is None or value % step == 0

    return _verdict(fits)


def _texts(schema: dict[str, Any], reference: Callable[[str], Check]) -> Check:
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    fits_pattern = matcher(schema["pattern"]) if "pattern" in schema else None

    def fits(value: Any) -> bool:
        if not isinstance(value, str):
            return True
        if len(value) < low or (high is not None and len(value) > high):
            return False
        return fits_pattern is None or fits_pattern(value)

    return _verdict(fits)


def _format(schema: dict[str, Any], reference: Callable[[str], Check]) -> Check:
    fits = _FORMATS[schema["format"]]
    return _verdict(lambda value: not isinstance(value, str) or fits(value))


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and text[4] == "-" and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_ipv4(text: str) -> bool:
    try:
        return _IPV4.fullmatch(text) is not None and ipaddress.IPv4Address(text) is not None
    except ValueError:
        return False


_FORMATS: Final[dict[str, Callable[[str], bool]]] = {
    "date": _is_date, "ipv4": _is_ipv4, "uuid": lambda text: _UUID.fullmatch(text) is not None,
}  # fmt: skip


def _lists(schema: dict[str, Any], reference: Callable[[str], Check]) -> Check:
    low, high, unique = schema.get("minItems", 0), schema.get("maxItems"), schema.get("uniqueItems", False)
    first = [_check(one, reference) for one in schema.get("prefixItems", ())]
    every = _check(schema.get("items", {}), reference)

    def check(value: Any) -> str | None:
        if not isinstance(value, list):
            return None
        if len(value) < low or (high is not None and len(value) > high):
            return ""
        if unique and len({_key(item) for item in value}) < len(value):
            return ""
        for n, one in enumerate(first[: len(value)]):
            if (location := one(value[n])) is not None:
                return f"[{n}]{location}"
        if every is not _pass:
            for n, item in enumerate(value):
                if (location := every(item)) is not None:
                    return f"[{n}]{location}"
        return None

    return check


def _objects(schema: dict[str, Any], reference: Callable[[str], Check]) -> Check:
    known = {name: _check(one, reference) for name, one in schema.get("properties", {}).items()}
    patterns = [(matcher(text), _check(one, reference)) for text, one in schema.get("patternProperties", {}).items()]
    more = schema.get("additionalProperties", True)
    others = (lambda value: "") if more is False else _pass if more is True else _check(more, reference)
    required, dependent = schema.get("required", ()), schema.get("dependentRequired", {})
    low, high = schema.get("minProperties", 0), schema.get("maxProperties")

    def member(name: str, value: Any) -> str | None:
        checks = [known[name]] if name in known else []
        checks += [check for fits, check in patterns if fits(name)]
        if not checks:
            return others(value)
        return next((location for check in checks if (location := check(value)) is not None), None)

    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return None
        for name in required:
            if name not in value:
                return f".{name}"
        if len(value) < low or (high is not None and len(value) > high):
            return ""
        for name, needs in dependent.items():
            if name in value and any(other not in value for other in needs):
                return ""
        for name, item in value.items():
            location = member(name, item) if patterns else known.get(name, others)(item)
            if location is not None:
                return f".{name}{location}"
        return None

    return check


def _any_of(schema: dict[str, Any], reference: Callable[[str], Check]) -> Check:
    if all(one.keys() == {"type"} for one in schema["anyOf"]):  # the most common: a number or null
        kinds = [one["type"] for one in schema["anyOf"]]
        return _type({"type": [kind for one in kinds for kind in ([one] if isinstance(one, str) else one)]}, reference)
    branches = [_check(one, reference) for one in schema["anyOf"]]

    def check(value: Any) -> str | None:
        locations = []
        for one in branches:
            if (location := one(value)) is None:
                return None
            locations.append(location)
        return max(locations, key=len)

    return check


def _all_of(schema: dict[str, Any], reference: Callable[[str], Check]) -> Check:
    branches = [_check(one, reference) for one in schema["allOf"]]
    return lambda value: next((location for one in branches if (location := one(value)) is not None), None)


def _ref(schema: dict[str, Any], reference: Callable[[str], Check]) -> Check:
    return reference(schema["$ref"].removeprefix("#/$defs/"))


def _never(schema: dict[str, Any], reference: Callable[[str], Check]) -> Check:
    return lambda value: ""


_GROUPS: Final[dict[Callable[[dict[str, Any], Callable[[str], Check]], Check], tuple[str, ...]]] = {
    _numbers: ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    _texts: ("minLength", "maxLength", "pattern"),
    _lists: ("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    _objects: (
        "properties", "patternProperties", "additionalProperties", "required", "dependentRequired", "minProperties", "maxProperties",
    ),
}  # fmt: skip
_SINGLE: Final[dict[str, Callable[[dict[str, Any], Callable[[str], Check]], Check]]] = {
    "type": _type, "enum": _enum, "const": _enum, "format": _format, "anyOf": _any_of, "allOf": _all_of, "$ref": _ref, "not": _never,
}  # fmt: skip
