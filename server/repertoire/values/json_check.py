"""JSON check: whether a text that came from a worker is JSON that every reader here can read; used by the engine.

Python's reader fails on deep nesting with RecursionError, accepts NaN, and takes a microsecond for each list. So a text is checked without
making its values. An integer may be of any length: `big_integers` reads those. Half a surrogate pair may stand in it, as an escape.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Final

import msgspec

MAX_DEPTH: Final = 300
"""Values inside values. Python's reader comes to some 900, less what its callers have used. Our writer ends at 255."""
SHORT_CHARS: Final = 64 * 1024
"""The depth of a text up to this is found in a few milliseconds."""

_decoder: Final = msgspec.json.Decoder(msgspec.Raw)
_HALF: Final = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_SPACE: Final = r"\\u0020"
"""As long as a half, and valid also where the backslash before it is itself escaped."""
_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_PART: Final = re.compile(r'(?:[^"]{1,4096}|"[^"\\]*(?:\\.[^"\\]*)*"){1,256}')
"""A part that ends outside of a string. Other threads get their turn between two parts."""
_OPENS, _CLOSES = b"[{", b"]}"
_STEPS: Final = bytes(1 if one in _OPENS else 255 if one in _CLOSES else 0 for one in range(256))
_OTHERS: Final = bytes(one for one in range(256) if one not in _OPENS + _CLOSES)


_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)"
)
_ONE_HALF: Final = 6
"""Characters of the escape of half a character."""


class NotJson(ValueError):
    """Raised when the text cannot be read. The message is a part of a sentence."""


def check_json(text: str | None, *, is_object: bool = False) -> None:
    """Raises NotJson. None is no text, and passes. The depth of a long text is not looked at: that takes a thread."""
    if text is None:
        return
    try:
        _decoder.decode(_HALF.sub(_SPACE, text) if "\\u" in text else text)
    except (ValueError, msgspec.MsgspecError) as error:
        raise NotJson(str(error)[:100]) from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    if is_object and not text.lstrip(" \t\r\n").startswith("{"):
        raise NotJson("it is no object")
    if len(text) <= SHORT_CHARS:
        _check_depth(text)


def check_long_json(text: str) -> None:
    """Raises NotJson, with a look at the depth whatever the length. For a thread."""
    check_json(text)
    if len(text) > SHORT_CHARS:
        _check_depth(text)


def without_halves(text: str) -> str:
    """The JSON text with U+FFFD for each half of a character that stands alone. No client could be sent such a half."""
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return _ESCAPE.sub(lambda found: "\\ufffd" if len(found[0]) == _ONE_HALF else found[0], text)


def count_values(text: str, enough: int) -> int:
    """About how many values the text has. Beyond `enough`, a look that takes longer leaves out what stands in strings."""
    found = sum(map(text.count, "[{,"))
    return found if found <= enough else sum(map(_STRING.sub("", text).count, "[{,"))


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for part in _PART.finditer(text):
        brackets = _STRING.sub("", part[0]).encode("ascii", "replace").translate(_STEPS, _OTHERS)
        steps = memoryview(brackets).cast("b")
        if max(accumulate(steps, initial=depth)) > MAX_DEPTH:
            raise NotJson("it is nested too deeply")
        depth += sum(steps)
