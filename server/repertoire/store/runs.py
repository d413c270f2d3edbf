"""RunFacts: start, events and end of runs, and the turn of a session's state; used by the engine and the service.

A *turn* is the right to change one session's state of one workflow. A run holds it from its start to its end, and shares it with the
runs above it. Each write for a run names the owner's epoch and the run's claim (`check_owner`), so a server or body that was replaced
cannot write.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from ..errors import LostClaim, StorageError
from ..model.lifecycle import Status, before
from ..model.run import EventType, Question, Run, RunEvent
from ..model.workflow_version import WorkflowVersion
from ..wire import Fault
from .audit import By, note_end, note_start
from .facts import Facts
from .kept_states import drop_states
from .open_questions import close_waits
from .partial_output import output_so_far
from .record_files import RecordFiles
from .sessions import save_state, touch_session
from .state_turns import StateTurn, claim_turn, release_turn
from .workflow_versions import add_version

NewEvent = tuple[EventType, float, dict[str, Any]] | tuple[EventType, float, str, str, int]
"""Type, time and data. An event of the body has its data as JSON text, its path, and its number there: a replay recognizes it by these."""

_COLUMNS = (
    "id, workflow, version, session_id, principal, status, arguments, result, error, created_at, started_at, ended_at, last_event, "
    "parent, parent_path, root, depth, rerun_of, parked, example, roots, cwd, claim, resumed, client, remark"
)
_BELOW: Final = (
    "WITH RECURSIVE below (id) AS (VALUES (?) UNION ALL SELECT run.id FROM run JOIN below ON run.parent = below.id) "
    "SELECT id FROM below"
)
"""SQL: ids of a run and of all runs below it."""
_encode_fault = msgspec.msgpack.Encoder().encode
_fault = msgspec.msgpack.Decoder(Fault)


class KeyTaken(Exception):
    """Raised when the idempotency key belongs to another run already: `run_id`, which may have had other arguments."""

    def __init__(self, run_id: str, *, same_arguments: bool) -> None:
        super().__init__(run_id)
        self.run_id = run_id
        self.same_arguments = same_arguments


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True):
    """A caller's idempotency key: a request that is sent twice starts one run. `arguments` is a hash."""

    key: str
    arguments: str
    ttl_s: float


