"""Sanitizing: makes a body's texts and values safe to put into a frame; used for events, labels and faults.

`clean` gives valid Unicode of bounded length. `plain` gives a bounded JSON value.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from ...text import well_formed, well_formed_json
from ...values.big_integers import decimal
from ...values.result_json import unbox

_MAX_DIGITS = 64 * 1024
_MAX_ARRAY_BYTES = 64 * 1024
_MAX_INT, _MIN_INT = 2**64 - 1, -(2**63)


def clean(text: str, limit: int) -> str:
    """The text with valid Unicode. Longer than `limit` characters, it is cut and says how many were cut."""
    if len(text) > limit:
        text = f"{text[:limit]}… [{len(text) - limit} characters cut]"
    if text.isascii():
        return text
    return well_formed(text)


def plain(value: Any, limit: int) -> Any:
    """A JSON value for an event. Models become objects, NaN becomes null, a value without a JSON form becomes its repr."""
    if value is None or isinstance(value, bool):
        return value
    if type(value) is str:
        return clean(value, limit)
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is int:
        return value if _MIN_INT <= value <= _MAX_INT else decimal(value, limit)
    return _plain_structure(value, limit)


def describe(value: Any) -> str:
    """The repr of any value, also where the value's own repr raises."""
    try:
        return decimal(value, _MAX_DIGITS) if type(value) is int else repr(value)
    except Exception as error:  # repr is the author's code
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"


def _plain_structure(value: Any, limit: int) -> Any:
    from pydantic_core import from_json

    try:
        text = _json_of(value)
        if len(text) > limit:
            return clean(text.decode(), limit)
        return _with_small_integers(from_json(text))
    except (ValueError, TypeError, RecursionError):
        return clean(describe(value), limit)


def _json_of(value: Any) -> bytes:
    from pydantic_core import to_json, to_jsonable_python

    try:
        return to_json(value, inf_nan_mode="null", bytes_mode="base64", fallback=_fallback)
    except ValueError as error:
        if "surrogates not allowed" not in str(error):
            raise
    plain = to_jsonable_python(well_formed_json(value), bytes_mode="base64", fallback=_fallback)
    return to_json(well_formed_json(plain), inf_nan_mode="null")


def _fallback(value: Any) -> Any:
    """Fallback for types unknown to pydantic: numpy's numbers and short arrays as Python's, any other value as its repr."""
    try:
        return unbox(value, _MAX_ARRAY_BYTES)
    except (TypeError, ValueError):
        return describe(value)


def _with_small_integers(value: Any) -> Any:
    """The value with integers beyond 64 bits as text: msgpack has no larger ones."""
    try:
        msgspec.msgpack.encode(value)
    except OverflowError:
        if isinstance(value, dict):
            return {key: _with_small_integers(item) for key, item in value.items()}
        return [_with_small_integers(item) for item in value] if isinstance(value, list) else str(value)
    return value
