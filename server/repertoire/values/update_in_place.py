"""Merge: updates a held value in place to equal a stored one, so that the body's references into the state stay valid.

`update_in_place` follows four rules:

1. If both values have the same type, the held object becomes equal to the stored one. The same holds for the objects inside.
2. An object that cannot change (a tuple, a frozen dataclass) stays if everything inside it stays.
3. A list element with an equal stored element stays the same object, wherever that element stands now.
4. The other list elements are paired by position.

Used by `ambient` (the state) and `changes` (replay). `merge` does the same for a dict of defaults.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import is_dataclass
from typing import Any, Final

from . import instances
from .refusals import StateError
from .trees import TreeEncoder

_DICTS: Final = frozenset({dict, OrderedDict, defaultdict, Counter})


def update_in_place(held: Any, stored: Any) -> Any:
    """The value to put in the place of `held`: the same object if its type allows. It shares no object with another place."""
    return _Update().value(held, stored)


def merge(defaults: dict[Any, Any], stored: dict[Any, Any]) -> None:
    """Put stored values into a dict of defaults. Keys that `stored` lacks stay, also in nested dicts."""
    for key, value in stored.items():
        default = defaults.get(key)
        if type(value) is dict and type(default) is dict:
            merge(default, value)
        else:
            defaults[key] = value if default is None else update_in_place(default, value)


class _Update:
    def __init__(self) -> None:
        self._done: set[int] = set()
        """Ids of updated objects: one object that is held at two places cannot become two values."""

    def value(self, held: Any, stored: Any) -> Any:
        kind = type(stored)
        if type(held) is not kind or id(held) in self._done:
            return stored
        if kind in _DICTS:
            return self._dict(held, stored)
        if kind is list:
            return self._list(held, stored)
        if kind is deque:
            return self._deque(held, stored)
        if kind is set:
            return self._set(held, stored)
        if kind is tuple or instances.is_named_tuple(kind):
            return self._tuple(held, stored)
        if is_dataclass(kind) and instances.is_plain(kind):
            return self._dataclass(held, stored)
        return self._model(held, stored) if instances.is_model(kind) else stored

    def _dict(self, held: Any, stored: Any) -> Any:
        self._done.add(id(held))
        merged = self.items(held, stored)
        held.clear()
        for key, item in merged.items():  # not update(): a Counter would add the counts
            held[key] = item
        if type(held) is defaultdict:
            held.default_factory = stored.default_factory
        return held

    def items(self, held: dict[Any, Any], stored: dict[Any, Any]) -> dict[Any, Any]:
        return {key: self.value(held.get(key), item) for key, item in stored.items()}

    def _list(self, held: list[Any], stored: list[Any]) -> list[Any]:
        self._done.add(id(held))
        held[:] = self._elements(held, stored)
        return held

    def _deque(self, held: deque[Any], stored: deque[Any]) -> deque[Any]:
        if held.maxlen != stored.maxlen:
            return stored
        self._done.add(id(held))
        merged = self._elements(list(held), list(stored))
        held.clear()
        held.extend(merged)
        return held

    def _elements(self, held: list[Any], stored: list[Any]) -> list[Any]:
        """The stored elements, each as the held object that it matches, if there is one."""
        left: dict[str, list[int]] = {}
        for i, one in enumerate(held):
            left.setdefault(_text(one), []).append(i)
        same = [found.pop(0) if (found := left.get(_text(one))) else None for one in stored]
        taken = {i for i in same if i is not None}
        at_place = len(stored) >= len(held)  # in a shorter list we cannot tell which elements are gone
        return [
            self.value(held[i if i is not None else place], one)
            if i is not None or (at_place and place < len(held) and place not in taken)
            else one
            for place, (i, one) in enumerate(zip(same, stored, strict=True))
        ]

    def _set(self, held: set[Any], stored: set[Any]) -> set[Any]:
        self._done.add(id(held))
        held &= stored
        held |= stored
        return held

    def _tuple(self, held: Any, stored: Any) -> Any:
        if len(held) != len(stored):
            return stored
        merged = [self.value(*pair) for pair in zip(held, stored, strict=True)]
        if all(one is other or _is_same(one, other) for one, other in zip(merged, held, strict=True)):
            return held
        return tuple.__new__(type(stored), merged)

    def _dataclass(self, held: Any, stored: Any) -> Any:
        kind = type(stored)
        slots = instances.slots(kind)
        ours, theirs = (instances.attributes(one, slots) for one in (held, stored))
        if kind.__dataclass_params__.frozen:
            merged = self.items(ours, theirs)
            if ours.keys() == merged.keys() and all(
                merged[name] is ours[name] or _is_same(merged[name], ours[name]) for name in ours
            ):
                return held
            instances.put_attributes(stored, merged)
            return stored
        self._done.add(id(held))
        instances.replace_attributes(held, self.items(ours, theirs))
        return held

    def _model(self, held: Any, stored: Any) -> Any:
        ours, theirs = instances.take_apart(held), instances.take_apart(stored)
        merged = theirs._replace(
            fields=self.items(ours.fields, theirs.fields),
            extra=None if theirs.extra is None else self.items(ours.extra or {}, theirs.extra),
            private=None if theirs.private is None else self.items(ours.private or {}, theirs.private),
            more=self.items(ours.more, theirs.more),
        )
        is_frozen = bool(type(stored).model_config.get("frozen"))
        if is_frozen and _text(held) != _text(stored):
            instances.put_model(stored, merged)
            return stored
        self._done.add(id(held))
        instances.put_model(held, merged)
        return held


def _text(value: Any) -> str:
    """Equal texts for equal values of equal types. A value that cannot be stored gets a text of its own."""
    try:
        return json.dumps(TreeEncoder().write(value, ""))
    except (StateError, RecursionError):
        return f"at {id(value)}"


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and _text(one) == _text(other)