class RunFacts(Facts):
    def start_run(
        self,
        run: Run,
        *,
        with_state: bool,
        fingerprint: str,
        ancestors: Sequence[str] = (),
        holds_worker: bool = True,
        key: IdempotencyKey | None = None,
        version: WorkflowVersion | None = None,
    ) -> asyncio.Future[StateTurn | None]:
        """Store the run's row, its first event, its session's use, and (with state) the claim of its turn, in one transaction.

        The caller need not wait: facts are committed in their order, so nothing of a run is stored before its start. `ancestors` are the
        runs above it, whose turn it shares. `holds_worker`: it holds one as soon as it has its turn.

        `version`: the run's version, when nothing else has stored it.

        With a `key`, only the first run with that key is started. For any other the future raises KeyTaken, and nothing is stored.
        """

        def fact(db: sqlite3.Connection) -> StateTurn | None:
            if key is not None:
                _claim_key(db, run, key)
            if version is not None:
                add_version(db, version)
            turn = claim_turn(db, run, ancestors) if with_state else None
            held_in = self.epoch if holds_worker and (turn is None or turn.held_by is None) else None
            db.execute(
                "INSERT INTO run (id, workflow, version, session_id, principal, status, arguments, created_at, started_at, last_event, "
                "parent, parent_path, root, depth, rerun_of, example, epoch, fingerprint, held_in, roots, cwd, claim, client, is_claimed) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
                (run.id, run.workflow, run.version, run.session_id, run.principal, run.status, run.arguments)
                + (run.created_at, run.started_at, run.parent, run.parent_path, run.root, run.depth, run.rerun_of)
                + (
                    run.is_example,
                    self.epoch,
                    fingerprint,
                    held_in,
                    _roots_to_text(run.roots),
                    run.cwd,
                    run.claim,
                    run.client,
                ),
            )
            start: NewEvent = ("run_start", run.created_at, {"workflow": run.workflow, "version": run.version[:12]})
            insert_events(db, run.id, 1, [start])
            note_start(db, run)
            if not run.is_example:
                touch_session(db, run.session_id, run.principal, run.created_at)
            return turn

        return self.submit(fact, patient=run.parent is not None)

    async def claim_turn(self, run: Run, ancestors: Sequence[str] = ()) -> StateTurn:
        return await self.write_patiently(lambda db: claim_turn(db, run, ancestors))

    async def mark_started(self, run: Run, at: float) -> None:
        """A run that had to wait, or is resumed, holds a worker from now on."""
        statement = "UPDATE run SET started_at = ?, held_in = epoch WHERE id = ? AND epoch = ? AND claim = ?"
        await self.write_patiently(lambda db: db.execute(statement, (at, run.id, self.epoch, run.claim)).rowcount)

    async def note_resumed(self, run: Run, event: int, why: str) -> None:
        """The body is begun again: count it, and add the event `resumed` under the number `event`. Raises LostClaim."""

        def fact(db: sqlite3.Connection) -> None:
            check_owner(db, run, self.epoch)
            insert_events(db, run.id, event, [("resumed", time.time(), {"times": run.resumed + 1, "why": why})])
            db.execute("UPDATE run SET resumed = ? WHERE id = ?", (run.resumed + 1, run.id))

        await self.write_patiently(fact)

    def add_events(self, run: Run, first: int, events: Sequence[NewEvent]) -> asyncio.Future[None]:
        """Append events, numbered from `first`: only the run's owner knows the next number. Raises LostClaim."""

        def fact(db: sqlite3.Connection) -> None:
            check_owner(db, run, self.epoch)
            insert_events(db, run.id, first, events)

        return self.submit(fact, patient=True)

    def finish_run(
        self,
        run: Run,
        status: Status,
        *,
        result: str | None = None,
        remark: str | None = None,
        error: Fault | None = None,
        state: str | None = None,
        events: Sequence[NewEvent] = (),
        by: By | None = None,
    ) -> asyncio.Future[Run]:
        """Store status, result, state, remaining events and `run_end`, close questions, and release the turn, in one transaction.

        `run.last_event` is the last number that was given to an event. `by`: whoever has cancelled it.

        Raises LostClaim, and changes nothing, if the run has ended already or belongs to another owner.
        """

        def fact(db: sqlite3.Connection) -> Run:
            now = time.time()
            kept = output_so_far(db, run.id) if status == "cancelled" else result
            ending: list[NewEvent] = [*events, ("run_end", now, _end_data(status, error))]
            # A run may have failed because some of its events could not be stored: then the numbers go on from the stored ones.
            before_it = run.last_event if error is None else last_event(db, run.id)
            first, last = before_it + 1, before_it + len(ending)
            check_owner(db, run, self.epoch)
            close_waits(db, run, now)
            allowed = before(status)
            marks = ", ".join("?" * len(allowed))
            ended = (
                status,
                self._files.keep(db, kept),
                remark,
                None if error is None else _encode_fault(error),
                now,
                last,
                run.id,
                *allowed,
            )
            statement = (
                "UPDATE run SET status = ?, result = ?, remark = ?, error = ?, ended_at = ?, last_event = ?, parked = NULL, wake_at = NULL, "
                f"is_claimed = 0 WHERE id = ? AND status IN ({marks})"
            )
            changed = db.execute(statement, ended).rowcount
            if not changed:
                raise LostClaim(f"{run.id} has ended already")
            insert_events(db, run.id, first, ending)
            note_end(db, run, status, now, by)
            if state is not None:
                save_state(db, run.session_id, run.workflow, state, now)
            if run.is_example and run.parent is None:
                sessions = "SELECT session_id FROM run WHERE id = ? OR root = ?"
                db.execute(f"DELETE FROM state WHERE session_id IN ({sessions})", (run.id, run.id))
            release_turn(db, run.id, run.session_id, run.workflow)
            if status != "failed":  # `rerun` needs the states of a failed run
                drop_states(db, run.id)
            return msgspec.structs.replace(
                run,
                status=status,
                result=kept,
                remark=remark,
                error=error,
                ended_at=now,
                last_event=last,
                waiting_for=None,
                questions=(),
            )

        return self.submit(fact, patient=True)

    async def run(self, run_id: str, *, patient: bool = False) -> Run | None:
        def query(db: sqlite3.Connection) -> Run | None:
            return run_of(db, self._files, "id = ?", (run_id,))

        return await self.read(query, patient=patient)

    async def runs(
        self,
        principal: str,
        *,
        workflow: str | None = None,
        session_id: str | None = None,
        status: str | None = None,
        since: float | None = None,
        until: float | None = None,
        parent: str | None = None,
        top: bool = False,
        limit: int = 50,
    ) -> list[Run]:
        """The principal's runs, newest first. `since` and `until` limit the time of creation. `top`: only runs without a parent. A result that
        lies in a file is left out."""
        filters = {
            "principal = ?": principal,
            "workflow = ?": workflow,
            "session_id = ?": session_id,
            "status = ?": status,
            "created_at >= ?": since,
            "created_at < ?": until,
            "parent = ?": parent,
        }
        given = {condition: value for condition, value in filters.items() if value is not None}
        own = [] if parent else ["example = 0"]  # the runs below an example's run are shown when asked for
        where = " AND ".join([*given, *own, *(["parent IS NULL"] if top else [])])

        def query(db: sqlite3.Connection) -> list[Run]:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM run WHERE {where} ORDER BY created_at DESC, id DESC LIMIT ?",
                (*given.values(), limit),
            )
            return [_decode_run(row, None) for row in rows]

        return await self.read(query)

    async def runs_beginning_with(self, principal: str, beginning: str, of: str = "", limit: int = 5) -> list[str]:
        """Ids of the principal's runs whose ULID, their last 26 characters, begins so; newest first. `of`: "workflow:NAME" or ""."""
        statement = (
            "SELECT id FROM run WHERE substr(id, -26, ?) = ? AND substr(id, 1, ?) = ? AND principal = ? AND example = 0 "
            "ORDER BY created_at DESC LIMIT ?"
        )

        def query(db: sqlite3.Connection) -> list[str]:
            rows = db.execute(statement, (len(beginning), beginning, len(of), of, principal, limit))
            return [run_id for (run_id,) in rows]

        return await self.read(query)

    async def events(self, run_id: str, after: int = 0, limit: int = 1000) -> list[RunEvent]:
        """Events from number after + 1."""

        def query(db: sqlite3.Connection) -> list[RunEvent]:
            rows = db.execute(
                "SELECT n, type, at, data FROM event WHERE run_id = ? AND n > ? ORDER BY n LIMIT ?",
                (run_id, after, limit),
            )
            return [RunEvent(n, kind, at, json.loads(data)) for n, kind, at, data in rows]

        return await self.read(query)

    async def stream_attempts(self, run_id: str, path: str) -> int:
        """How often a streamed call of this run has told text to the run's watchers. It reads behind all events that wait to be stored."""
        statement = (
            "SELECT coalesce(max(data ->> 'attempt'), 0) FROM event "
            "WHERE run_id = ? AND type IN ('text', 'stream_reset') AND data ->> 'call' = ?"
        )
        (attempts,) = await self.read_behind(lambda db: db.execute(statement, (run_id, path)).fetchone())
        return int(attempts)


