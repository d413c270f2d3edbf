"""One writer: facts that arrive while a transaction is under way share the next one (group commit).

A fact is a function of the sqlite3 connection; it runs on aiosqlite's thread inside a savepoint, so one that fails takes
nothing else with it. Short facts only: whoever writes waits for the whole group.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import aiosqlite

from .trouble import Trouble

T = TypeVar("T")
Fact = Callable[[sqlite3.Connection], Any]


async def on_thread(connection: aiosqlite.Connection, function: Callable[..., T], *args: Any) -> T:
    """Run a function on the connection's own thread: one hop for many statements, where the public API takes one for each."""
    result: T = await connection._execute(function, *args)  # type: ignore[no-untyped-call]  # aiosqlite leaves it untyped
    return result


def raw(connection: aiosqlite.Connection) -> sqlite3.Connection:
    return connection._conn


class Writer:
    """`write` commits; `drain` before the connection is closed."""

    def __init__(self, connection: aiosqlite.Connection, trouble: Trouble) -> None:
        self._connection = connection
        self._trouble = trouble
        self._waiting: list[tuple[Fact, asyncio.Future[Any]]] = []
        self._committing = False
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(self, fact: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Commit `fact` after all that was submitted before it; the future has its value, or what it raised."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if (refusal := self._trouble.refusal()) is not None:
            future.set_exception(refusal)
            return future
        self._waiting.append((fact, future))
        if not self._committing:
            self._committing = True
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._commit)  # facts of one turn of the loop share a transaction too
        return future

    async def write(self, fact: Callable[[sqlite3.Connection], T]) -> T:
        """As `submit`, waited for. A cancelled caller's fact is committed all the same."""
        return await self.submit(fact)

    async def drain(self) -> None:
        """Wait until nothing is left to commit."""
        await self._idle.wait()

    def _commit(self) -> None:
        """Send all that waits to the thread as one transaction. Not a coroutine: a commit costs one wake-up of the loop, not three."""
        group, self._waiting = self._waiting, []
        done: asyncio.Future[list[tuple[bool, Any]]] = asyncio.get_running_loop().create_future()
        done.add_done_callback(partial(self._committed, group))
        work = partial(_transaction, raw(self._connection), [fact for fact, _ in group])
        self._connection._tx.put_nowait((done, work))

    def _committed(
        self, group: list[tuple[Fact, asyncio.Future[Any]]], done: asyncio.Future[list[tuple[bool, Any]]]
    ) -> None:
        error = done.exception()  # the transaction itself failed (disk full, locked): every fact of it did
        outcomes = [(False, error)] * len(group) if error is not None else done.result()
        for (_, future), (succeeded, value) in zip(group, outcomes, strict=True):
            if future.done():
                continue
            if succeeded:
                future.set_result(value)
            else:
                future.set_exception(self._trouble.explain(value))
        if self._waiting:
            self._commit()
        else:
            self._committing = False
            self._idle.set()


def _transaction(connection: sqlite3.Connection, facts: list[Fact]) -> list[tuple[bool, Any]]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if len(facts) == 1:  # the transaction is savepoint enough
            outcomes = [(True, facts[0](connection))]
        else:
            outcomes = [_attempt(connection, fact) for fact in facts]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _attempt(connection: sqlite3.Connection, fact: Fact) -> tuple[bool, Any]:
    connection.execute("SAVEPOINT fact")
    try:
        value = fact(connection)
    except Exception as error:  # given to whoever wrote the fact
        connection.execute("ROLLBACK TO fact")
        connection.execute("RELEASE fact")
        return False, error
    connection.execute("RELEASE fact")
    return True, value
