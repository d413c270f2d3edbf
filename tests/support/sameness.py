"""Sameness: compares two values by type and content at every level; used by tests of stored values."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import is_dataclass
from decimal import Decimal
from typing import Any

from pydantic import BaseModel


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return repr(one) == repr(other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, dict):
        extra = one.default_factory is other.default_factory if isinstance(one, defaultdict) else True
        return extra and _all([*one.items()], [*other.items()])
    if isinstance(one, list | tuple):
        return _all(one, other)
    if isinstance(one, deque):
        return one.maxlen == other.maxlen and _all(one, other)
    if isinstance(one, set | frozenset):
        left = list(other)
        for item in one:
            found = next((each for each in left if same(item, each)), None)
            if found is None and item is not None:
                return False
            left = [each for each in left if each is not found]
        return not left
    if isinstance(one, BaseModel):
        held = (BaseModel.__getstate__(one), BaseModel.__getstate__(other))
        return same(*(_comparable(state) for state in held))
    if is_dataclass(one):
        return same(_attributes(one), _attributes(other))
    if isinstance(one, Decimal):  # one that is no number may refuse to be compared
        return repr(one) == repr(other)
    return (one is other or bool(one == other)) and (isinstance(one, int) or repr(one) == repr(other))


def _comparable(state: dict[Any, Any]) -> list[Any]:
    return [
        state["__dict__"],
        sorted(state["__pydantic_fields_set__"]),
        state["__pydantic_extra__"],
        state["__pydantic_private__"],
    ]


def _all(ones: Any, others: Any) -> bool:
    return len(ones) == len(others) and all(same(*pair) for pair in zip(ones, others, strict=True))


def _attributes(value: Any) -> dict[str, Any]:
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    held = {**getattr(value, "__dict__", {}), **{name: getattr(value, name) for name in slots if hasattr(value, name)}}
    return dict(sorted(held.items()))
