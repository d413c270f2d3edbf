"""Groups: hold items of one kind (namespaces, lists, functions) with their former values, and compare them in C; used by Heap.

A run seldom changes more than a few dicts. So a group first finds the items that may differ, for all items together (`candidates`).
Only these are then compared one by one (`difference`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, compress, count
from operator import attrgetter, is_, not_
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

from .written import dict_detector, dict_of, function_detector

_MISSING: Final = object()
_BY_VALUE: Final = frozenset(
    {
        str,
        int,
        float,
        complex,
        bool,
        bytes,
        tuple,
        frozenset,
        range,
        type(None),
        re.Pattern,
        MethodType,
        BuiltinFunctionType,
    }
)
"""Immutable types: here an equal value counts as the same value."""
_PARTS_OF_FUNCTION: Final = (attrgetter("__code__"), attrgetter("__defaults__"), attrgetter("__kwdefaults__"))


class Difference:
    """Former and present values of one namespace or container. `keys` is None for an item without keys."""

    def __init__(
        self, item: Any, keys: tuple[list[Any], list[Any]] | None, before: list[Any], after: list[Any]
    ) -> None:
        self.item = item
        self.is_lazy = False
        """True if all changed names were None and are compiled patterns now."""
        if keys is not None:
            self._of_names(dict(zip(keys[0], before, strict=True)), dict(zip(keys[1], after, strict=True)))
        else:
            self._of_values(before, after)

    def _of_names(self, old: dict[Any, Any], new: dict[Any, Any]) -> None:
        self.gone = [key for key, value in old.items() if not _is_same(value, new.get(key, _MISSING))]
        self.new = [key for key in new if key not in old]
        self.is_lazy = not self.new and all(old[key] is None and type(new.get(key)) is re.Pattern for key in self.gone)

    def _of_values(self, before: list[Any], after: list[Any]) -> None:
        now = set(map(id, after))
        self.gone = [n for n, value in enumerate(before) if id(value) not in now]
        self.new = ["?"] if len(after) > len(before) else []
        if not self.gone and not self.new:  # the same values in another order
            self.gone = [0]

    @property
    def keys(self) -> tuple[Any, ...]:
        """Keys that were changed or are new; never empty."""
        return (*self.gone, *self.new) or ("?",)

    def name_in(self, label: str) -> str:
        changed = self.keys[0]
        return f"{label}.{changed}" if isinstance(changed, str) and changed != "?" else label


class Group:
    """Items whose values are kept in one flat list, so that one comparison in C covers all of them."""

    def __init__(self, values: Callable[[Any], Iterable[Any]]) -> None:
        self._values = values
        self.labels: list[str] = []
        self.items: list[Any] = []
        self._before: list[list[Any]] = []
        self._flat: list[Any] | None = None

    def __len__(self) -> int:
        return sum(map(len, self._before))

    def add(self, label: str, item: Any) -> None:
        self.labels.append(label)
        self.items.append(item)
        self._before.append(list(self._values(item)))
        self._flat = None

    def candidates(self) -> Sequence[int]:
        """The indexes of the items that may differ."""
        if self._flat is None:
            self._flat = list(chain.from_iterable(self._before))
        try:
            if list(chain.from_iterable(map(self._values, self.items))) == self._flat:
                return ()
        except (
            Exception
        ):  # a value that cannot be compared counts as different; another thread may also change a container now
            pass
        return range(len(self.items))

    def difference(self, n: int) -> Difference | None:
        before, after = self._before[n], list(self._values(self.items[n]))
        return None if _are_same(before, after) else Difference(self.items[n], None, before, after)

    def accept(self, n: int) -> None:
        """Remember the present values of item `n` as its former ones."""
        self._before[n] = list(self._values(self.items[n]))
        self._flat = None


class Namespaces(Group):
    """Items with keys. `space` gives the dict that holds an item's names."""

    def __init__(
        self, values: Callable[[Any], Iterable[Any]], space: Callable[[Any], dict[Any, Any]] = dict_of
    ) -> None:
        super().__init__(values)
        self._space = space
        self._keys: list[list[Any]] = []
        self._spaces: list[dict[Any, Any]] = []  # references, so that their addresses in memory are not reused
        self._detector = dict_detector()

    def add(self, label: str, item: Any) -> None:
        space = self._space(item)
        if self._detector is not None:
            self._detector.add(space)
        self._spaces.append(space)
        self._keys.append(list(item))
        super().add(label, item)

    def candidates(self) -> Sequence[int]:
        return super().candidates() if self._detector is None else self._detector.look()

    def difference(self, n: int) -> Difference | None:
        item = self.items[n]
        before, after = self._before[n], list(self._values(item))
        keys = self._keys[n], list(item)
        if len(before) == len(after) and keys[0] == keys[1] and _are_same(before, after):
            return None
        return Difference(item, keys, before, after)

    def accept(self, n: int) -> None:
        super().accept(n)
        self._keys[n] = list(self.items[n])

    def values(self, n: int, keys: Iterable[Any]) -> list[Any]:
        """The present values of these keys."""
        return [self._spaces[n].get(key) for key in keys]


class Lists(Group):
    """Lists, each compared with its copy: in C this changes no item's reference count."""

    def candidates(self) -> Sequence[int]:
        try:
            same = list(map(list.__eq__, self.items, self._before))
        except Exception:  # as in Group
            return range(len(self.items))
        return () if all(same) else list(compress(count(), map(not_, same)))


class Functions(Group):
    """Functions: their code and defaults."""

    def __init__(self) -> None:
        super().__init__(_parts_of)
        self._detector = function_detector()

    def add(self, label: str, item: FunctionType) -> None:
        super().add(label, item)
        if self._detector is not None:
            self._detector.add(item)

    def candidates(self) -> Sequence[int]:
        return self._one_by_one() if self._detector is None else self._detector.look()

    def _one_by_one(self) -> Sequence[int]:
        """Compare part by part: a tuple for each function would take twice as long."""
        if self._flat is None:
            self._flat = [before[n] for n in range(len(_PARTS_OF_FUNCTION)) for before in self._before]
        parts = chain.from_iterable(map(part, self.items) for part in _PARTS_OF_FUNCTION)
        return () if all(map(is_, parts, self._flat)) else range(len(self.items))


def _parts_of(function: FunctionType) -> list[Any]:
    return [part(function) for part in _PARTS_OF_FUNCTION]


def _are_same(before: list[Any], after: list[Any]) -> bool:
    if len(before) != len(after):
        return False
    return all(map(is_, before, after)) or all(map(_is_same, before, after))


def _is_same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and type(one) in _BY_VALUE and bool(one == other))
