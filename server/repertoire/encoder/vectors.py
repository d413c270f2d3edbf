"""All vectors of the texts known so far: rows of a matrix in a memory-mapped file that nobody else sees.

Mapped, so that pages that no query touches can be given back to the system; unlinked, so that no crash leaves it behind. The truth is
in the Store.
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
    """`rows` grow only."""

    def __init__(self, dimension: int, scratch: str | None = None) -> None:
        self.dimension = dimension
        self.count = 0
        self._fd, path = tempfile.mkstemp(dir=scratch, prefix="vectors-")
        weakref.finalize(self, os.close, self._fd)
        os.unlink(path)
        self._rows = self._mapped(_FIRST_ROWS)

    def _mapped(self, rows: int) -> Floats:
        size = rows * self.dimension * 4
        os.ftruncate(self._fd, size)
        return np.frombuffer(mmap.mmap(self._fd, size), np.float32).reshape(rows, self.dimension)

    def append(self, values: Floats) -> None:
        end = self.count + len(values)
        if end > len(self._rows):
            self._rows = self._mapped(max(end, 2 * len(self._rows)))
        self._rows[self.count : end] = values
        self.count = end

    def __getitem__(self, rows: Numbers) -> Floats:
        return self._rows[rows]


def unit(values: Floats) -> Floats:
    """Each row with length one; a row of zeros stays. What is no number becomes zero: one bad vector must not poison the mean."""
    values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    lengths[lengths == 0] = 1
    return np.asarray(values / lengths, np.float32)
