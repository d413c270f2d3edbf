"""Text: makes text valid Unicode (`well_formed`), cuts it (`cut`), finds lines again (`line_in`); used where text enters or leaves.

Python strings may hold surrogates, the halves of characters beyond U+FFFF. They come from escapes in JSON and in sources, and from file
names that are not UTF-8. UTF-8 has no form for them, and so neither have the wire, the store and the clients. `well_formed` joins two
halves to one character and replaces a lone half.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_NEWLINE: Final = re.compile("\r\n|\r")
_HALF: Final = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """The text as valid Unicode. A lone half becomes U+FFFD. A byte of a file name that is not UTF-8 becomes `\\xe9`."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _HALF.sub(_replacement, _PAIR.sub(_join, text))
    return text


def readable(text: str) -> str:
    """The text without characters that nobody sees or that turn it around: controls but newline and tab, format and private ones."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one for one in text if one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cf", "Co"))


def escaped(text: str) -> str:
    """The text with characters that nobody sees, or that turn it around or move a cursor, as escapes. A person decides by such a text."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else _escape(one) for one in text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_well_formed(text: str) -> bool:
    return text.isascii() or well_formed(text) == text


def well_formed_json(value: Any) -> Any:
    """The JSON value with valid text only, keys too. Not for values that are nested more deeply than Python can recurse."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, dict):
        return {
            well_formed(key) if isinstance(key, str) else key: well_formed_json(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [well_formed_json(item) for item in value]
    return value


def line_in(source: str, text: str, line: int) -> int:
    """The line of the source of a line of `text`, which is the source with lines added and words put before lines."""
    given, made = _NEWLINE.sub("\n", source).split("\n"), text.split("\n")
    if given[line - 1 : line] == made[line - 1 : line]:
        return line
    return max(line - (len(made) - len(given)), 1)


def column_in(source: str, text: str, line: int, column: int) -> int:
    """The column in the source of a column of a line of `text`: words were put before that line."""
    given, made = _NEWLINE.sub("\n", source).split("\n"), text.split("\n")
    added = len(made[line - 1]) - len(given[line_in(source, text, line) - 1])
    return max(column - added, 0)


def cut(text: str, limit: int, more: str) -> str:
    """The text, cut to `limit` UTF-16 units, as JavaScript counts. A cut text ends at a word, with `more` after it."""
    if _units(text) <= limit:
        return text
    room = limit - _units(more) - 1
    kept = text.encode("utf-16-le", "surrogatepass")[: room * 2].decode("utf-16-le", "ignore")
    words = kept.rsplit(None, 1)[0] if len(kept.split(None, 1)) > 1 else kept
    return f"{words if len(words) > len(kept) // 2 else kept} {more}"


def _units(text: str) -> int:
    return len(text) + sum(char > "\uffff" for char in text) if not text.isascii() else len(text)


def _join(match: re.Match[str]) -> str:
    return match[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _replacement(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else "\ufffd"
