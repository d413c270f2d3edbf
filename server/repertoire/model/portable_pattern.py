"""Portable pattern: `matcher` compiles a regular expression that means the same to every host; used by portable_schema and output_check.

It accepts the common part of ECMA-262 with the `u` flag (TypeScript hosts), Python's `re` (Python hosts) and the linear engines of Rust
and Go. Look-around, backreferences, named groups, `\\A`, `\\Z`, `\\B`, inline flags and `\\p{...}` are outside of it, and refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

_MAX_CHARS: Final = 1_000
_MAX_REPEAT: Final = 1_000
_MAX_DEPTH: Final = 20
_SYNTAX: Final = frozenset("^$\\.*+?()[]{}|/")
_CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_QUANTIFIER: Final = re.compile(r"(?:[*+?]|\{(\d{1,4})(?:,(\d{1,4})?)?\})\??", re.ASCII)
_CODE: Final = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})")

_SPACE: Final = r"\t\n\x0b\x0c\r \u{a0}\u{feff}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}"
_JAVASCRIPT: Final = {
    "d": "[0-9]",
    "D": "[^0-9]",
    "w": "[0-9A-Za-z_]",
    "W": "[^0-9A-Za-z_]",
    "s": f"[{_SPACE}]",
    "S": f"[^{_SPACE}]",
}
_UNICODE: Final = {name: f"\\{name}" for name in _JAVASCRIPT}


class NotPortable(ValueError):
    """Raised for a pattern that engines read differently; the message names the part."""


class _Reader:
    """Rewrites a pattern for Rust's engine, with the given meaning of classes, dot and word boundary."""

    def __init__(self, text: str, classes: dict[str, str], dot: str, boundary: str) -> None:
        self._text = text
        self._at = 0
        self._classes = classes
        self._dot = dot
        self._boundary = boundary

    def whole(self) -> str:
        written = self._alternatives(0)
        if self._at < len(self._text):
            raise NotPortable(f"an unescaped `{self._text[self._at]}`")
        return written

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise NotPortable("it ends too early")
        self._at += 1
        return char

    def _alternatives(self, depth: int) -> str:
        if depth > _MAX_DEPTH:
            raise NotPortable("groups too deep")
        written = ""
        while (char := self._peek()) and char != ")":
            self._at += 1
            if char in "|^$":
                written += r"\z" if char == "$" else r"\A" if char == "^" else char
            elif char == "\\" and self._peek() == "b":
                self._at += 1
                written += self._boundary
            else:
                written += self._atom(char, depth) + self._quantifier()
        return written

    def _atom(self, char: str, depth: int) -> str:
        if char == ".":
            return self._dot
        if char == "(":
            return self._group(depth)
        if char == "[":
            return self._set()
        if char == "\\":
            return self._escape(in_set=False)
        if char in _SYNTAX and char != "/":
            raise NotPortable(f"an unescaped `{char}`")
        return _literal(char)

    def _group(self, depth: int) -> str:
        if self._peek() == "?":
            kind = self._text[self._at : self._at + 2]
            if kind != "?:":
                raise NotPortable(f"`({self._text[self._at : self._at + 3]}`")
            self._at += 2
        written = self._alternatives(depth + 1)
        if self._peek() != ")":
            raise NotPortable("a group that is not closed")
        self._at += 1
        return f"(?:{written})"

    def _quantifier(self) -> str:
        found = _QUANTIFIER.match(self._text, self._at)
        if found is None:
            return ""
        low, high = found.groups()
        if low is not None and (int(high or low) < int(low) or int(high or low) > _MAX_REPEAT):
            raise NotPortable(f"`{found[0]}`")
        self._at = found.end()
        if self._peek() in ("*", "+", "?", "{"):
            raise NotPortable(f"`{found[0]}{self._peek()}`")
        return found[0]

    def _escape(self, *, in_set: bool) -> str:
        char = self._take()
        if char in self._classes:
            return self._classes[char]
        if char in _CONTROLS:
            return _literal(_CONTROLS[char])
        if char in _SYNTAX or (in_set and char == "-"):
            return _literal(char)
        if (found := _CODE.match(self._text, self._at - 1)) is not None:
            self._at = found.end()
            code = int(found[1] or found[2], 16)
            if not 0xD800 <= code <= 0xDFFF:
                return _literal(chr(code))
        raise NotPortable(f"`\\{char}`")

    def _set(self) -> str:
        written = "["
        if self._peek() == "^":
            self._at += 1
            written += "^"
        members = []
        while self._peek() != "]":
            members.append(self._range())
        self._at += 1
        if not members:
            raise NotPortable("an empty set `[]`")
        return written + "".join(members) + "]"

    def _range(self) -> str:
        low = self._member()
        if self._peek() != "-" or self._text[self._at : self._at + 2] == "-]":
            return low
        self._at += 1
        high = self._member()
        ends = [_CODE_OF.fullmatch(end) for end in (low, high)]
        if ends[0] is None or ends[1] is None or int(ends[0][1], 16) > int(ends[1][1], 16):
            raise NotPortable("a range in a set that is none")
        return f"{low}-{high}"

    def _member(self) -> str:
        char = self._take()
        if char == "\\":
            return self._escape(in_set=True)
        if char == "[" or (char in "&~|-" and self._peek() == char):
            raise NotPortable(f"an unescaped `{char}` in a set")
        return _literal(char)


_CODE_OF: Final = re.compile(r"\\x\{([0-9a-f]+)\}")


def _literal(char: str) -> str:
    return f"\\x{{{ord(char):x}}}"


@lru_cache(maxsize=1024)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a text fits the pattern for JavaScript and for Python, in linear time. Raises NotPortable."""
    if len(pattern) > _MAX_CHARS:
        raise NotPortable(f"more than {_MAX_CHARS} characters")
    javascript = _Reader(pattern, _JAVASCRIPT, r"[^\n\r\u{2028}\u{2029}]", r"(?-u:\b)").whole()
    unicode = _Reader(pattern, _UNICODE, r"[^\n]", r"\b").whole()
    found = _compile(javascript), _compile(unicode)
    return lambda text: all(one(text) for one in found)


def _compile(pattern: str) -> Callable[[str], bool]:
    from pydantic_core import SchemaError, SchemaValidator

    try:
        fits = SchemaValidator({"type": "str", "pattern": pattern, "strict": True}).isinstance_python
    except SchemaError:
        raise NotPortable("it is too large") from None
    return lambda text: bool(fits(text))
