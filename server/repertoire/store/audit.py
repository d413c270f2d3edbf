"""AuditFacts: the append-only log of who did what, its lines newest first, and its retention; used by the service and Retention.

1. `note` adds a line in the transaction of the fact itself. So no fact is without its line, and no line is without its fact.
2. Triggers refuse every change of a line. They let a line go only if it is older than the bound in the table `audit_bound`, and only
   `cut_audit` sets that bound.
3. The view `publication` has the lines that say where a version comes from. They stay as long as the version does.
4. The log has hashes of arguments and answers, never the values.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from functools import partial
from typing import Any, Final

import msgspec

from ..model.audit_line import Action, AuditLine
from ..model.lifecycle import Status
from ..model.run import Run, iso
from ..model.session import Caller
from .effects import Effect
from .facts import Facts

_COLUMNS: Final = ", ".join(AuditLine.__struct_fields__)
_INSERT: Final = (
    "INSERT INTO audit (action, at, principal, client, session_id, workflow, version, run_id, arguments, status, subject, based_on) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_WINDOW: Final = 20_000
"""Lines that one query looks at: some milliseconds, for which other readers wait."""
_OLD: Final = (
    "FROM audit WHERE at < ?1 AND n < coalesce((SELECT n FROM audit WHERE at >= ?1 ORDER BY n LIMIT 1), 9e18) "
    "AND n NOT IN (SELECT n FROM publication)"
)
"""SQL: lines that may go. Lines are in the order of their times, but for a clock that was set back, so newer lines are not read."""


class By(msgspec.Struct, frozen=True):
    """The one who does something: the principal, the program used, and the session as far as it is known.

    `run_id` is the run whose body does it. `effect` is that call, where its answer has to be stored with the change.
    """

    principal: str = ""
    client: str = ""
    session_id: str = ""
    session_name: str | None = None
    run_id: str = ""
    effect: Effect | None = None

    @classmethod
    def of(cls, caller: Caller, answer: Any = None) -> By:
        """`answer`: stored with a body's call, so that the call is not made twice after a crash."""
        run_id, path = caller.call or ("", "")
        effect = Effect(run_id, path, json.dumps(answer)) if run_id and answer is not None else None
        name = None if run_id else caller.session_name
        return cls(caller.principal, caller.client, session_name=name, run_id=run_id, effect=effect)


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`who` is a principal, or a part of a client's name."""

    since: float | None = None
    workflow: str | None = None
    who: str | None = None
    action: str | None = None

    def conditions(self) -> tuple[str, list[Any]]:
        parts, values = ["1"], list[Any]()
        for condition, value in (
            ("at >= ?", self.since),
            ("workflow = ?", self.workflow),
            ("action = ?", self.action),
            ("(principal = ? OR instr(lower(client), lower(?)))", self.who),
        ):
            if value is not None:
                parts.append(condition)
                values += [value] * condition.count("?")
        return " AND ".join(parts), values


