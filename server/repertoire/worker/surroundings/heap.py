"""Heap: compares the values in all loaded modules with their former values; used by Surroundings after each run.

A workflow file can change a module for the whole process: `json.dumps = mine`, `requests.Session.verify = False`,
`copyreg.dispatch_table[X] = f`. Heap remembers, by identity, these values:

- the names of modules and classes,
- the items of containers and the attributes of objects at the top level of modules,
- the code and the defaults of functions.

Only items that have been written to are compared (`written`, `groups`). So a comparison of 55,000 values takes little time. It covers all
values each time, and needs no list of things that might change. Comparing functions would double the time. So they are left out when the
workflow's text has no word with which it could change one (`may_change_functions`).

Some changes are made by libraries themselves. Four rules tell them from changes of the workflow:

1. New names in a module are allowed if its own `__getattr__` makes them, or if they are imported submodules.
2. A container of an installed library may grow: it is a cache. In the standard library, only the listed caches may change (`caches`).
3. The import of a library may change values in its own package, add to a registry, and replace a function by one of its own.
4. Caches of functions with `lru_cache` in installed libraries are emptied.

Everything else counts as a change. A false alarm costs a new process; a change that is not noticed would cost a wrong result.
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
"""Depth to which containers within containers are compared."""
_HEAP_TYPE: Final = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: a class that Python code can change."""
_OF_OURS: Final = frozenset(
    [
        "annotated_types",
        "docstring_parser",
        "msgspec",
        "pydantic",
        "pydantic_core",
        "repertoire",
        "typing_extensions",
        "typing_inspection",
    ]
)
"""Packages that the worker itself uses between two runs. Only the names of their modules are compared."""
_NOT_WALKED: Final = (
    weakref.ref,
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    weakref.WeakSet,
    threading.local,
    threading.Thread,
    ModuleType,
    type,
    FunctionType,
    logging.Logger,
    logging.Handler,
)
"""Types of objects whose attributes are not compared."""
_CONTAINERS: Final = (dict, list, set, deque)
_OF_CACHED_CLASSES: Final = frozenset(
    {"__annotations__", "__annotations_cache__", "__annotate_cache__", "__abstractmethods__"}
)
_NOT_COMPARED: Final = ("repertoire.worker", "repertoire_workflow")
"""Our own modules of this process, and the package of the present version, which the loader puts back after each run."""
_MISSING: Final = object()

_INSIDES: Final = re.compile(r"__(?:code|defaults|kwdefaults)__|setattr|\bctypes\b")

Allows = Callable[[str, Difference, "list[Any]"], bool]
"""Decides if a change is allowed: by label, difference and, for a namespace, the present values of its changed names."""


