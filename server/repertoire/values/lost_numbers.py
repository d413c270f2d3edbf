"""Lost numbers: names the NaN and infinities of a result, which JSON cannot express and which become null; used by the worker.

It looks only where the result's JSON text has a null: most results have none, and a walk through a large result takes long.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Final

from .result_json import is_boxed

_NAMED: Final = 5
_KEY_CHARS: Final = 60
_MOST_PARTS: Final = 1_000_000
"""Parts of one result that are looked at, about half a second."""
_NAMES: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}


def lost_numbers(value: Any, text: str) -> str | None:
    """A sentence that names the numbers of `value` that are null in its JSON text, with their places. None: there are none."""
    if "null" not in text:
        return None
    lost = []
    for number, (place, part) in enumerate(_walk("result", value)):
        if isinstance(part, float) and not math.isfinite(part):
            lost.append(f"{place} is {_NAMES.get(part, 'NaN')}")
        if number == _MOST_PARTS or len(lost) > _NAMED:
            break
    if not lost:
        return None
    more = " (and more)" if len(lost) > _NAMED else ""
    return f"{', '.join(lost[:_NAMED])}{more}: JSON has no such number, so it is null."


def _walk(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a value that are no containers, each with its place. The value has been written as JSON, so it has an end."""
    open_ones = [(place, value)]
    while open_ones:
        place, value = open_ones.pop()
        parts = list(_parts(value))
        if parts:
            open_ones += [(place + step, part) for step, part in reversed(parts)]
        else:
            yield place, value


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if is_boxed(value):
        value = value.tolist()
        if isinstance(value, float):
            yield "", value
            return
    if isinstance(value, dict):
        yield from ((f"[{str(key)[:_KEY_CHARS]!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{i}]", part) for i, part in enumerate(value))
    elif isinstance(value, set | frozenset):
        yield from (("{...}", part) for part in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((f".{field.name}", getattr(value, field.name, None)) for field in dataclasses.fields(value))
    elif hasattr(type(value), "__pydantic_core_schema__"):
        yield from ((f".{name}", part) for name, part in vars(value).items())
        yield from ((f".{name}", part) for name, part in (getattr(value, "__pydantic_extra__", None) or {}).items())
