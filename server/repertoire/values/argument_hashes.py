"""Argument hashes: make the hash of a call's arguments, which a replay compares with the record; used by the worker and by `cached`.

How exact a replay is about arguments is decided here: two calls whose text is equal are the same call (worker/replay/comparison.py).
"""

from __future__ import annotations

import hashlib
from typing import Any

from . import codec, former_hashes
from .refusals import StateError
from .trees import TreeEncoder


def hash_of(op: str, text: str) -> str:
    """64 bits of sha256: enough to notice a different call."""
    return hashlib.sha256(f"{op}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def shape_of(value: Any) -> str:
    """Arguments of a step as text, for comparison on replay. A value that cannot be stored counts by its type."""
    try:
        return codec.write_with({"": value}, TreeEncoder(_type_of), "")
    except (StateError, RecursionError):  # a part of a storable type cannot be written, a deep list for example
        return former_hashes.shape_of(value)


def former_hash(label: str, args: Any) -> str:
    """The hash of a step as the first versions recorded it."""
    return hash_of("step", f"{label}\0{former_hashes.shape_of(args)}")


def _type_of(value: Any, path: str) -> str:
    return f"<{type(value).__module__}.{type(value).__qualname__}>"
