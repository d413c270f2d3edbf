"""Facts: base of the classes of facts, with one connection that writes and one that reads; used in `store` only."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TypeVar

import aiosqlite

from ..errors import StorageError
from .record_files import RecordFiles
from .storage_errors import Trouble
from .writer import TRY_AGAIN_S, Writer, on_thread, raw

T = TypeVar("T")


class Facts:
    """`write` and `read` raise StorageError or DamagedStore if the file or its disk cannot be used."""

    def __init__(
        self, writer: Writer, reader: aiosqlite.Connection, epoch: int, trouble: Trouble, files: RecordFiles
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._trouble = trouble
        self.epoch = epoch
        self._files = files

    def on_trouble(self, hear: Callable[[StorageError | None], None]) -> None:
        """`hear` is called with the error while nothing can be written, and with None when it can again."""
        self._writer.on_trouble = hear

    def submit(self, fact: Callable[[sqlite3.Connection], T], *, patient: bool = False) -> asyncio.Future[T]:
        """Commit one fact after all facts submitted before it. The future gets its value or its error.

        A `patient` fact is tried again until it is committed, if the disk is full or the file is locked.
        """
        return self._writer.submit(fact, patient=patient)

    async def write(self, fact: Callable[[sqlite3.Connection], T]) -> T:
        """Commit one fact, in one transaction with the facts that wait."""
        return await self.submit(fact)

    async def write_patiently(self, fact: Callable[[sqlite3.Connection], T]) -> T:
        """As `write`, for a run that goes on: storage trouble does not end it."""
        return await self.submit(fact, patient=True)

    async def read_behind(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query after all facts submitted before it. `read` does not see facts that wait to be committed.

        Needed where the *absence* of a row decides: when a run is begun again, or is cancelled with the runs below it.
        """
        return await self.submit(query, patient=True)

    async def read(self, query: Callable[[sqlite3.Connection], T], *, patient: bool = False) -> T:
        """Run a query on the reader's thread. A `patient` query is tried until it succeeds: a full disk stops readers too."""
        while patient:
            try:
                return await self.read(query)
            except StorageError:
                if self._trouble.gone is not None:
                    raise
                await asyncio.sleep(TRY_AGAIN_S)
        if self._trouble.gone is not None:
            raise self._trouble.gone
        try:
            return await on_thread(self._reader, query, raw(self._reader))
        except sqlite3.Error as error:
            raise self._trouble.explain(error) from error
