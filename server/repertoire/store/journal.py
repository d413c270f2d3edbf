"""JournalFacts: the journal of a run (its recorded calls), and claiming, parking, resuming and taking over runs; used by the engine.

A replay reads the journal in pages (`page`) and answers the body from it. Records have numbers from 1, in the order in which their calls
ended. Number 0 holds the state with which the run began, if the session's state was overwritten since. Records that are *covered* are
part of a step: a replay skips them.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ..errors import LostClaim
from ..model.run import Run
from ..model.usage import Usage
from ..wire import Fault, Recorded
from .audit import By, note
from .facts import Facts
from .journal_rows import decode_record, first_page, with_text
from .kept_states import RESULT, loaded_state, record_state
from .left_examples import end_examples
from .model_requests import library_of, usage_of
from .open_questions import close_side_questions, close_wait
from .record_files import RecordFiles
from .runs import NewEvent, check_owner, insert_events, run_of
from .sessions import load_state, save_state
from .state_turns import StateTurn, claim_turn, release_turn
from .unfinished import IS_UNFINISHED, NEWS
from .writer import OnCommitted

_LAST: Final = "(SELECT coalesce(max(n), 0) FROM call WHERE call.run_id = run.id)"
"""SQL: the last number in a run's journal."""
PAGE: Final = 256
"""Records in one page of a replay: some 50 KB. If the records are large, a page has fewer."""

_encode = msgspec.msgpack.Encoder().encode
_fault = msgspec.msgpack.Decoder(Fault)

