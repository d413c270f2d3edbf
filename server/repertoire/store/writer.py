"""Writer: commits facts in groups, on one connection; used by Facts.

1. A fact is a function of the sqlite3 connection. It runs on aiosqlite's thread, and it may be run twice.
2. Facts that arrive during a transaction share the next one (group commit). A caller waits for the whole group, so facts must be short.
3. A fact that fails is rolled back alone. The other facts of the group are committed.
4. If the disk is full or the file is locked, no fact of the group is committed, and `on_trouble` is called. Ordinary facts fail then.
   Patient facts are kept, and tried again in their order until they are committed. So a durable run does not depend on a disk that is
   full for a minute. Only closing the writer ends the tries.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import aiosqlite

from ..errors import StorageError
from .storage_errors import Trouble, explain_error

T = TypeVar("T")
OnCommitted = Callable[[BaseException | None], None]
"""Called with None when a fact is committed, or with the error."""
Fact = Callable[[sqlite3.Connection], Any]


class _Waiting(NamedTuple):
    fact: Fact
    waiter: asyncio.Future[Any] | OnCommitted
    patient: bool


async def on_thread(connection: aiosqlite.Connection, function: Callable[..., T], *args: Any) -> T:
    """Run a function on the connection's own thread. That is one hop for many statements. The public API takes one for each."""
    result: T = await connection._execute(function, *args)  # type: ignore[no-untyped-call]  # aiosqlite leaves it untyped
    return result


def raw(connection: aiosqlite.Connection) -> sqlite3.Connection:
    return connection._conn


TRY_AGAIN_S: Final = 0.5
"""Pause before patient facts and queries are tried again. SQLite waits for a lock in addition (BUSY_S)."""
_TIDY_EVERY: Final = 250
"""Commits. A commit of a small run is some eight pages of 4 KiB, so the log grows to some megabytes."""


class Writer:
    """Call `drain` before the connection is closed."""

    def __init__(self, connection: aiosqlite.Connection, trouble: Trouble, tidy: Callable[[], None]) -> None:
        """`tidy` is called after every `_TIDY_EVERY` commits, and no commit waits for it."""
        self._connection = connection
        self._trouble = trouble
        self._waiting: list[_Waiting] = []
        self._closing = False
        self.on_trouble: Callable[[StorageError | None], None] = _do_nothing
        """Called with the error while nothing can be committed, and with None when it can again."""
        self._stuck = False
        self._tidy = tidy
        self._until_tidy = _TIDY_EVERY
        self._committing = False
        self._timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(self, fact: Callable[[sqlite3.Connection], T], *, patient: bool = False) -> asyncio.Future[T]:
        """Commit `fact` after all facts submitted before it. The future gets its value or its error. `patient`: see above."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if (refusal := self._trouble.refusal()) is not None:
            future.set_exception(refusal)
            return future
        self._put(_Waiting(fact, future, patient))
        return future

    def submit_with_callback(self, fact: Fact, then: OnCommitted) -> None:
        """As a patient `submit`. `then` is called in the turn of the loop in which the commit is known: a body waits for it."""
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
            asyncio.get_running_loop().call_soon(
                self._commit
            )  # so facts of one turn of the loop share a transaction too

    async def write(self, fact: Callable[[sqlite3.Connection], T], *, patient: bool = False) -> T:
        """Submit and wait. If the caller is cancelled, the fact is committed nevertheless."""
        return await self.submit(fact, patient=patient)

    async def drain(self) -> None:
        """Commit the facts that are left, without further tries. Then the writer is closed."""
        self._closing = True
        if self._waiting and not self._committing:
            self._begin()
        await self._idle.wait()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _commit(self) -> None:
        """Send all waiting facts to the thread as one transaction. As no coroutine, a commit costs one wake-up of the loop, not three."""
        self._stop_timer()
        group, self._waiting = self._waiting, []
        done: asyncio.Future[list[tuple[bool, Any]]] = asyncio.get_running_loop().create_future()
        done.add_done_callback(partial(self._on_committed, group))
        work = partial(_run_group, raw(self._connection), [waiting.fact for waiting in group])
        self._connection._tx.put_nowait((done, work))

    def _on_committed(self, group: list[_Waiting], done: asyncio.Future[list[tuple[bool, Any]]]) -> None:
        failure = done.exception()  # the transaction itself failed (disk full, file locked), and so did all its facts
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


def _do_nothing(trouble: StorageError | None) -> None:
    pass


def _run_group(connection: sqlite3.Connection, facts: list[Fact]) -> list[tuple[bool, Any]]:
    """Run all facts together. If one fails, run each in a savepoint of its own: savepoints cost half as much as a small fact, and failures
    are rare."""
    if len(facts) == 1:
        return _in_transaction(connection, lambda: [(True, facts[0](connection))])
    try:
        return _in_transaction(connection, lambda: [(True, _run_fact(connection, fact)) for fact in facts])
    except _FactFailed:  # a locked file ends here: the lock would be waited for twice
        return _in_transaction(connection, lambda: [_run_in_savepoint(connection, fact) for fact in facts])


class _FactFailed(Exception):
    """Raised when one of several facts fails. The run in savepoints finds out which one, and why."""


def _run_fact(connection: sqlite3.Connection, fact: Fact) -> Any:
    try:
        return fact(connection)
    except Exception as error:  # any: facts raise the errors that their callers handle
        raise _FactFailed from error


def _in_transaction(
    connection: sqlite3.Connection, work: Callable[[], list[tuple[bool, Any]]]
) -> list[tuple[bool, Any]]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        outcomes = work()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _run_in_savepoint(connection: sqlite3.Connection, fact: Fact) -> tuple[bool, Any]:
    connection.execute("SAVEPOINT fact")
    try:
        value = fact(connection)
    except Exception as error:  # any: it is the caller's, unless the file or the disk is the cause
        if isinstance(error, sqlite3.Error) and explain_error(error, "") is not None:
            raise
        connection.execute("ROLLBACK TO fact")
        connection.execute("RELEASE fact")
        return False, error
    connection.execute("RELEASE fact")
    return True, value
