"""Heap: compares what every loaded module holds with what it held before; used by Surroundings after each run.

A workflow file can change a module for the whole process: `json.dumps = mine`, `requests.Session.verify = False`,
`copyreg.dispatch_table[X] = f`. Heap remembers, by identity, the values in the namespaces of modules and classes, in the containers
and objects that lie at the top level of modules, and the code and the defaults of functions. Only what has been written to is looked
at (`written`, `groups`), so a comparison of 55,000 values costs little; it covers everything each time and needs no list of what might
change. The insides of functions would double that: they are left out when the workflow's text has no word for them (`names_insides`).

What libraries do by themselves is told apart by four rules:

1. An attribute that a module makes in its own `__getattr__`, and a submodule that was imported, may be new.
2. A container of an installed library may grow: it is a cache. In the standard library the known caches are listed (`caches`).
3. What the import of a library changes within its own package, adds to a registry, or puts in place of a function by one of its own,
   belongs to that library.
4. Functions with `lru_cache` in installed libraries forget what the run left in them.

Everything else is a change. A false alarm costs a new process; a change that is overlooked would cost a wrong result.
"""

from __future__ import annotations

import functools
import logging
import re
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter, is_, itemgetter, methodcaller
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any, Final

from ..replay.run_clock import RunFunction
from .caches import CACHES
from .groups import Difference, Functions, Group, Lists, Namespaces

_DEPTH: Final = 3
"""How deep containers within containers are looked at."""
_HEAP_TYPE: Final = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: a class that Python code can change."""
_OF_OURS: Final = frozenset(
    {"annotated_types", "docstring_parser", "msgspec", "pydantic", "pydantic_core", "repertoire", "typing_extensions", "typing_inspection"}
)  # fmt: skip
"""Packages that the worker itself uses between two runs: only their modules' own names are compared."""
_NOT_WALKED: Final = (
    weakref.ref, weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet, threading.local, threading.Thread,
    ModuleType, type, FunctionType, logging.Logger, logging.Handler,
)  # fmt: skip
_CONTAINERS: Final = (dict, list, set, deque)
_OF_CACHED_CLASSES: Final = frozenset(
    {"__annotations__", "__annotations_cache__", "__annotate_cache__", "__abstractmethods__"}
)
_MISSING: Final = object()

_INSIDES: Final = re.compile(r"__(?:code|defaults|kwdefaults)__|setattr|\bctypes\b")

Allows = Callable[[str, Difference, "list[Any]"], bool]
"""Of a label, how it differs, and, for a namespace, the values that are new in it."""


class Heap:
    def __init__(self) -> None:
        self._modules = Namespaces(dict.values)
        self._partly = Namespaces(_kept_of, attrgetter("space"))
        self._classes = Namespaces(methodcaller("values"))
        self._dicts = Namespaces(dict.values)
        self._lists = Lists(list.__iter__)
        self._others = Group(iter)
        self._functions = Functions()
        self._groups: tuple[Group, ...] = (
            self._modules, self._partly, self._classes, self._dicts, self._lists, self._others, self._functions,
        )  # fmt: skip
        self._known: dict[str, ModuleType] = {}
        self._seen: set[int] = set()
        self._kept: list[Any] = []
        self._caches: list[functools._lru_cache_wrapper[Any]] = []
        self.learn(list(sys.modules))

    def __len__(self) -> int:
        return sum(map(len, self._groups))

    def new_modules(self) -> list[str]:
        return (
            []
            if sys.modules.keys() <= self._known.keys()
            else [name for name in sys.modules if name not in self._known]
        )

    def learn(self, names: list[str]) -> None:
        """Remember these modules as they are now."""
        for name in names:
            if name not in self._known and (module := sys.modules.get(name)) is not None:
                self._known[name] = module
                if isinstance(module, ModuleType) and not name.startswith("repertoire.worker"):
                    self._learn_module(name, module)

    def change(self, allows: Allows | None = None, *, with_functions: bool = True) -> str | None:
        """The name of something that has changed; None: nothing has. What may change is remembered as it is now."""
        if not all(map(is_, map(sys.modules.get, self._known), self._known.values())):
            return self._other_module()
        RunFunction.equal_by_identity = True
        try:
            for group in self._groups if with_functions else self._groups[:-1]:
                for n in group.suspects():
                    if (named := self._changed(group, n, allows)) is not None:
                        return named
        finally:
            RunFunction.equal_by_identity = False
        return None

    def _other_module(self) -> str:
        different = (name for name, module in self._known.items() if sys.modules.get(name) is not module)
        return f"sys.modules[{next(different, '')!r}]"

    def _changed(self, group: Group, n: int, allows: Allows | None) -> str | None:
        difference = group.difference(n)
        if difference is None:
            return None
        label = group.labels[n]
        if not _may_change(label, difference):
            values = group.values(n, difference.keys) if isinstance(group, Namespaces) else []
            if allows is None or not allows(label, difference, values):
                return difference.named(label)
        group.take(n)
        return None

    def empty_caches(self) -> None:
        for cache in self._caches:
            if cache.cache_info().currsize:
                cache.cache_clear()

    def _learn_module(self, name: str, module: ModuleType) -> None:
        if id(module) in self._seen:
            return
        self._seen.add(id(module))
        space = vars(module)
        private = name.partition(".")[0] in _OF_OURS
        without = frozenset(key for key in space if f"{name}.{key}" in CACHES or (private and key.startswith("_")))
        if without:
            self._partly.add(name, _Partly(space, without))
        else:
            self._modules.add(name, space)
        if private:
            return
        for key, value in list(space.items()):
            if key != "__builtins__" and f"{name}.{key}" not in CACHES:
                self._learn_value(f"{name}.{key}", value, _DEPTH)

    def _learn_value(self, label: str, value: Any, depth: int) -> None:
        kind = type(value)
        if kind in _PLAIN:
            return
        if id(value) in self._seen:
            return
        if kind is FunctionType:
            self._see(value)
            self._functions.add(label, value)
        elif isinstance(value, type):
            self._learn_class(label, value)
        elif kind is functools._lru_cache_wrapper:
            self._learn_cache(label, value)
        elif issubclass(kind, _CONTAINERS):
            self._learn_container(label, value, depth)
        elif kind.__flags__ & _HEAP_TYPE and depth == _DEPTH and not issubclass(kind, _NOT_WALKED):
            self._learn_object(label, value, depth)

    def _learn_class(self, label: str, value: type) -> None:
        if not value.__flags__ & _HEAP_TYPE or _package(value) in _OF_OURS:
            return
        self._see(value)
        label = f"{_package(value, whole=True)}.{value.__qualname__}"
        self._classes.add(label, value.__dict__)
        for key, one in list(value.__dict__.items()):
            if type(one) in (staticmethod, classmethod):
                one = one.__func__
            if type(one) is FunctionType or type(one) in _CONTAINERS or isinstance(one, dict):
                self._learn_value(f"{label}.{key}", one, _DEPTH - 1)

    def _learn_container(self, label: str, value: Any, depth: int) -> None:
        self._see(value)
        if isinstance(value, dict):
            self._dicts.add(label, value)
            inner: Iterable[Any] = list(dict.values(value))
        else:
            (self._lists if isinstance(value, list) else self._others).add(label, value)
            inner = list(value)
        if depth > 1 and len(value) < 10_000:
            for one in inner:
                if isinstance(one, _CONTAINERS) and type(one) not in _PLAIN:
                    self._learn_value(label, one, depth - 1)

    def _learn_object(self, label: str, value: Any, depth: int) -> None:
        try:
            space = object.__getattribute__(value, "__dict__")
        except (AttributeError, TypeError):
            return
        if type(space) is dict:
            self._see(value)
            self._learn_container(label, space, depth)

    def _learn_cache(self, label: str, value: Any) -> None:
        self._see(value)
        if not is_standard(label):
            self._caches.append(value)

    def _see(self, value: Any) -> None:
        self._seen.add(id(value))
        self._kept.append(value)  # its number stays its own