_INSERT: Final = (
    "INSERT INTO call (run_id, n, path, op, hash, label, at, began_at, ended_at, result, error, cancelled, clock, child, held_s) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class NewRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A call that has ended. `child` is the run that gave its result. `replaces` is the number of its earlier record."""

    call: Recorded
    began_at: float
    ended_at: float
    child: str | None = None
    replaces: int | None = None
    covers: bool = False
    """The step contains recorded calls (below its path). They become covered."""
    state: str | None = None
    """The session's state, stored in the same transaction."""
    held_s: float = 0.0
    """Seconds for which the run has held a worker until now."""


class Unfinished(msgspec.Struct, frozen=True):
    """A run that has not ended, as a new owner of the home finds it."""

    id: str
    parent: str | None
    parked: bool
    wake_at: float | None
    asks: bool
    state: str
    """A key of the session's state: runs that may change the same state have the same key."""
    deaths: int
    """How many servers have died while it held a worker, with nothing recorded in between."""


class ResumePoint(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is: the number of records for a replay, the last record's number, the run's clock then, and the last event's number.

    `told`: the number of the body's last stored event, by path.
    """

    records: int = 0
    last_n: int = 0
    clock_s: float = 0.0
    told: dict[str, int] = {}
    events: int = 0
    """The body's stored events, and the characters of their data."""
    event_chars: int = 0
    last_event: int = 1
    loaded_state: str | None = None
    """The state with which the run began. None: the session's state is still the same."""
    deaths: int = 0
    held_s: float = 0.0
    fingerprint: str | None = None
    calls: int = 0
    """Calls of the run and of all runs below it."""
    used: Usage = Usage()
    """Requests to models of the run and of all runs below it."""
    library: str | None = None
    """The library that has made this run's requests to models. None: it has made none."""
    begun: frozenset[str] = frozenset()
    """Paths of calls that were open: their `call_start` events are stored."""
    was_interrupted: bool = False
    """A body of it went on when its server ended."""


class JournalFacts(Facts):
    def record_call(
        self, run: Run, record: NewRecord, first_event: int, events: Sequence[NewEvent], then: OnCommitted
    ) -> None:
        """Store the call, its events and its state in one transaction, then call `then`, with LostClaim if the run is not ours any more."""

        def fact(db: sqlite3.Connection) -> None:
            check_owner(db, run, self.epoch)
            if record.state is not None:
                _keep_loaded_state(db, run)
                save_state(db, run.session_id, run.workflow, record.state, record.ended_at)
            _insert_record(db, self._files, run.id, record)
            if record.call.cancelled and record.call.op == "ask":
                close_wait(db, run, record.call.path)
            if record.call.op in ("tool", "model"):
                close_side_questions(db, run, record.call.path)
            insert_events(db, run.id, first_event, events)

        self._writer.submit_with_callback(fact, then)

    def delay_record(self, run: Run, n: int, at: float) -> asyncio.Future[None]:
        """The body got this answer only at `at`, after other things that it had waited for."""

        def fact(db: sqlite3.Connection) -> None:
            check_owner(db, run, self.epoch)
            db.execute("UPDATE call SET at = max(at, ?) WHERE run_id = ? AND n = ?", (at, run.id, n))

        return self.submit(fact, patient=True)

    async def page(self, run_id: str, after: int, limit: int = PAGE) -> list[Recorded]:
        """The records after number `after` that a replay needs."""

        def query(db: sqlite3.Connection) -> list[Recorded]:
            rows = db.execute(
                f"SELECT n, path, op, hash, at, {RESULT}, "
                "call.error, cancelled, clock, label FROM call LEFT JOIN run ON run.id = call.child "
                "WHERE call.run_id = ? AND n > ? AND covered = 0 ORDER BY n LIMIT ?",
                (run_id, after, limit),
            )
            return first_page(rows, self._files)

        return await self.read(query, patient=True)

    async def answers(self, run_id: str, ops: Sequence[str], limit: int) -> list[Recorded]:
        """Results of calls to these doors, in the order in which the calls were made, including calls within steps."""

        def query(db: sqlite3.Connection) -> list[Recorded]:
            marks = ", ".join("?" * len(ops))
            rows = db.execute(
                "SELECT n, path, call.op, hash, at, CASE WHEN call.child IS NULL THEN call.result ELSE run.result END, "
                "call.error, cancelled, clock, label FROM call LEFT JOIN run ON run.id = call.child "
                f"WHERE call.run_id = ? AND n > 0 AND cancelled = 0 AND op IN ({marks}) ORDER BY began_at, n LIMIT ?",
                (run_id, *ops, limit),
            )
            return [decode_record(with_text(row, self._files)) for row in rows]

        return await self.read(query)

    async def calls(self, run_id: str) -> list[dict[str, Any]]:
        """Every recorded call with its times, in the order in which the calls ended."""

        def query(db: sqlite3.Connection) -> list[dict[str, Any]]:
            rows = db.execute(
                "SELECT n, path, op, label, began_at, ended_at, error, cancelled, child, covered FROM call "
                "WHERE run_id = ? AND n > 0 AND op NOT IN ('tick', 'clock', 'wake') ORDER BY n",
                (run_id,),
            )
            names = ("n", "path", "op", "label", "began_at", "ended_at", "error", "cancelled", "child", "covered")
            found = [dict(zip(names, row, strict=True)) for row in rows]
            for call in found:
                call["error"] = None if call["error"] is None else _fault.decode(call["error"])
            return found

        return await self.read(query)

    async def copy_calls(self, source: str, target: str, before: int | None) -> int:
        """Copy the records of run `source` before number `before` to run `target`, which keeps the contents that `source` has loaded.
        Returns how many."""

        def fact(db: sqlite3.Connection) -> int:
            columns = (
                "n, path, op, hash, label, at, began_at, ended_at, {result}, error, cancelled, clock, covered, state"
            )
            into = columns.format(result="result")
            of = columns.format(
                result="CASE WHEN child IS NULL THEN result ELSE (SELECT run.result FROM run WHERE run.id = child) END"
            )
            db.execute("INSERT INTO content_use SELECT ?, hash FROM content_use WHERE run_id = ?", (target, source))
            return db.execute(
                f"INSERT INTO call (run_id, {into}) SELECT ?, {of} FROM call WHERE run_id = ? AND (? IS NULL OR n < ?)",
                (target, source, before, before),
            ).rowcount

        return await self.write(fact)

    async def resume_point(self, run: Run) -> ResumePoint:
        return await self.read_behind(lambda db: _resume_point(db, run.id))

    async def claim_run(self, run_id: str, by: By | None = None) -> tuple[Run, ResumePoint] | None:
        """Take the right to begin a body of this run, under a new claim. None: it has ended, a body of it goes on, or it belongs to another
        owner. `by`: the person who resumes it."""

        def fact(db: sqlite3.Connection) -> tuple[Run, ResumePoint] | None:
            changed = db.execute(
                "UPDATE run SET claim = claim + 1, is_claimed = 1 WHERE id = ? AND epoch = ? AND is_claimed = 0 "
                f"AND {IS_UNFINISHED}",
                (run_id, self.epoch),
            ).rowcount
            if not changed:
                return None
            run = run_of(db, self._files, "id = ?", (run_id,))
            if run is not None and by is not None:
                note(db, "resumed", by, workflow=run.workflow, version=run.version, run_id=run_id)
            return None if run is None else (run, _resume_point(db, run_id))

        return await self.write_patiently(fact)

    def release_run(self, run: Run) -> asyncio.Future[int]:
        """No body of the run goes on any more, so another one may be begun."""
        statement = "UPDATE run SET is_claimed = 0 WHERE id = ? AND epoch = ? AND claim = ?"
        return self.submit(lambda db: db.execute(statement, (run.id, self.epoch, run.claim)).rowcount, patient=True)

    async def claim_unfinished(self) -> list[Unfinished]:
        """Take over the runs that earlier owners of this home left unfinished, newest first. Only the process that has the home's lock may
        call this."""

        def fact(db: sqlite3.Connection) -> list[Unfinished]:
            where = f"{IS_UNFINISHED} AND epoch < ?"
            held = "parked IS NULL AND held_in = epoch AND epoch IN (SELECT epoch FROM owner WHERE ended_at IS NULL)"
            db.execute(
                f"UPDATE run SET server_deaths = CASE WHEN died_at = {_LAST} THEN server_deaths + 1 ELSE 1 END, "
                f"deaths = CASE WHEN died_at = {_LAST} THEN deaths ELSE 0 END, died_at = {_LAST} WHERE {where} AND {held}",
                (self.epoch,),
            )
            db.execute(f"UPDATE run SET epoch = ?, is_claimed = 0 WHERE {where}", (self.epoch, self.epoch))
            end_examples(db, self._files)
            db.execute(f"DELETE FROM place WHERE run_id NOT IN (SELECT id FROM run WHERE {IS_UNFINISHED})")
            rows = db.execute(
                f"SELECT id, parent, parked IS NOT NULL AND NOT ({NEWS}), wake_at, status = 'input_required', session_id || ' ' || workflow, "
                f"CASE WHEN parked IS NULL AND died_at = {_LAST} THEN server_deaths ELSE 0 END "
                f"FROM run WHERE {IS_UNFINISHED} ORDER BY created_at DESC"
            )
            return [
                Unfinished(id, parent, bool(parked), wake_at, bool(asks), state, deaths)
                for id, parent, parked, wake_at, asks, state, deaths in rows
            ]

        return await self.write(fact)

    async def note_deaths(self, run: Run, deaths: int) -> None:
        """Store how often the run's worker has died with nothing recorded in between."""
        statement = (
            f"UPDATE run SET deaths = ?, server_deaths = CASE WHEN died_at = {_LAST} THEN server_deaths ELSE 0 END, died_at = {_LAST} "
            "WHERE id = ? AND epoch = ? AND claim = ?"
        )
        await self.write_patiently(lambda db: db.execute(statement, (deaths, run.id, self.epoch, run.claim)).rowcount)

    def park(
        self, run: Run, parked: str, *, wake_at: float | None, state: str | None, held_s: float
    ) -> asyncio.Future[Run]:
        """The run holds no worker from now on. Its state is stored and its turn released. Raises LostClaim."""

        def fact(db: sqlite3.Connection) -> Run:
            check_owner(db, run, self.epoch)
            if state is not None:
                _keep_loaded_state(db, run)
                save_state(db, run.session_id, run.workflow, state, time.time())
                release_turn(db, run.id, run.session_id, run.workflow)
            changed = db.execute(
                "UPDATE run SET parked = ?, wake_at = ?, last_event = ?, held_s = ?, held_in = NULL, is_claimed = 0 "
                f"WHERE id = ? AND {IS_UNFINISHED}",
                (parked, wake_at, run.last_event, held_s, run.id),
            ).rowcount
            if not changed:
                raise LostClaim(f"{run.id} has ended already")
            return run_of(db, self._files, "id = ?", (run.id,)) or run

        return self.submit(fact, patient=True)

    async def unpark(self, run: Run, *, with_state: bool, ancestors: Sequence[str] = ()) -> StateTurn | None:
        """The run goes on, with the session's state as it is now. None: it was not parked.

        If another run holds the turn of its state, it stays parked.
        """

        def fact(db: sqlite3.Connection) -> StateTurn | None:
            check_owner(db, run, self.epoch)
            if db.execute("SELECT 1 FROM run WHERE id = ? AND parked IS NOT NULL", (run.id,)).fetchone() is None:
                return None
            turn = claim_turn(db, run, ancestors) if with_state else StateTurn()
            if turn.held_by is not None:
                return turn
            db.execute("UPDATE run SET parked = NULL, wake_at = NULL WHERE id = ?", (run.id,))
            if with_state:
                n, at = db.execute(
                    "SELECT coalesce(max(n), 0) + 1, coalesce(max(at), 0) FROM call WHERE run_id = ?", (run.id,)
                ).fetchone()
                record_state(db, run.id, n, "wake", at, turn.state or "{}")
            return turn

        return await self.write_patiently(fact)

    async def unfinished_below(self, run_id: str) -> list[str]:
        """Ids of unfinished runs directly below this one."""
        statement = f"SELECT id FROM run WHERE parent = ? AND {IS_UNFINISHED}"
        return [id for (id,) in await self.read_behind(lambda db: db.execute(statement, (run_id,)).fetchall())]

    async def child(self, parent: str, path: str) -> Run | None:
        """The run that this call of its parent has begun."""
        return await self.read_behind(
            lambda db: run_of(
                db, self._files, "parent = ? AND parent_path = ? ORDER BY created_at DESC", (parent, path)
            )
        )

    async def pinned(self, run_id: str) -> list[str]:
        """Hashes of the versions that this run's calls have run, in the order of the first calls."""
        statement = "SELECT version FROM run WHERE parent = ? GROUP BY version ORDER BY min(created_at), min(id)"
        rows = await self.read_behind(lambda db: db.execute(statement, (run_id,)).fetchall())
        return [str(version) for (version,) in rows]


def _resume_point(db: sqlite3.Connection, run_id: str) -> ResumePoint:
    total, last, at, held_then = db.execute(
        "SELECT count(CASE WHEN covered = 0 AND n > 0 THEN 1 END), coalesce(max(n), 0), coalesce(max(at), 0), "
        "coalesce(max(held_s), 0) FROM call WHERE run_id = ?",
        (run_id,),
    ).fetchone()
    sums = (
        "SELECT path, max(k), count(*), sum(length(data)) FROM event WHERE run_id = ? AND k IS NOT NULL GROUP BY path"
    )
    said = db.execute(sums, (run_id,)).fetchall()
    (last_event,) = db.execute("SELECT max(n) FROM event WHERE run_id = ?", (run_id,)).fetchone()
    deaths, held_s, fingerprint, was_interrupted = db.execute(
        "SELECT CASE WHEN died_at = ? THEN deaths ELSE 0 END, held_s, fingerprint, held_in IS NOT NULL FROM run WHERE id = ?",
        (last, run_id),
    ).fetchone()
    (calls,) = db.execute(
        "WITH RECURSIVE tree (id) AS (VALUES (?) UNION ALL SELECT run.id FROM run JOIN tree ON run.parent = tree.id) "
        "SELECT count(*) FROM call WHERE run_id IN tree AND n > 0 AND op NOT IN ('tick', 'wake')",
        (run_id,),
    ).fetchone()
    begun = db.execute(
        "SELECT data ->> 'path' FROM event WHERE run_id = ?1 AND type = 'call_start' EXCEPT SELECT path FROM call WHERE run_id = ?1",
        (run_id,),
    )
    return ResumePoint(
        records=total,
        last_n=last,
        clock_s=at,
        told={path: k for path, k, _, _ in said},
        events=sum(count for _, _, count, _ in said),
        event_chars=sum(chars for _, _, _, chars in said),
        last_event=last_event or 1,
        loaded_state=loaded_state(db, run_id),
        deaths=deaths,
        held_s=max(held_s, held_then),
        fingerprint=fingerprint,
        calls=calls,
        used=usage_of(db, run_id),
        library=library_of(db, run_id),
        begun=frozenset(path for (path,) in begun),
        was_interrupted=bool(was_interrupted),
    )


def _insert_record(db: sqlite3.Connection, files: RecordFiles, run_id: str, record: NewRecord) -> None:
    call = record.call
    if record.replaces is not None:
        db.execute("DELETE FROM call WHERE run_id = ? AND n = ?", (run_id, record.replaces))
    if record.covers:
        statement = "UPDATE call SET covered = 1 WHERE run_id = ? AND path >= ? AND path < ?"
        db.execute(statement, (run_id, f"{call.path}:", f"{call.path};"))  # ; is the character after :
    db.execute(
        _INSERT,
        (run_id, call.n, call.path, call.op, call.hash, call.label, call.at, record.began_at, record.ended_at)
        + (
            None if record.child and call.error is None else files.keep(db, call.result),
            None if call.error is None else _encode(call.error),
        )
        + (call.cancelled, _encode(call.clock) if call.clock else None, record.child, record.held_s),
    )


def _keep_loaded_state(db: sqlite3.Connection, run: Run) -> None:
    """Keep the state with which the run began, before it is overwritten for the first time: a replay begins with it too."""
    if db.execute("SELECT 1 FROM call WHERE run_id = ? AND n = 0", (run.id,)).fetchone() is None:
        record_state(db, run.id, 0, "load", 0.0, load_state(db, run.session_id, run.workflow) or "{}")
