"""Facts about runs: their start, their events, the place of a session's state, and their end. Every write names the owner's epoch."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ..errors import LostClaim
from ..model.lifecycle import Status, before
from ..model.run import EventType, Run, RunEvent
from ..wire import Fault
from .base import Facts
from .sessions import load_state, save_state, touch_session

START_WITHIN_S: Final = 0.001
"""Longer than a trivial run takes, so that its start and its end share a transaction; a crash before it leaves no trace of the run."""

NewEvent = tuple[EventType, float, dict[str, Any]]
"""Type, time and data; the number is given here."""

_COLUMNS = "id, workflow, version, session_id, principal, status, arguments, result, error, created_at, started_at, ended_at, last_event"
_encode_fault = msgspec.msgpack.Encoder().encode
_fault = msgspec.msgpack.Decoder(Fault)


class Place(msgspec.Struct, frozen=True):
    """The answer to a claim: the state as it is now, or the run that holds the place."""

    state: str | None = None
    held_by: str | None = None


class RunFacts(Facts):
    def start_run(self, run: Run, *, with_state: bool) -> asyncio.Future[Place | None]:
        """The run's row, its first event, its session's use, and (with state) the claim of its place, in one transaction.

        Not waited for here: facts are committed in the order in which they come, so nothing of a run is stored before this. One that
        claims nothing is stored within a millisecond, and together with the run's next fact if that comes first.
        """

        def fact(db: sqlite3.Connection) -> Place | None:
            db.execute(
                f"INSERT INTO run ({_COLUMNS}, epoch) VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?, NULL, 1, ?)",
                (run.id, run.workflow, run.version, run.session_id, run.principal, run.status, run.arguments)
                + (run.created_at, run.started_at, self.epoch),
            )
            start: NewEvent = ("run_start", run.created_at, {"workflow": run.workflow, "version": run.version[:12]})
            _insert_events(db, run.id, 1, [start])
            touch_session(db, run.session_id, run.principal, run.created_at)
            return _claim(db, run.session_id, run.workflow, run.id) if with_state else None

        return self.submit(fact, within_s=0.0 if with_state else START_WITHIN_S)

    async def claim_place(self, run: Run) -> Place:
        return await self.write(lambda db: _claim(db, run.session_id, run.workflow, run.id))

    async def mark_started(self, run_id: str, at: float) -> None:
        """A run that had to wait holds a worker from now on."""
        statement = "UPDATE run SET started_at = ? WHERE id = ? AND epoch = ?"
        await self.write(lambda db: db.execute(statement, (at, run_id, self.epoch)).rowcount)

    async def add_events(self, run_id: str, events: Sequence[NewEvent]) -> int:
        """Append and give back the last number. Raises LostClaim when the run is no longer ours."""
        return await self.write(lambda db: _append(db, run_id, self.epoch, events))

    async def commit_state(self, run: Run, value: str) -> None:
        """Keep this state whatever becomes of the run."""

        def fact(db: sqlite3.Connection) -> None:
            now = time.time()
            _append(db, run.id, self.epoch, [("state", now, {"committed": True})])
            save_state(db, run.session_id, run.workflow, value, now)

        await self.write(fact)

    async def finish_run(
        self, run: Run, status: Status, *, result: str | None = None, error: Fault | None = None, state: str | None = None,
        events: Sequence[NewEvent] = (),
    ) -> Run:  # fmt: skip
        """Status, result, state, remaining events, run_end and the release of the place, in one transaction.

        Raises LostClaim, and changes nothing, when the run has ended already or is no longer ours.
        """

        def fact(db: sqlite3.Connection) -> Run:
            now = time.time()
            ending: list[NewEvent] = [*events, ("run_end", now, _end_data(status, error))]
            allowed = before(status)
            marks = ", ".join("?" * len(allowed))
            row = db.execute(
                "UPDATE run SET status = ?, result = ?, error = ?, ended_at = ?, last_event = last_event + ? "
                f"WHERE id = ? AND epoch = ? AND status IN ({marks}) RETURNING last_event",
                (
                    status,
                    result,
                    None if error is None else _encode_fault(error),
                    now,
                    len(ending),
                    run.id,
                    self.epoch,
                    *allowed,
                ),
            ).fetchone()
            if row is None:
                raise LostClaim(f"{run.id} has ended already")
            last: int = row[0]
            _insert_events(db, run.id, last - len(ending) + 1, ending)
            if state is not None:
                save_state(db, run.session_id, run.workflow, state, now)
            _release(db, run.id, run.session_id, run.workflow)
            return msgspec.structs.replace(
                run, status=status, result=result, error=error, ended_at=now, last_event=last, waiting_for=None
            )

        return await self.write(fact)

    async def abandon_runs(self) -> list[Run]:
        """End the runs that an earlier owner of this home left unfinished: only the owner's lock makes this safe to call."""

        def fact(db: sqlite3.Connection) -> list[Run]:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM run WHERE status IN ('working', 'input_required') AND epoch < ?", (self.epoch,)
            ).fetchall()
            for row in rows:
                now = time.time()
                fault = Fault(
                    "server_lost", "ServerLost", "The server stopped while this run was going on; what it had done outside is not known.",
                    hint="Run it again if repeating it does no harm.",
                )  # fmt: skip
                db.execute("UPDATE run SET epoch = ? WHERE id = ?", (self.epoch, row[0]))
                _append(db, row[0], self.epoch, [("run_end", now, _end_data("failed", fault))])
                db.execute(
                    "UPDATE run SET status = 'failed', error = ?, ended_at = ? WHERE id = ?",
                    (_encode_fault(fault), now, row[0]),
                )
            db.execute(
                "DELETE FROM place WHERE run_id NOT IN (SELECT id FROM run WHERE status IN ('working', 'input_required'))"
            )
            return [_run(row) for row in rows]

        return await self.write(fact)

    async def run(self, run_id: str) -> Run | None:
        def query(db: sqlite3.Connection) -> Run | None:
            row = db.execute(f"SELECT {_COLUMNS} FROM run WHERE id = ?", (run_id,)).fetchone()
            return row and _run(row)

        return await self.read(query)

    async def runs(
        self,
        principal: str,
        *,
        workflow: str | None = None,
        session_id: str | None = None,
        status: str | None = None,
        limit: int = 50,
    ) -> list[Run]:
        """The principal's runs, newest first."""
        filters = {"principal": principal, "workflow": workflow, "session_id": session_id, "status": status}
        given = {column: value for column, value in filters.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in given)

        def query(db: sqlite3.Connection) -> list[Run]:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM run WHERE {where} ORDER BY created_at DESC, id DESC LIMIT ?",
                (*given.values(), limit),
            )
            return [_run(row) for row in rows]

        return await self.read(query)

    async def events(self, run_id: str, after: int = 0, limit: int = 1000) -> list[RunEvent]:
        """Events numbered after+1 and on."""

        def query(db: sqlite3.Connection) -> list[RunEvent]:
            rows = db.execute(
                "SELECT n, type, at, data FROM event WHERE run_id = ? AND n > ? ORDER BY n LIMIT ?",
                (run_id, after, limit),
            )
            return [RunEvent(n, kind, at, json.loads(data)) for n, kind, at, data in rows]

        return await self.read(query)