def check_owner(db: sqlite3.Connection, run: Run, epoch: int) -> None:
    """Raises LostClaim if the run has ended, or another body of it was begun. Each fact about a run that goes on calls this in its own
    transaction."""
    row = db.execute("SELECT epoch, claim, is_claimed, ended_at FROM run WHERE id = ?", (run.id,)).fetchone()
    if row is None or row[:2] != (epoch, run.claim) or not (row[2] or row[3]):
        raise LostClaim(f"{run.id} is no longer run by this process")
    if row[3] is not None:
        raise LostClaim(f"{run.id} has ended already")


def _claim_key(db: sqlite3.Connection, run: Run, key: IdempotencyKey) -> None:
    """The key belongs to this run from now on. Raises KeyTaken."""
    now, whose = time.time(), (run.principal, run.workflow, key.key)
    db.execute("DELETE FROM idempotency WHERE at < ?", (now - key.ttl_s,))
    known = db.execute(
        "SELECT arguments, run_id, EXISTS (SELECT 1 FROM run WHERE id = run_id) FROM idempotency "
        "WHERE principal = ? AND workflow = ? AND key = ?",
        whose,
    ).fetchone()
    if known is not None and (known[2] or known[0] != key.arguments):
        raise KeyTaken(known[1], same_arguments=known[0] == key.arguments)
    db.execute("INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?)", (*whose, key.arguments, run.id, now))