class Heap:
    """The values in all loaded modules, as they were when `learn` saw them."""

    def __init__(self) -> None:
        self._modules = Namespaces(dict.values)
        self._partial_modules = Namespaces(_values_of, attrgetter("space"))
        self._classes = Namespaces(methodcaller("values"))
        self._dicts = Namespaces(dict.values)
        self._lists = Lists(list.__iter__)
        self._others = Group(iter)
        self._functions = Functions()
        self._groups: tuple[Group, ...] = (
            self._modules,
            self._partial_modules,
            self._classes,
            self._dicts,
            self._lists,
            self._others,
            self._functions,
        )
        self._known: dict[str, ModuleType] = {}
        self._seen: set[int] = set()
        self._kept: list[Any] = []
        self._caches: list[functools._lru_cache_wrapper[Any]] = []
        self.learn(list(sys.modules))

    def __len__(self) -> int:
        return sum(map(len, self._groups))

    def new_modules(self) -> list[str]:
        if sys.modules.keys() <= self._known.keys():
            return []
        return [name for name in sys.modules if name not in self._known]

    def learn(self, names: list[str]) -> None:
        """Remember these modules as they are now."""
        for name in names:
            if name not in self._known and (module := sys.modules.get(name)) is not None:
                self._known[name] = module
                if isinstance(module, ModuleType) and not name.startswith(_NOT_COMPARED):
                    self._learn_module(name, module)

    def change(self, allows: Allows | None = None, *, with_functions: bool = True) -> str | None:
        """The name of something that has changed. None: nothing has changed. Allowed changes are remembered as the present values."""
        if not all(map(is_, map(sys.modules.get, self._known), self._known.values())):
            return self._replaced_module()
        RunFunction.equal_by_identity = True
        try:
            for group in self._groups if with_functions else self._groups[:-1]:
                for n in group.candidates():
                    if (name := self._change_of(group, n, allows)) is not None:
                        return name
        finally:
            RunFunction.equal_by_identity = False
        return None

    def _replaced_module(self) -> str:
        different = (name for name, module in self._known.items() if sys.modules.get(name) is not module)
        return f"sys.modules[{next(different, '')!r}]"

    def _change_of(self, group: Group, n: int, allows: Allows | None) -> str | None:
        difference = group.difference(n)
        if difference is None:
            return None
        label = group.labels[n]
        if not _may_change(label, difference):
            values = group.values(n, difference.keys) if isinstance(group, Namespaces) else []
            if allows is None or not allows(label, difference, values):
                return difference.name_in(label)
        group.accept(n)
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
            self._partial_modules.add(name, _PartialNamespace(space, without))
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
            self._keep(value)
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
        self._keep(value)
        label = f"{_package(value, whole=True)}.{value.__qualname__}"
        self._classes.add(label, value.__dict__)
        for key, one in list(value.__dict__.items()):
            if type(one) in (staticmethod, classmethod):
                one = one.__func__
            if type(one) is FunctionType or type(one) in _CONTAINERS or isinstance(one, dict):
                self._learn_value(f"{label}.{key}", one, _DEPTH - 1)

    def _learn_container(self, label: str, value: Any, depth: int) -> None:
        self._keep(value)
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
            self._keep(value)
            self._learn_container(label, space, depth)

    def _learn_cache(self, label: str, value: Any) -> None:
        self._keep(value)
        if not is_standard(label):
            self._caches.append(value)

    def _keep(self, value: Any) -> None:
        self._seen.add(id(value))
        self._kept.append(value)  # a reference, so that its id is not reused


def _package(value: type, *, whole: bool = False) -> str:
    module = value.__module__
    if not isinstance(module, str):  # a class from C code may have no module
        return "?"
    return module if whole else module.partition(".")[0]


class _PartialNamespace:
    """The namespace of a module, without the names that are not compared."""

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
        self._read = itemgetter(*self._keys)  # at least two keys, because with one it gives no tuple


def _values_of(partly: _PartialNamespace) -> tuple[Any, ...]:
    return partly.values()


_PLAIN: Final = frozenset(
    {str, int, float, bool, bytes, tuple, type(None), frozenset, complex, ModuleType, type(len), object}
)


def is_of_ours(name: str) -> bool:
    return name.partition(".")[0] in _OF_OURS


def may_change_functions(source: str) -> bool:
    """True if this source may change a function instead of replacing it."""
    return _INSIDES.search(source) is not None


def is_standard(label: str) -> bool:
    return label.partition(".")[0] in sys.stdlib_module_names


def _may_change(label: str, difference: Difference) -> bool:
    """Rules 1 and 2, for changes without an import."""
    if all(f"{label}.{key}" in CACHES for key in difference.keys):
        return True
    if difference.gone:
        return is_standard(label) and difference.is_lazy
    module = sys.modules.get(label)
    item = difference.item.space if isinstance(difference.item, _PartialNamespace) else difference.item
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
    """Rule 3, for the import of these packages."""

    def allows(label: str, difference: Difference, values: list[Any]) -> bool:
        if not is_standard(label) and (label.partition(".")[0] in packages or not difference.gone):
            return True
        if not _is_namespace(difference.item):
            return not difference.gone
        return all(_is_from(packages, value) for value in values)

    return allows


def _is_from(packages: frozenset[str], value: Any) -> bool:
    module = getattr(value, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] in packages


def _is_namespace(item: Any) -> bool:
    return isinstance(item, MappingProxyType | _PartialNamespace) or (isinstance(item, dict) and "__spec__" in item)
