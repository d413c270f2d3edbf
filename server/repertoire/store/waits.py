"""WaitFacts: sleeps of runs, and their questions with the answers; used by the doors `sleep` and `ask`."""

from __future__ import annotations

import json
import sqlite3
import time

from ..model.run import Question, Run
from .audit import By, arguments_hash, note
from .facts import Facts
from .open_questions import close_wait, set_statuses
from .runs import NewEvent, check_owner, insert_events


class WaitFacts(Facts):
    async def begin_sleep(self, run: Run, path: str, until: float) -> float:
        """Store the end of a sleep. Returns the stored end: an earlier attempt may have begun the same sleep."""

        def fact(db: sqlite3.Connection) -> float:
            check_owner(db, run, self.epoch)
            db.execute(
                "INSERT OR IGNORE INTO wait (run_id, path, root, kind, asked_at, until) VALUES (?, ?, ?, 'sleep', ?, ?)",
                (run.id, path, run.top, time.time(), until),
            )
            statement = "SELECT until FROM wait WHERE run_id = ? AND path = ?"
            known: float = db.execute(statement, (run.id, path)).fetchone()[0]
            return known

        return await self.write_patiently(fact)

    async def find_question(self, run_id: str, path: str) -> tuple[Question, str | None] | None:
        """The question that this call has asked in an earlier attempt, and its answer or None."""

        def query(db: sqlite3.Connection) -> tuple[Question, str | None] | None:
            row = db.execute(
                "SELECT id, run_id, question, schema, asked_at, until, answer FROM wait WHERE run_id = ? AND path = ? AND kind = 'ask'",
                (run_id, path),
            ).fetchone()
            return row and (Question(row[0], row[1], row[2], json.loads(row[3]), row[4], row[5]), row[6])

        return await self.read_behind(query)

    async def side_questions(self, run_id: str, path: str) -> list[Question]:
        """The questions that this call has asked by the way, under `PATH?NAME`."""

        def query(db: sqlite3.Connection) -> list[Question]:
            statement = (
                "SELECT id, run_id, question, schema, asked_at, until FROM wait "
                "WHERE run_id = ? AND kind = 'ask' AND substr(path, 1, ?) = ?"
            )
            rows = db.execute(statement, (run_id, len(path) + 1, f"{path}?")).fetchall()
            return [Question(row[0], row[1], row[2], json.loads(row[3]), row[4], row[5]) for row in rows]

        return await self.read_behind(query)

    async def was_answered(self, run_id: str, name: str, answer: str) -> bool:
        """Whether a question of this name, which any call of the run has asked by the way, got this answer."""

        def query(db: sqlite3.Connection) -> bool:
            statement = "SELECT 1 FROM wait WHERE run_id = ? AND answer = ? AND substr(path, instr(path, '?') + 1) = ? AND instr(path, '?') > 0"
            return db.execute(statement, (run_id, answer, name)).fetchone() is not None

        return await self.read_behind(query)

    async def ask(self, run: Run, path: str, question: Question, event: NewEvent, first_event: int) -> None:
        """Store the question under the call's path, and its event."""

        def fact(db: sqlite3.Connection) -> None:
            check_owner(db, run, self.epoch)
            db.execute(
                "INSERT INTO wait (run_id, path, root, kind, id, question, schema, asked_at, until) VALUES (?, ?, ?, 'ask', ?, ?, ?, ?, ?)",
                (run.id, path, run.top, question.id, question.question, json.dumps(question.schema))
                + (question.asked_at, question.expires_at),
            )
            set_statuses(db, run.top)
            insert_events(db, run.id, first_event, [event])

        await self.write_patiently(fact)

    async def answer(self, question_id: str, answer: str, by: By) -> bool:
        """Store a person's answer. False: the question is closed."""

        def fact(db: sqlite3.Connection) -> bool:
            statement = "UPDATE wait SET answer = ?, answered_at = ? WHERE id = ? AND answered_at IS NULL RETURNING root, run_id"
            row = db.execute(statement, (answer, time.time(), question_id)).fetchone()
            if row is None:
                return False
            set_statuses(db, row[0])
            asking = db.execute("SELECT workflow, version FROM run WHERE id = ?", row[1:]).fetchone()
            workflow, version = asking
            hashed = arguments_hash(answer)
            note(
                db,
                "answered",
                by,
                workflow=workflow,
                version=version,
                run_id=row[1],
                subject=question_id,
                arguments=hashed,
            )
            return True

        return await self.write(fact)

    async def close_wait(self, run: Run, path: str) -> str | None:
        """Close the question of this call. Returns the answer, if there is one already."""
        return await self.write_patiently(lambda db: close_wait(db, run, path))
