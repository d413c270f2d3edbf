"""State check: whether a text is a state that `codec` can read; used by the engine, which stores states and never reads one.

Nothing is made of the values here: to make one would import its class.
"""

from __future__ import annotations

import json
from typing import Any, Final

from . import scalars, trees
from .json_check import NotJson, check_json, check_long_json, count_values

_MOST_TAGGED: Final = 1_000_000
"""Values of a state with tagged ones: the server reads it to look at the tags."""
_TAGS: Final = frozenset({*scalars.READERS, *trees.CONTAINERS, *trees.DICTS, *trees.READERS, "error", "unrecorded"})


def check_state(text: str | None) -> None:
    """Raises NotJson. It takes as long as to read the text: a long one belongs into a thread."""
    if text is None:
        return
    check_json(text, is_object=True)
    check_long_json(text)
    if trees.TAG not in text:
        return
    if count_values(text, _MOST_TAGGED) > _MOST_TAGGED:
        raise NotJson("it has too many values")
    try:
        waiting: list[Any] = [json.loads(text)]
    except ValueError as error:
        raise NotJson(str(error)[:100]) from None
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            tag = value.get(trees.TAG)
            if tag is not None and (not isinstance(tag, str) or tag not in _TAGS or trees.VALUE not in value):
                raise NotJson(f"it has a value of an unknown kind, {str(tag)[:40]!r}")
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
