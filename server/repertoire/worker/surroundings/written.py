"""WriteDetector: finds which of thousands of dicts and functions have been written to since the last look; used by `groups`.

Up to 3.12 every dict of CPython has a version number, unique among all dicts of the process, and each change sets a new one (PEP 509).
Reading these numbers touches neither the values nor their reference counts. So it takes a fraction of the time of comparing values, and
in a forked child no page of memory is copied for it. A function holds its code and its defaults side by side, as pointers. A trial at
import checks that these fields are where we expect them. If it fails, values are compared instead.
"""

from __future__ import annotations

import ctypes
import gc
import platform
import struct
import sys
import sysconfig
from collections.abc import Mapping
from itertools import compress, count
from operator import ne
from types import MappingProxyType
from typing import Any, Final

_WORD: Final = 8
_OF_DICTS: Final = object.__basicsize__ + ctypes.sizeof(ctypes.c_ssize_t)
"""Offset of the version number in a dict: behind the object's head and the number of items."""
_OF_FUNCTIONS: Final = object.__basicsize__ + 4 * ctypes.sizeof(ctypes.c_void_p)
"""Offset of the pointers in a function: behind its globals, builtins and names."""


class WriteDetector:
    """Some words of memory of each of many objects, as they were. The caller must keep references to the objects and their values."""

    def __init__(self, offset: int, words: int) -> None:
        self._offset = offset
        self._size = words * _WORD
        self._words: list[ctypes.Array[ctypes.c_char]] = []
        self._before = bytearray()

    def add(self, item: object) -> None:
        words = (ctypes.c_char * self._size).from_address(id(item) + self._offset)
        self._words.append(words)
        self._before += words.raw

    def look(self) -> list[int]:
        """The indexes of the objects that were written to since the last look. Putting a value back is a write too."""
        before, now = self._before, bytearray().join(self._words)
        if now == before:
            return []
        self._before = now
        changed = compress(count(), map(ne, memoryview(now).cast("Q"), memoryview(before).cast("Q")))
        return sorted({n * _WORD // self._size for n in changed})


def dict_detector() -> WriteDetector | None:
    return WriteDetector(_OF_DICTS, 1) if _FINDS_DICTS else None


def function_detector() -> WriteDetector | None:
    return WriteDetector(_OF_FUNCTIONS, 3) if _FINDS_FUNCTIONS else None


def dict_of(space: Mapping[Any, Any]) -> dict[Any, Any]:
    """The dict behind a class's `__dict__`, which is a proxy."""
    if isinstance(space, MappingProxyType):
        (space,) = gc.get_referents(space)
    assert isinstance(space, dict)
    return space


def _is_known() -> bool:
    """True if the memory layout of this Python's objects is known. Only then a trial may read memory."""
    if platform.python_implementation() != "CPython" or ctypes.sizeof(ctypes.c_void_p) != _WORD:
        return False
    return sys.version_info < (3, 15) and not sysconfig.get_config_var("Py_GIL_DISABLED")


def _finds_dicts() -> bool:
    if not _is_known() or sys.version_info >= (3, 13):
        return False  # in 3.13 not every write to an object's attributes counts; from 3.14 on none does
    trial: dict[str, int] = {"one": 1}
    kind = type("Trial", (), {})
    detector = WriteDetector(_OF_DICTS, 1)
    detector.add(trial)
    detector.add(dict_of(vars(kind)))
    looks = [detector.look()]
    trial["one"] = 2
    looks.append(detector.look())
    setattr(kind, "one", 1)  # noqa: B010  # mypy knows no such attribute
    looks.append(detector.look())
    del trial["one"]
    looks += [detector.look(), detector.look()]
    return looks == [[], [0], [1], [0], []]


def _finds_functions() -> bool:
    def trial(one: int = 1, *, two: int = 2) -> None: ...

    if not _is_known():
        return False
    held = (trial.__code__, trial.__defaults__, trial.__kwdefaults__)
    return struct.unpack("3P", ctypes.string_at(id(trial) + _OF_FUNCTIONS, 3 * _WORD)) == tuple(map(id, held))


_FINDS_DICTS: Final = _finds_dicts()
_FINDS_FUNCTIONS: Final = _finds_functions()
