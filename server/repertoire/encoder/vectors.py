"""Vectors: all vectors of the texts so far, as rows of a matrix in a private memory-mapped file; used by the encoder's loop and `scoring`.

The file is mapped, so the system can take back pages that no query touches. It is unlinked, so no crash leaves it behind. The Store
holds the vectors that last.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Numbers: TypeAlias = npt.NDArray[np.int32]

_FIRST_ROWS = 1024


class Vectors:
    """Rows are only added."""

    def __init__(self, dimension: int, scratch: str | None = None) -> None:
        self.dimension = dimension
        self.count = 0
        self._fd, path = tempfile.mkstemp(dir=scratch, prefix="vectors-")
        weakref.finalize(self, os.close, self._fd)
        os.unlink(path)
        self._rows = self._map_file(_FIRST_ROWS)

    def _map_file(self, rows: int) -> Floats:
        size = rows * self.dimension * 4
        os.ftruncate(self._fd, size)
        return np.frombuffer(mmap.mmap(self._fd, size), np.float32).reshape(rows, self.dimension)

    def append(self, values: Floats) -> None:
        end = self.count + len(values)
        if end > len(self._rows):
            self._rows = self._map_file(max(end, 2 * len(self._rows)))
        self._rows[self.count : end] = values
        self.count = end

    def __getitem__(self, rows: Numbers) -> Floats:
        return self._rows[rows]


def unit(values: Floats) -> Floats:
    """Scale each row to length one. A row of zeros stays. NaN and infinity become zero: one bad vector must not spoil the mean."""
    values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    lengths[lengths == 0] = 1
    return np.asarray(values / lengths, np.float32)
