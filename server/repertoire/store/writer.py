"""One writer: facts that arrive while a transaction is under way share the next one (group commit).

A fact is a function of the sqlite3 connection; it runs on aiosqlite's thread, and one that fails takes nothing else with it. It may
be run twice. Short facts only: whoever writes waits for the whole group.

When the disk is full or the file is locked, no fact of the group is committed. Whoever can tell a caller so hears of it. A patient fact
is kept instead, and tried again in its order until it is committed: what a durable run does must not depend on a disk that is full for a
minute. Only closing the writer ends its patience.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import aiosqlite

from ..errors import StorageError
from .storage_errors import Trouble, explained

T = TypeVar("T")
Then = Callable[[BaseException | None], None]
"""Called when a fact is committed, or with why it could not be."""
Fact = Callable[[sqlite3.Connection], Any]


class _Waiting(NamedTuple):
    fact: Fact
    waiter: asyncio.Future[Any] | Then
    patient: bool


async def on_thread(connection: aiosqlite.Connection, function: Callable[..., T], *args: Any) -> T:
    """Run a function on the connection's own thread: one hop for many statements, where the public API takes one for each."""
    result: T = await connection._execute(function, *args)  # type: ignore[no-untyped-call]  # aiosqlite leaves it untyped
    return result


def raw(connection: aiosqlite.Connection) -> sqlite3.Connection:
    return connection._conn


TRY_AGAIN_S: Final = 0.5
"""How often patient facts and queries are tried again. A lock is waited for besides (BUSY_S)."""
_TIDY_EVERY: Final = 250
"""Commits; a commit of a small run is some eight pages of 4 KiB, so the log grows to some megabytes."""


class Writer:
    """`write` commits; `drain` before the connection is closed."""

    def __init__(self, connection: aiosqlite.Connection, trouble: Trouble, tidy: Callable[[], None]) -> None:
        """`tidy` is called after every so many commits, while nobody waits for it."""
        self._connection = connection
        self._trouble = trouble
        self._waiting: list[_Waiting] = []
        self._closing = False
        self.on_trouble: Callable[[StorageError | None], None] = _nobody
        """Hears when nothing can be committed, and why; None when it can again."""
        self._stuck = False
        self._tidy = tidy
        self._until_tidy = _TIDY_EVERY
        self._committing = False
        self._timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(self, fact: Callable[[sqlite3.Connection], T], *, patient: bool = False) -> asyncio.Future[T]:
        """Commit `fact` after all that was submitted before it; the future has its value, or what it raised.

        `patient`: see above.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if (refusal := self._trouble.refusal()) is not None:
            future.set_exception(refusal)
            return future
        self._put(_Waiting(fact, future, patient))
        return future

    def tell(self, fact: Fact, then: Then) -> None:
        """As `submit`, and patient; `then` is called in the very turn of the loop that hears of the commit: a body waits for it."""
        if (refusal := self._trouble.refusal()) is not None:
            then(refusal)
        else:
            self._put(_Waiting(fact, then, True))

    def _put(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        self._idle.clear()
        self._begin()

    def _begin(self) -> None:
        self._stop_timer()
        if not self._committing:
            self._committing = True
            asyncio.get_running_loop().call_soon(self._commit)  # facts of one turn of the loop share a transaction too

    async def write(self, fact: Callable[[sqlite3.Connection], T], *, patient: bool = False) -> T:
        """As `submit`, waited for. A cancelled caller's fact is committed all the same."""
        return await self.submit(fact, patient=patient)

    async def drain(self) -> None:
        """Wait until nothing is left to commit, or what is left cannot be: the writer is closed after it."""
        self._closing = True
        if self._waiting and not self._committing:
            self._begin()
        await self._idle.wait()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _commit(self) -> None:
        """Send all that waits to the thread as one transaction. Not a coroutine: a commit costs one wake-up of the loop, not three."""
        self._stop_timer()
        group, self._waiting = self._waiting, []
        done: asyncio.Future[list[tuple[bool, Any]]] = asyncio.get_running_loop().create_future()
        done.add_done_callback(partial(self._committed, group))
        work = partial(_transaction, raw(self._connection), [waiting.fact for waiting in group])
        self._connection._tx.put_nowait((done, work))

    def _committed(self, group: list[_Waiting], done: asyncio.Future[list[tuple[bool, Any]]]) -> None:
        failure = done.exception()  # the transaction itself failed (disk full, locked): every fact of it did
        error = None if failure is None else self._trouble.explain(failure)
        stuck = error if isinstance(error, StorageError) else None
        if stuck is not None or self._stuck:
            self._stuck = stuck is not None
            self.on_trouble(stuck)
        if stuck is not None and not self._closing:
            kept = [waiting for waiting in group if waiting.patient]
            self._answer([waiting for waiting in group if not waiting.patient], [(False, failure)] * len(group))
            self._waiting = kept + self._waiting
            self._committing = False
            if self._waiting:
                self._timer = asyncio.get_running_loop().call_later(TRY_AGAIN_S, self._begin)
            else:
                self._idle.set()
            return
        self._answer(group, done.result() if failure is None else [(False, failure)] * len(group))
        self._until_tidy -= 1
        if self._until_tidy == 0:
            self._until_tidy = _TIDY_EVERY
            self._tidy()
        if self._waiting:
            self._commit()
        else:
            self._committing = False
            self._idle.set()

    def _answer(self, group: list[_Waiting], outcomes: list[tuple[bool, Any]]) -> None:
        for (_, waiter, _), (succeeded, value) in zip(group, outcomes, strict=False):
            error = None if succeeded else self._trouble.explain(value)
            if not isinstance(waiter, asyncio.Future):
                waiter(error)
            elif waiter.done():
                continue
            elif error is None:
                waiter.set_result(value)
            else:
                waiter.set_exception(error)


def _nobody(trouble: StorageError | None) -> None:
    pass


def _transaction(connection: sqlite3.Connection, facts: list[Fact]) -> list[tuple[bool, Any]]:
    """Together, or, where one fails, each in a savepoint of its own: failing is rare, and savepoints cost half of a small fact."""
    if len(facts) == 1:
        return _together(connection, lambda: [(True, facts[0](connection))])
    try:
        return _together(connection, lambda: [(True, _tried(connection, fact)) for fact in facts])
    except _FactFailed:  # and not where the file is locked: that would be waited for twice
        return _together(connection, lambda: [_attempt(connection, fact) for fact in facts])


class _FactFailed(Exception):
    """One of several facts did; which one and why is found out in savepoints."""


def _tried(connection: sqlite3.Connection, fact: Fact) -> Any:
    try:
        return fact(connection)
    except Exception as error:  # any: a fact raises what its author's caller is to hear
        raise _FactFailed from error


def _together(connection: sqlite3.Connection, work: Callable[[], list[tuple[bool, Any]]]) -> list[tuple[bool, Any]]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        outcomes = work()
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
    except Exception as error:  # given to whoever wrote the fact, where it is not the file's or the disk's fault
        if isinstance(error, sqlite3.Error) and explained(error, "") is not None:
            raise
        connection.execute("ROLLBACK TO fact")
        connection.execute("RELEASE fact")
        return False, error
    connection.execute("RELEASE fact")
    return True, value
