"""Store: all facts on one SQLite file in WAL mode, with one connection that writes and one that reads; made by `open_store`.

Each method is one fact in one transaction. Rows become model values in this package only.
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
from ..home import records_path
from .approvals import ApprovalFacts
from .artifacts import ArtifactFacts
from .audit import AuditFacts
from .deletion import RetentionFacts
from .file_identity import FileIdentity
from .journal import JournalFacts
from .migrate import examine, prepare
from .model_requests import ModelFacts
from .publications import PublishingFacts
from .record_files import RecordFiles
from .runs import RunFacts
from .search_facts import VectorFacts
from .sessions import SessionFacts
from .shared_cache import CacheFacts
from .storage_errors import BUSY_S, Trouble
from .waits import WaitFacts
from .workflow_versions import VersionFacts
from .writer import Writer, on_thread, raw


class Store(
    VersionFacts,
    PublishingFacts,
    ApprovalFacts,
    RunFacts,
    JournalFacts,
    WaitFacts,
    SessionFacts,
    ArtifactFacts,
    ModelFacts,
    RetentionFacts,
    VectorFacts,
    CacheFacts,
    AuditFacts,
):
    """Everything that outlives the process."""

    def __init__(
        self, writer: Writer, reader: aiosqlite.Connection, epoch: int, trouble: Trouble, files: RecordFiles
    ) -> None:
        super().__init__(writer, reader, epoch, trouble, files)
        self._identity = FileIdentity(trouble.path)

    def lost_file(self) -> str | None:
        """The path of a database file that was deleted, moved or replaced while it was open. None: all are in place."""
        return self._identity.lost_file()

    def lose(self, why: StorageError) -> None:
        """Stop reading and writing. Each further try raises `why`."""
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
            yield Store(writer, reading, epoch, trouble, RecordFiles(records_path(path)))
        except Exception:  # not a cancellation: the server is closed by one
            crashed = True
            raise
        finally:
            with anyio.CancelScope(shield=True):
                if not crashed:
                    await _record_clean_end(writer, epoch)
                await writer.drain()


def _connection(path: str) -> aiosqlite.Connection:
    return aiosqlite.connect(path, isolation_level=None, timeout=BUSY_S)


def _checkpoint(reading: aiosqlite.Connection) -> None:
    """Move the log into the file, on the reader's thread. SQLite itself would do it within a commit, and a run would wait for the disk.
    Pages that cannot be moved now are moved the next time."""

    def work() -> None:
        with contextlib.suppress(sqlite3.Error):
            raw(reading).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    reading._tx.put_nowait((asyncio.get_running_loop().create_future(), work))


async def _record_clean_end(writer: Writer, epoch: int) -> None:
    """This server was not killed, so no run is suspected to have killed it."""
    with contextlib.suppress(sqlite3.Error, RepertoireError):  # if the disk is full, the server counts as killed
        await writer.write(lambda db: db.execute("UPDATE owner SET ended_at = ? WHERE epoch = ?", (time.time(), epoch)))


async def _new_epoch(writer: Writer, pid: int) -> int:
    statement = "INSERT INTO owner (pid, started_at) VALUES (?, ?)"
    epoch = await writer.write(lambda db: db.execute(statement, (pid, time.time())).lastrowid)
    assert epoch is not None
    return epoch
