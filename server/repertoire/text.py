"""Text made valid Unicode: joins the two halves of a character, replaces a lone half; used wherever text enters or leaves.

Python strings may hold surrogates, the halves of characters beyond U+FFFF: from escapes in JSON and in sources, and from file names that
are no UTF-8. UTF-8, and so every wire, the store and every client, has no form for them.
"""

from __future__ import annotations

import re
from typing import Any, Final

_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_HALF: Final = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """The same text where it is valid. A lone half becomes U+FFFD; a byte of a file name that is no UTF-8 becomes `\\xe9`."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _HALF.sub(_replacement, _PAIR.sub(_joined, text))
    return text


def is_well_formed(text: str) -> bool:
    return text.isascii() or well_formed(text) == text


def well_formed_json(value: Any) -> Any:
    """A JSON value with every text in it valid, keys too. Not for values that are deeper than Python can recurse."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, dict):
        return {
            well_formed(key) if isinstance(key, str) else key: well_formed_json(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [well_formed_json(item) for item in value]
    return value


def cut(text: str, limit: int, more: str) -> str:
    """At most `limit` UTF-16 units, which is how JavaScript counts; what is cut ends at a word and says `more`."""
    if _units(text) <= limit:
        return text
    room = limit - _units(more) - 1
    kept = text.encode("utf-16-le", "surrogatepass")[: room * 2].decode("utf-16-le", "ignore")
    words = kept.rsplit(None, 1)[0] if len(kept.split(None, 1)) > 1 else kept
    return f"{words if len(words) > len(kept) // 2 else kept} {more}"


def _units(text: str) -> int:
    return len(text) + sum(char > "\uffff" for char in text) if not text.isascii() else len(text)


def _joined(match: re.Match[str]) -> str:
    return match[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _replacement(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else "\ufffd"
