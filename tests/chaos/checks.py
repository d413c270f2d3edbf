"""Checks: what must be true of a home when all its runs are over and its daemon was stopped, whatever was done to it."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from .ledger import FINAL, Ledger, Request
from .plans import Plan, fails, logs_of, result_of, runs_of, steps_of
from .processes import processes
from .workflows import STATEFUL

Violations = Iterator[str]
_GONE_S: Final = 30.0


class Row(NamedTuple):
    """A run as it is recorded."""

    id: str
    workflow: str
    session: str
    parent: str | None
    path: str | None
    status: str
    result: Any
    error: bytes | None
    last_event: int
    plan: Plan

    def __str__(self) -> str:
        return f"{self.plan.get('name', self.workflow)} ({self.id}, {self.status})"


def _row(*found: Any) -> Row:
    *first, result, error, last_event, arguments = found
    plan = json.loads(arguments).get("plan", {})
    id, workflow, session, parent, path, status = first
    value = json.loads(result) if result else None
    return Row(id, workflow, session, parent, path, status, value, error, last_event, plan)


def violations(home: Path, work: Path, ledger: Ledger) -> list[str]:
    """In sentences; none: all is well."""
    lines = (work / "traces").read_text().splitlines()
    connection = sqlite3.connect(f"file:{home / 'repertoire.db'}?mode=ro", uri=True)
    try:
        record = Record(connection)
        found = [*ledger.complaints]
        for check in (record.ends, record.requests, record.told, record.children, record.keys):
            found += check(ledger)
        found += [*record.events(), *record.states(), *record.leftovers()]
        found += [*traces(lines), *record.effects(lines)]
    finally:
        connection.close()
    return found


class Record:
    """A home's database, seen from outside."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._query = connection.execute
        statement = "SELECT id, workflow, session_id, parent, parent_path, status, result, error, last_event, arguments FROM run"
        self.rows = [_row(*found) for found in self._query(statement)]
        self.by_id = {row.id: row for row in self.rows}

    # Runs.

    def ends(self, ledger: Ledger) -> Violations:
        """Each run has ended as its plan says, or was cancelled where somebody cancelled it."""
        for row in self.rows:
            plan, may_be_cancelled = row.plan, self._may_be_cancelled(row, ledger)
            if row.status not in FINAL:
                yield f"{row} has not ended"
            elif row.status == "cancelled":
                if not may_be_cancelled:
                    yield f"{row} was cancelled by nobody"
            elif row.status == "failed":
                if not (plan and fails(plan) and row.error is not None and plan["name"].encode() in row.error):
                    yield f"{row} failed: {row.error!r}"
            elif plan and (fails(plan) or row.result != result_of(plan)):
                yield f"{row} gave {row.result}, and its plan {'fails' if fails(plan) else result_of(plan)}"

    def _may_be_cancelled(self, row: Row, ledger: Ledger) -> bool:
        top = row
        while top.parent is not None and top.parent in self.by_id:
            top = self.by_id[top.parent]
        request = ledger.requests.get(top.plan.get("name", ""))
        return request is not None and request.is_cancelled

    def requests(self, ledger: Ledger) -> Violations:
        """One run for each request at most, and one for each that was accepted, with the id that was told."""
        by_name = defaultdict(list)
        for row in self.rows:
            if row.parent is None:
                by_name[row.plan.get("name")].append(row)
        for name, request in ledger.requests.items():
            rows = by_name[name]
            if len(rows) > 1:
                yield f"{name} was asked for once, and has the runs {', '.join(map(str, rows))}"
            missing = request.accepted - {row.id for row in rows}
            if missing:
                yield f"{name} was accepted as {missing}, and is recorded as {[row.id for row in rows]}"
            if request.key is not None and not request.accepted:
                yield f"{name} was asked for until the end and never accepted"

    def told(self, ledger: Ledger) -> Violations:
        """Whoever was told an end was told the recorded one."""
        for run_id, answers in ledger.told.items():
            row = self.by_id.get(run_id)
            for who, status, result in answers:
                if row is None:
                    yield f"{who} was told that {run_id} is {status}; there is no such run"
                elif (status, result) != (row.status, row.result if row.status == "completed" else None):
                    yield f"{who} was told {status} {result}; recorded is {row}, {row.result}"

    def children(self, ledger: Ledger) -> Violations:
        """A call is one run, whatever died; and nothing of a completed plan is missing."""
        calls = Counter((row.parent, row.path) for row in self.rows if row.parent is not None)
        yield from (f"the call {call} has {count} runs" for call, count in calls.items() if count > 1)
        names = Counter(row.plan["name"] for row in self.rows if row.plan)
        yield from (f"the plan {name} has {count} runs" for name, count in names.items() if count > 1)
        for row in self.rows:
            if row.parent is None and row.status == "completed" and row.plan:
                for missing in {plan["name"] for plan in runs_of(row.plan)} - names.keys():
                    yield f"{row} has completed without its run {missing}"

    def keys(self, ledger: Ledger) -> Violations:
        for key, run_id in self._query("SELECT key, run_id FROM idempotency"):
            request: Request | None = ledger.requests.get(key)
            if run_id not in self.by_id:
                yield f"the key {key} stands for {run_id}, which is not recorded"
            if request is not None and request.accepted - {run_id}:
                yield f"the key {key} stands for {run_id}, and somebody was told {request.accepted}"

    # Events.

    def events(self) -> Violations:
        by_run: dict[str, list[tuple[int, str, Any]]] = defaultdict(list)
        for run_id, n, kind, data in self._query("SELECT run_id, n, type, data FROM event ORDER BY run_id, n"):
            by_run[run_id].append((n, kind, json.loads(data)))
        yield from (f"events of {run_id}, which is no run" for run_id in by_run.keys() - self.by_id.keys())
        for row in self.rows:
            yield from (f"{row}: {fault}" for fault in self._faults_in(row, by_run[row.id]))

    def _faults_in(self, row: Row, events: list[tuple[int, str, Any]]) -> Violations:
        numbers, kinds = [n for n, _, _ in events], [kind for _, kind, _ in events]
        if numbers != list(range(1, len(numbers) + 1)) or row.last_event != len(numbers):
            yield f"its events are numbered {numbers}, and the last is {row.last_event}"
        if (
            kinds[:1] != ["run_start"]
            or kinds[-1:] != ["run_end"]
            or kinds.count("run_start") + kinds.count("run_end") != 2
        ):
            yield f"its events are {kinds}"
        told = Counter((kind, data.get("path")) for _, kind, data in events if kind in ("call_start", "call_end"))
        yield from (f"{what} was told {count} times" for what, count in told.items() if count > 1)
        logs = sorted(
            data["message"]
            for _, kind, data in events
            if kind == "log" and not data["message"].startswith("waiting for ")
        )
        if row.plan and row.status == "completed" and logs != logs_of(row.plan):
            yield f"it has logged {logs} instead of {logs_of(row.plan)}"

    # State, and what may not stay.

    def states(self) -> Violations:
        """Each completed run of a session has counted once; of others only those count that had saved the state before they ended."""
        runs = defaultdict(list)
        for row in self.rows:
            if row.workflow in STATEFUL:
                runs[row.session, row.workflow].append(row)
        values = {
            (one, two): json.loads(text)
            for one, two, text in self._query("SELECT session_id, workflow, value FROM state")
        }
        committed = {run_id for (run_id,) in self._query("SELECT run_id FROM call WHERE op = 'commit_state'")}
        for where, rows in runs.items():
            state = values.get(where, {})
            names = Counter(state.get("names", ()))
            if state.get("count", 0) != names.total():
                yield f"the state of {where} counts {state.get('count')}, and has the names {sorted(names)}"
            for row in rows:
                count, must = names.pop(row.plan["name"], 0), row.status == "completed" or row.id in committed
                if count > 1 or (must and count == 0):
                    yield f"{row} has counted {count} times in the state of {where}"
            if names:
                yield f"the state of {where} has names of no run: {sorted(names)}"

    def leftovers(self) -> Violations:
        """Nobody is asked, nobody holds a place, no journal belongs to no run."""
        open_ones = "SELECT run_id, question FROM wait WHERE answered_at IS NULL AND kind = 'ask'"
        yield from (f"{question} of {run_id} is still open" for run_id, question in self._query(open_ones))
        yield from (f"the place {place} is still held" for place in self._query("SELECT * FROM place"))
        for table in ("call", "wait"):
            orphans = f"SELECT DISTINCT run_id FROM {table} WHERE run_id NOT IN (SELECT id FROM run)"
            yield from (f"{table}s of {run_id}, which is no run" for (run_id,) in self._query(orphans))
        doubles = "SELECT run_id, path FROM call WHERE path != '' GROUP BY run_id, path HAVING count(*) > 1"
        yield from (f"the call {path} of {run_id} is recorded twice" for run_id, path in self._query(doubles))
        for (text,) in self._query("PRAGMA integrity_check"):
            if text != "ok":
                yield f"the database is damaged: {text}"

    def effects(self, lines: list[str]) -> Violations:
        """No step of a completed run is missing, and none of a run that never was is there."""
        done = {line[2:] for line in lines if line.startswith("= ")}
        known: set[str] = set()
        for row in self.rows:
            steps = steps_of(row.plan) if row.plan else set()
            known |= steps
            if row.status in ("completed", "failed") and (missing := steps - done):
                yield f"{row} has ended without its steps {sorted(missing)}"
        if unknown := done - known:
            yield f"steps of no run were done: {sorted(unknown)[:5]}"