def insert_events(db: sqlite3.Connection, run_id: str, first: int, events: Sequence[NewEvent]) -> None:
    """Raises StorageError if the event before `first` is missing, because it could not be stored: numbers have no gaps."""
    if first > 1 and events and last_event(db, run_id) != first - 1:
        raise StorageError("An earlier event of the run could not be stored.")
    rows = [
        (
            run_id,
            first + i,
            kind,
            at,
            data if isinstance(data, str) else json.dumps(data),
            *(path_and_k or (None, None)),
        )
        for i, (kind, at, data, *path_and_k) in enumerate(events)
    ]
    db.executemany("INSERT INTO event (run_id, n, type, at, data, path, k) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def last_event(db: sqlite3.Connection, run_id: str) -> int:
    return int(db.execute("SELECT max(n) FROM event WHERE run_id = ?", (run_id,)).fetchone()[0] or 0)


def _end_data(status: Status, error: Fault | None) -> dict[str, Any]:
    if error is None:
        return {"status": status}
    return {"status": status, "error": {"code": error.code, "message": error.message, "line": error.line}}


def _decode_run(row: tuple[Any, ...], files: RecordFiles | None) -> Run:
    """Without `files`, a result that lies in a file is left out."""
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    if isinstance(values["result"], bytes):
        values["result"] = None if files is None else files.whole(values["result"])
    values["error"] = None if values["error"] is None else _fault.decode(values["error"])
    values["roots"] = _roots_from_text(values["roots"])
    return Run(waiting_for=values.pop("parked"), is_example=bool(values.pop("example")), **values)


@lru_cache(maxsize=256)
def _roots_to_text(roots: tuple[str, ...]) -> str | None:
    return json.dumps(roots) if roots else None


@lru_cache(maxsize=256)
def _roots_from_text(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()


def run_of(db: sqlite3.Connection, files: RecordFiles, where: str, values: tuple[Any, ...]) -> Run | None:
    """The first run that fits, with its open questions."""
    row = db.execute(f"SELECT {_COLUMNS} FROM run WHERE {where} LIMIT 1", values).fetchone()
    return row and _with_questions(db, _decode_run(row, files))


def _with_questions(db: sqlite3.Connection, run: Run) -> Run:
    """Add the open questions of the run and of the runs below it."""
    if run.status != "input_required":
        return run
    below = f"AND run_id IN ({_BELOW}) " if run.parent is not None else ""
    rows = db.execute(
        "SELECT id, run_id, question, schema, asked_at, until FROM wait "
        f"WHERE root = ? AND kind = 'ask' AND answered_at IS NULL {below}ORDER BY asked_at, id",
        (run.top, *([run.id] if below else [])),
    )
    open_ones = tuple(Question(row[0], row[1], row[2], json.loads(row[3]), *row[4:]) for row in rows)
    if not open_ones:  # answered: the run goes on when the runs below it do
        return msgspec.structs.replace(run, status="working")
    return msgspec.structs.replace(run, questions=open_ones)
