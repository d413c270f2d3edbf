"""Identifiers: makes Python identifiers of the names of servers and tools; used by the sources and by the catalog."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

RESERVED_SOURCES: Final = frozenset({"list", "search", "describe"})
"""Names that the namespace `tools` has itself."""
RESERVED_TOOLS: Final = frozenset({"describe"})
_MAX_CHARS: Final = 100


def identifier(name: str, reserved: frozenset[str] = frozenset()) -> str:
    """`get-tiny image` → `get_tiny_image`, `2fa` → `n2fa`, `class` → `class_`."""
    normal = unicodedata.normalize("NFKC", name)
    text = re.sub(r"\W", "_", normal)[:_MAX_CHARS].strip("_") or "unnamed"
    if not text.isidentifier():
        text = f"n{text}"
    if not text.isidentifier():  # a sign that counts as a word but has no place in an identifier
        text = re.sub(r"[^0-9A-Za-z_]", "_", text)
    return f"{text}_" if keyword.iskeyword(text) or text in reserved else text


def unique_identifiers(names: Iterable[str], reserved: frozenset[str] = frozenset()) -> dict[str, str]:
    """An identifier for each name, all different. A name that is one keeps it. Others that meet get `_2`, `_3` in alphabetical order."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(set(names), key=lambda name: (identifier(name, reserved) != name, name)):
        base = chosen = identifier(name, reserved)
        number = 1
        while chosen in taken:
            number += 1
            chosen = f"{base}_{number}"
        taken.add(chosen)
        found[name] = chosen
    return found
