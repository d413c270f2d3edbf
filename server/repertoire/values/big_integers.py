"""Big integers: reads and writes JSON whose integers have more than 4,300 digits.

Python, pydantic and msgspec read at most 4,300 digits, because reading more takes long. The rule: an integer of up to 4,300 digits
is a number. A longer one is text in a result without a declared type. If the type promises an integer, the client gets the result
as text in parts. Used by the worker (results), the envelope, and code that reads a stored result.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

MAX_DIGITS: Final = 4_300
_LONG: Final = re.compile(r"\d{4301}")
_CHUNK: Final = 4_000


def has_long(text: str) -> bool:
    """True if JSON text may hold an integer that `json.loads` refuses."""
    return len(text) > MAX_DIGITS and _LONG.search(text) is not None


def is_readable(text: str) -> bool:
    """True if every JSON reader accepts the text."""
    if not has_long(text):
        return True
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def with_text(text: str) -> str:
    """The JSON text with each long integer as a string of its digits. Without long integers, the same text."""
    return json.dumps(json.loads(text, parse_int=_as_text)) if has_long(text) else text


def loads(text: str) -> Any:
    """Like `json.loads`, but reads integers of any length."""
    return json.loads(text, parse_int=_whole) if has_long(text) else json.loads(text)


def decimal(value: int, limit: int) -> str:
    """The decimal digits of `value`. Beyond `limit` digits, a short description: writing digits takes quadratic time."""
    if value.bit_length() * 0.30103 > limit:
        return f"an integer of {value.bit_length()} bits"
    sign, left, parts = ("-" if value < 0 else ""), abs(value), []
    base = 10**_CHUNK
    while left >= base:
        left, part = divmod(left, base)
        parts.append(f"{part:0{_CHUNK}d}")
    return sign + str(left) + "".join(reversed(parts))


def _as_text(digits: str) -> int | str:
    return int(digits) if len(digits.lstrip("-")) <= MAX_DIGITS else digits


def _whole(digits: str) -> int:
    """Read an integer in chunks: Python limits the digits of one read, not the size of the number."""
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits)
    value = 0
    for start in range(0, len(digits), _CHUNK):
        piece = digits[start : start + _CHUNK]
        value = value * 10 ** len(piece) + int(piece)
    return sign * value
