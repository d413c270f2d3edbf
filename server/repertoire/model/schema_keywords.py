"""Schema keywords: a table of the JSON Schema keywords that may be copied into a listing, each with a check of its value.

Used by portable_schema.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final

import msgspec

from .portable_pattern import NotPortable, matcher

_MAX_ENUM: Final = 1_000
_MAX_VALUE_CHARS: Final = 4_000
_TYPES: Final = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_BOUNDS: Final = ("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum")
_COUNTS: Final = ("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties")
WRONG: Final = "its value is not what JSON Schema allows"

# Each check returns None, or why the keyword cannot be listed.


def _type_problem(value: Any) -> str | None:
    kinds = value if isinstance(value, list) else [value]
    fine = kinds and all(isinstance(one, str) and one in _TYPES for one in kinds) and len(set(kinds)) == len(kinds)
    return None if fine else WRONG


def _number_problem(value: Any) -> str | None:
    return None if _is_number(value) else WRONG


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and _fits_64_bits(value)
    )


def _fits_64_bits(value: float) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**64


def _multiple_problem(value: Any) -> str | None:
    return None if _is_number(value) and value > 0 else WRONG


def _count_problem(value: Any) -> str | None:
    return None if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else WRONG


def _flag_problem(value: Any) -> str | None:
    return None if isinstance(value, bool) else WRONG


def _text_problem(value: Any) -> str | None:
    return None if isinstance(value, str) and len(value) <= _MAX_VALUE_CHARS else WRONG


def _names_problem(value: Any) -> str | None:
    fine = isinstance(value, list) and all(isinstance(one, str) for one in value) and len(set(value)) == len(value)
    return None if fine else WRONG


def _dependent_problem(value: Any) -> str | None:
    fine = isinstance(value, dict) and all(_names_problem(one) is None for one in value.values())
    return None if fine else WRONG


def pattern_problem(value: Any) -> str | None:
    if not isinstance(value, str):
        return WRONG
    try:
        matcher(value)
    except NotPortable as error:
        return f"regular expressions do not mean the same everywhere: {error}"
    return None


def value_problem(value: Any) -> str | None:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
        msgspec.msgpack.encode(value)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return "it has no JSON form that every host reads"
    return None if len(text) <= _MAX_VALUE_CHARS else "it is too long for a listing"


def _enum_problem(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return WRONG
    if len(value) > _MAX_ENUM or sum(len(one) for one in value if isinstance(one, str)) > 10 * _MAX_VALUE_CHARS:
        return "it is too long for a listing"
    shown = [json.dumps(one, sort_keys=True, default=repr) for one in value]
    return WRONG if len(set(shown)) < len(shown) else next((why for one in value if (why := value_problem(one))), None)


COPIED: Final[dict[str, Callable[[Any], str | None]]] = {
    "type": _type_problem, "enum": _enum_problem, "const": value_problem, "multipleOf": _multiple_problem,
    "pattern": pattern_problem, "required": _names_problem, "dependentRequired": _dependent_problem,
    "contentEncoding": _text_problem, "contentMediaType": _text_problem,
    **dict.fromkeys(_BOUNDS, _number_problem), **dict.fromkeys(_COUNTS, _count_problem),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), _flag_problem),
}  # fmt: skip
UNSUPPORTED: Final = frozenset(
    {
        "not", "if", "then", "else", "contains", "minContains", "maxContains", "propertyNames", "dependentSchemas", "dependencies",
        "unevaluatedItems",
        "unevaluatedProperties", "$dynamicRef", "$recursiveRef", "contentSchema",
    }
)  # fmt: skip
"""Keywords that hosts read differently, or that would make the whole narrower when a part of them is widened."""
