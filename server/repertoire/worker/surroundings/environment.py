"""Environment: puts back the environment variables after each run, as Python and as C see them; used by Resets."""

from __future__ import annotations

import ctypes
import os
from itertools import count
from typing import Any, Final

_ENVIRON: Final[Any] = os.environ
_DATA: Final[dict[bytes, bytes]] = _ENVIRON._data
_LINES: Final = ctypes.POINTER(ctypes.c_char_p)
_LIBRARY: Final = ctypes.CDLL(None)


class Environment:
    def __init__(self) -> None:
        self._first = dict(_DATA)
        self._lines = _lines()

    def put_back(self) -> None:
        os.environ = _ENVIRON  # noqa: B003  # the real object: its items set the process's variables
        _ENVIRON._data = _DATA
        if self._first != _DATA:
            self._write()
        if _lines() != self._lines:
            self._write_c()
            self._lines = _lines()

    def _write(self) -> None:
        for name in _DATA.keys() - self._first.keys():
            del _DATA[name]
            os.unsetenv(name)
        for name, value in self._first.items():
            if _DATA.get(name) != value:
                _DATA[name] = value
                os.putenv(name, value)

    def _write_c(self) -> None:
        """Undo changes by `os.putenv` and by C code."""
        found = {name: value for name, _, value in (line.partition(b"=") for line in _lines())}
        for name in found.keys() - self._first.keys():
            os.unsetenv(name)
        for name, value in self._first.items():
            if found.get(name) != value:
                os.putenv(name, value)


def _lines() -> list[bytes]:
    """C's `environ`, which started programs inherit. Raises nothing. Empty where it is not found."""
    try:
        lines = _LINES.in_dll(_LIBRARY, "environ")
    except (OSError, ValueError):
        return []
    return list(iter(map(lines.__getitem__, count()).__next__, None)) if lines else []
