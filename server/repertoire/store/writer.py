"""One writer: facts that arrive while a transaction is under way share the next one (group commit).

A fact is a function of the sqlite3 connection; it runs on aiosqlite's thread inside a savepoint, so one that fails takes
nothing else with it. Short facts only: whoever writes waits for the whole group.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

import aiosqlite

T = TypeVar("T")
Fact = Callable[[sqlite3.Connection], Any]


async def on_thread(connection: aiosqlite.Connection, function: Callable[..., T], *args: Any) -> T:
    """Run a function on the connection's own thread: one hop for many statements, where the public API takes one for each."""
    result: T = await connection._execute(function, *args)  # type: ignore[no-untyped-call]  # aiosqlite leaves it untyped
    return result


def raw(connection: aiosqlite.Connection) -> sqlite3.Connection:
    return connection._conn


class Writer:
    """Give `run` a task of its own before the first `write`, and call `stop` after the last."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._waiting: list[tuple[Fact, asyncio.Future[Any]]] = []
        self._wake = asyncio.Event()
        self._stopped = False

    async def write(self, fact: Callable[[sqlite3.Connection], T]) -> T:
        """Commit `fact` and give back its value, or raise what it raised. A cancelled caller's fact is committed all the same."""
        if self._stopped:
            raise RuntimeError("the store is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((fact, future))
        self._wake.set()
        return await future

    async def run(self) -> None:
        while not (self._stopped and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                group, self._waiting = self._waiting, []
                await self._commit(group)

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()

    async def _commit(self, group: list[tuple[Fact, asyncio.Future[Any]]]) -> None:
        try:
            outcomes = await on_thread(
                self._connection, _transaction, raw(self._connection), [fact for fact, _ in group]
            )
        except Exception as error:  # the transaction itself failed (disk full, locked): every fact of it did
            outcomes = [(False, error)] * len(group)
        for (_, future), (succeeded, value) in zip(group, outcomes, strict=True):
            if future.done():
                continue
            if succeeded:
                future.set_result(value)
            else:
                future.set_exception(value)


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
    except Exception as error:
        connection.execute("ROLLBACK TO fact")
        connection.execute("RELEASE fact")
        return False, error
    connection.execute("RELEASE fact")
    return True, value