def traces(lines: list[str]) -> Violations:
    """A step is done again only over a disturbance that it was in flight at, and never once it was seen recorded; bodies of one run
    do not overlap."""
    disturbed = _disturbances(lines)
    last_begin: dict[str, int] = {}
    recorded: dict[str, int] = {}
    for at, line in enumerate(lines):
        mark, _, name = line.partition(" ")
        if mark == "$":
            recorded.setdefault(name, at)
        elif mark == "#":
            yield f"two bodies of one run at once: {name} (line {at + 1} of the traces)"
        elif mark == "+":
            before = last_begin.get(name)
            if name in recorded:
                yield f"the step {name} began again in line {at + 1} of the traces; in line {recorded[name] + 1} it was recorded"
            elif before is not None and not any(begin < at and before < end for begin, end in disturbed):
                yield f"the step {name} was done again (lines {before + 1} and {at + 1} of the traces), and nothing had died between"
            last_begin[name] = at


def _disturbances(lines: list[str]) -> list[tuple[int, int]]:
    begun: dict[str, int] = {}
    found = []
    for at, line in enumerate(lines):
        if line.startswith("! "):
            begun[line.split()[1]] = at
        elif line.startswith("? "):
            found.append((begun.pop(line.split()[1]), at))
    return found + [(begin, len(lines)) for begin in begun.values()]


def left_behind(home: Path, temporary: Path) -> list[str]:
    """After the daemon was stopped: processes, scratch folders, temporary files."""
    left = [f"the process {one.pid} is still there ({one.role})" for one in processes().values()]
    scratch = home / "scratch"
    if scratch.is_dir() and (folders := os.listdir(scratch)):
        left.append(f"scratch folders were left: {folders[:5]}")
    if files := os.listdir(temporary):
        left.append(f"temporary files were left: {files[:5]}")
    return left


def left_in_the_end(home: Path, temporary: Path) -> list[str]:
    """What is left a while after the end: a killed process takes its time."""
    give_up = time.monotonic() + _GONE_S
    while (left := left_behind(home, temporary)) and time.monotonic() < give_up:
        time.sleep(0.1)
    return left
