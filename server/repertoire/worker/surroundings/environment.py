"""Environment: the variables of the process as Python and as C see them, put back after each run; used by Anew."""

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
        os.environ = _ENVIRON  # noqa: B003  # the real one, which changes the environment
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
        """What `os.putenv` and C code have changed."""
        found = {name: value for name, _, value in (line.partition(b"=") for line in _lines())}
        for name in found.keys() - self._first.keys():
            os.unsetenv(name)
        for name, value in self._first.items():
            if found.get(name) != value:
                os.putenv(name, value)


def _lines() -> list[bytes]:
    """What programs that are started see. Raises nothing; empty where it is not found."""
    try:
        lines = _LINES.in_dll(_LIBRARY, "environ")
    except (OSError, ValueError):
        return []
    return list(iter(map(lines.__getitem__, count()).__next__, None)) if lines else []