class AuditFacts(Facts):
    async def audit(self, wanted: AuditFilter, *, before: int | None = None, limit: int = 50) -> list[AuditLine]:
        """The lines with numbers below `before`, newest first."""
        found: list[AuditLine] = []
        top = before
        while len(found) < limit:
            lines, window = await self.read(partial(_look_down, wanted=wanted, top=top, limit=limit - len(found)))
            found += lines
            if window is None or (wanted.since is not None and window[1] < wanted.since):
                break
            top = window[0]
        return found

    async def audit_after(self, n: int, wanted: AuditFilter, limit: int = 1000) -> list[AuditLine]:
        """The lines with numbers above `n`, oldest first."""
        where, values = wanted.conditions()
        statement = f"SELECT {_COLUMNS} FROM audit WHERE n > ? AND {where} ORDER BY n LIMIT ?"
        return await self.read(lambda db: [_decode(row) for row in db.execute(statement, (n, *values, limit))])

    async def last_audit(self) -> int:
        """The number of the newest line."""
        (n,) = await self.read(lambda db: db.execute("SELECT coalesce(max(n), 0) FROM audit").fetchone())
        return int(n)

    async def would_cut_audit(self, before: float) -> int:
        """How many lines `cut_audit` would delete."""
        (count,) = await self.read(lambda db: db.execute(f"SELECT count(*) {_OLD}", (before,)).fetchone())
        return int(count)

    async def cut_audit(self, before: float, at_most: int, by: By | None) -> int:
        """Delete up to `at_most` lines that are older than `before`. Returns their number. `by`: a line says that this was done.

        This is the only door to a deletion.
        """

        def fact(db: sqlite3.Connection) -> int:
            db.execute("INSERT INTO audit_bound VALUES (?)", (before,))
            old = f"DELETE FROM audit WHERE n IN (SELECT n {_OLD} ORDER BY n LIMIT ?2)"
            count = db.execute(old, (before, at_most)).rowcount
            db.execute("DELETE FROM audit_bound")
            if count and by is not None:
                note(db, "audit_cut", by, subject=f"lines before {iso(before)}")
            return count

        return await self.write(fact)

    async def note(self, action: Action, by: By, **about: Any) -> None:
        """A line about something outside of this file, such as a workflow file."""
        await self.write(lambda db: note(db, action, by, **about))


def note(
    db: sqlite3.Connection,
    action: Action,
    by: By,
    *,
    workflow: str = "",
    version: str = "",
    run_id: str = "",
    arguments: str = "",
    status: str = "",
    subject: str = "",
    based_on: str | None = None,
    at: float | None = None,
) -> None:
    """Add a line. Call it in the transaction of the fact. `arguments` is a hash (`arguments_hash`)."""
    session_id = by.session_id
    if by.session_name is not None:
        named = "SELECT id FROM session WHERE principal = ? AND name = ?"
        row = db.execute(named, (by.principal, by.session_name)).fetchone()
        session_id = session_id if row is None else row[0]
    about = (workflow, version, run_id or by.run_id, arguments, status, subject, based_on)
    db.execute(_INSERT, (action, time.time() if at is None else at, by.principal, by.client, session_id, *about))


def note_start(db: sqlite3.Connection, run: Run) -> None:
    """The line for a run's start. Its subject is the run above it, or that it checks an example."""
    subject = run.parent or ("example" if run.is_example else "")
    values = (run.workflow, run.version, run.id, arguments_hash(run.arguments), "", subject, None)
    db.execute(_INSERT, ("started", run.created_at, run.principal, run.client, run.session_id, *values))


def note_end(db: sqlite3.Connection, run: Run, status: Status, at: float, by: By | None) -> None:
    """The line for a run's end. `by`: whoever has cancelled it."""
    about: dict[str, Any] = {"workflow": run.workflow, "version": run.version, "run_id": run.id, "status": status}
    own = By(run.principal, run.client, run.session_id)
    note(db, "ended" if by is None else "cancelled", by or own, at=at, **about)


def arguments_hash(text: str) -> str:
    """sha256 of JSON in its canonical form: keys sorted, ASCII. A number that cannot be read makes it the hash of the text itself."""
    with contextlib.suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _look_down(
    db: sqlite3.Connection, wanted: AuditFilter, top: int | None, limit: int
) -> tuple[list[AuditLine], tuple[int, float] | None]:
    """The lines among the next `_WINDOW` below number `top`; and the lowest number of that window with its latest time."""
    below, bounds = ("n < ?", [top]) if top is not None else ("1", [])
    window = f"(SELECT * FROM audit WHERE {below} ORDER BY n DESC LIMIT {_WINDOW})"
    where, values = wanted.conditions()
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM {window} WHERE {where} ORDER BY n DESC LIMIT ?", (*bounds, *values, limit)
    ).fetchall()
    lowest, latest = db.execute(f"SELECT min(n), max(at) FROM {window}", bounds).fetchone()
    return [_decode(row) for row in rows], None if lowest is None else (lowest, latest)


def _decode(row: tuple[Any, ...]) -> AuditLine:
    return AuditLine(**dict(zip(AuditLine.__struct_fields__, row, strict=True)))
