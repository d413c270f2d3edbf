"""The Store on SQLite: two connections (one writes, one reads) to one file in WAL mode.

Each method is one fact and one transaction. Rows become model values here and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiosqlite
import anyio
import anyio.to_thread

from ..errors import RepertoireError, StorageError
from .deletion import RetentionFacts
from .file_identity import Identity
from .journal import JournalFacts
from .migrate import examine, prepare
from .publications import PublishingFacts
from .runs import RunFacts
from .search_facts import VectorFacts
from .sessions import SessionFacts
from .storage_errors import BUSY_S, Trouble
from .waits import WaitFacts
from .workflow_versions import CatalogueFacts
from .writer import Writer, on_thread, raw


class Store(
    CatalogueFacts, PublishingFacts, RunFacts, JournalFacts, WaitFacts, SessionFacts, RetentionFacts, VectorFacts
):
    """Everything that outlives the process. Made by `open_store`."""

    def __init__(self, writer: Writer, reader: aiosqlite.Connection, epoch: int, trouble: Trouble) -> None:
        super().__init__(writer, reader, epoch, trouble)
        self._identity = Identity(trouble.path)

    def lost_file(self) -> str | None:
        """A file of the database that was deleted, moved or replaced while it is open here."""
        return self._identity.lost_file()

    def lose(self, why: StorageError) -> None:
        """Nothing is read or written any more; whoever tries hears why."""
        self._trouble.gone = why


@asynccontextmanager
async def open_store(path: str, *, pid: int = 0) -> AsyncIterator[Store]:
    """Open (or create) the file and register this process as its owner. Raises NewerSchema, DamagedStore, StorageError."""
    trouble = Trouble(path)
    async with AsyncExitStack() as stack:
        try:
            await anyio.to_thread.run_sync(examine, path)
            writing = await stack.enter_async_context(_connection(path))
            reading = await stack.enter_async_context(_connection(path))
            await on_thread(writing, prepare, raw(writing))
            await reading.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            raise trouble.explain(error) from error
        writer = Writer(writing, trouble, lambda: _checkpoint(reading))
        epoch = await _new_epoch(writer, pid)
        crashed = False
        try:
            yield Store(writer, reading, epoch, trouble)
        except Exception:  # not a cancellation: that is how a house is closed
            crashed = True
            raise
        finally:
            with anyio.CancelScope(shield=True):
                if not crashed:
                    await _went_by_itself(writer, epoch)
                await writer.drain()


def _connection(path: str) -> aiosqlite.Connection:
    return aiosqlite.connect(path, isolation_level=None, timeout=BUSY_S)


def _checkpoint(reading: aiosqlite.Connection) -> None:
    """Move the log into the file, on the reader's thread: SQLite itself would do it within a commit, whose run then waits for the disk.
    What cannot be moved now is moved the next time."""

    def work() -> None:
        with contextlib.suppress(sqlite3.Error):
            raw(reading).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    reading._tx.put_nowait((asyncio.get_running_loop().create_future(), work))


async def _went_by_itself(writer: Writer, epoch: int) -> None:
    """The runs that it leaves have not killed it."""
    with contextlib.suppress(sqlite3.Error, RepertoireError):  # where the disk is full, it counts as killed
        await writer.write(lambda db: db.execute("UPDATE owner SET ended_at = ? WHERE epoch = ?", (time.time(), epoch)))


async def _new_epoch(writer: Writer, pid: int) -> int:
    statement = "INSERT INTO owner (pid, started_at) VALUES (?, ?)"
    epoch = await writer.write(lambda db: db.execute(statement, (pid, time.time())).lastrowid)
    assert epoch is not None
    return epoch