def _package(value: type, *, whole: bool = False) -> str:
    module = value.__module__
    if not isinstance(module, str):  # a class of C code may have none
        return "?"
    return module if whole else module.partition(".")[0]


class _Partly:
    """The namespace of a module of which some names are not compared."""

    def __init__(self, space: dict[str, Any], without: frozenset[str]) -> None:
        self.space = space
        self.without = without | {"__warningregistry__"}
        self._look()

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def values(self) -> tuple[Any, ...]:
        if len(self.space) != self._size:
            self._look()
        values: tuple[Any, ...] = self._read(self.space)
        return values

    def _look(self) -> None:
        self._size = len(self.space)
        self._keys = ["__name__", "__name__", *(key for key in self.space if key not in self.without)]
        self._read = itemgetter(*self._keys)  # of at least two keys: of one it would give no tuple


def _kept_of(partly: _Partly) -> tuple[Any, ...]:
    return partly.values()


_PLAIN: Final = frozenset(
    {str, int, float, bool, bytes, tuple, type(None), frozenset, complex, ModuleType, type(len), object}
)


def is_of_ours(name: str) -> bool:
    return name.partition(".")[0] in _OF_OURS


def names_insides(source: str) -> bool:
    """Whether this text may change a function instead of replacing it."""
    return _INSIDES.search(source) is not None


def is_standard(label: str) -> bool:
    return label.partition(".")[0] in sys.stdlib_module_names


def _may_change(label: str, difference: Difference) -> bool:
    """Rules 1 and 2, for what has changed without an import."""
    if all(f"{label}.{key}" in CACHES for key in difference.keys):
        return True
    if difference.gone:
        return is_standard(label) and difference.is_lazy
    module = sys.modules.get(label)
    item = difference.item.space if isinstance(difference.item, _Partly) else difference.item
    if module is not None and item is vars(module):
        lazy = "__getattr__" in vars(module)
        return all(key == "__warningregistry__" or _is_submodule(label, key) or lazy for key in difference.new)
    if isinstance(difference.item, MappingProxyType):
        return _OF_CACHED_CLASSES.issuperset(difference.new)
    return not is_standard(label)


def _is_submodule(name: str, key: str) -> bool:
    module = sys.modules.get(name)
    return module is not None and vars(module)[key] is sys.modules.get(f"{name}.{key}", _MISSING)


def may_come_from_import(packages: frozenset[str]) -> Allows:
    """Rule 3: of the import of these packages."""

    def allows(label: str, difference: Difference, values: list[Any]) -> bool:
        if not is_standard(label) and (label.partition(".")[0] in packages or not difference.gone):
            return True
        if not _is_namespace(difference.item):
            return not difference.gone
        return all(_is_made_by(packages, value) for value in values)

    return allows


def _is_made_by(packages: frozenset[str], value: Any) -> bool:
    module = getattr(value, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] in packages


def _is_namespace(item: Any) -> bool:
    return isinstance(item, MappingProxyType | _Partly) or (isinstance(item, dict) and "__spec__" in item)
