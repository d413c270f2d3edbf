"""What the groups of facts share: one connection that writes, one that reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

import aiosqlite

from .writer import Writer, on_thread, raw

T = TypeVar("T")


class Facts:
    def __init__(self, writer: Writer, reader: aiosqlite.Connection, epoch: int) -> None:
        self._writer = writer
        self._reader = reader
        self.epoch = epoch

    async def write(self, fact: Callable[[sqlite3.Connection], T]) -> T:
        """Commit one fact, with whatever others are waiting."""
        return await self._writer.write(fact)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query on the reader's thread."""
        return await on_thread(self._reader, query, raw(self._reader))
