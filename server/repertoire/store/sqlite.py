"""The Store on SQLite: two connections (one writes, one reads) to one file in WAL mode.

Each method is one fact and one transaction. Rows become model values here and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosqlite
import anyio

from .catalogue import CatalogueFacts
from .runs import RunFacts
from .schema import prepare
from .sessions import SessionFacts
from .writer import Writer, on_thread, raw


class Store(CatalogueFacts, RunFacts, SessionFacts):
    """Everything that outlives the process. Made by `open_store`."""


@asynccontextmanager
async def open_store(path: str, *, pid: int = 0) -> AsyncIterator[Store]:
    """Open (or create) the file and register this process as its owner. Raises NewerSchema, DamagedStore."""
    async with (
        aiosqlite.connect(path, isolation_level=None) as writing,
        aiosqlite.connect(path, isolation_level=None) as reading,
    ):
        await on_thread(writing, prepare, raw(writing))
        await reading.execute("PRAGMA busy_timeout = 5000")
        await reading.execute("PRAGMA query_only = ON")
        writer = Writer(writing)
        try:
            yield Store(writer, reading, await _new_epoch(writer, pid))
        finally:
            with anyio.CancelScope(shield=True):
                await writer.drain()


async def _new_epoch(writer: Writer, pid: int) -> int:
    statement = "INSERT INTO owner (pid, started_at) VALUES (?, ?)"
    epoch = await writer.write(lambda db: db.execute(statement, (pid, time.time())).lastrowid)
    assert epoch is not None
    return epoch