def _append(db: sqlite3.Connection, run_id: str, epoch: int, events: Sequence[NewEvent]) -> int:
    row = db.execute(
        "UPDATE run SET last_event = last_event + ? WHERE id = ? AND epoch = ? RETURNING last_event",
        (len(events), run_id, epoch),
    ).fetchone()
    if row is None:
        raise LostClaim(f"{run_id} is no longer run by this process")
    last: int = row[0]
    _insert_events(db, run_id, last - len(events) + 1, events)
    return last


def _insert_events(db: sqlite3.Connection, run_id: str, first: int, events: Sequence[NewEvent]) -> None:
    db.executemany(
        "INSERT INTO event (run_id, n, type, at, data) VALUES (?, ?, ?, ?, ?)",
        [(run_id, first + i, kind, at, json.dumps(data)) for i, (kind, at, data) in enumerate(events)],
    )


def _claim(db: sqlite3.Connection, session_id: str, workflow: str, run_id: str) -> Place:
    db.execute(
        "INSERT OR IGNORE INTO place (session_id, workflow, run_id) VALUES (?, ?, ?)", (session_id, workflow, run_id)
    )
    (holder,) = db.execute(
        "SELECT run_id FROM place WHERE session_id = ? AND workflow = ?", (session_id, workflow)
    ).fetchone()
    if holder != run_id:
        return Place(held_by=holder)
    return Place(state=load_state(db, session_id, workflow))


def _release(db: sqlite3.Connection, run_id: str, session_id: str, workflow: str) -> None:
    db.execute("DELETE FROM place WHERE session_id = ? AND workflow = ? AND run_id = ?", (session_id, workflow, run_id))


def _end_data(status: Status, error: Fault | None) -> dict[str, Any]:
    if error is None:
        return {"status": status}
    return {"status": status, "error": {"code": error.code, "message": error.message, "line": error.line}}


def _run(row: tuple[Any, ...]) -> Run:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values["error"] = None if values["error"] is None else _fault.decode(values["error"])
    return Run(**values)
