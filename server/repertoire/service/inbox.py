"""Inbox: lists what waits for a person, each with the command that answers it; used by the command line.

These are questions of runs, versions that wait for approval, drafts, runs that wait for a decision, runs that failed in the last day, and
broken files. It changes nothing.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final

from ..engine.run_faults import NEEDS_DECISION
from ..model.run import Run, iso
from ..model.session import Caller
from ..store import Store
from .library import Library
from .runs import Runs
from .trust import TrustRules

_DAY_S: Final = 24 * 3600.0
_LOOK_BACK_S: Final = 8 * _DAY_S
"""A run that failed in the last day may have begun so much earlier: it waited for an answer."""
_DRAFTS_S: Final = 30 * _DAY_S
"""An older draft may be deleted at any time."""
_MOST: Final = 200
_MODEL: Final = "An agent asks its caller's own model"
_SHOWN_CHARS: Final = 200
"""Of a request to a model: its end is what it is about, and `repertoire show` has it whole."""


class Inbox:
    def __init__(self, store: Store, library: Library, runs: Runs, rules: TrustRules) -> None:
        self._rules = rules
        self._store = store
        self._library = library
        self._runs = runs

    async def contents(self, caller: Caller) -> dict[str, list[dict[str, Any]]]:
        """Rows of {about, text, at, command} by kind, newest first."""
        approvals, drafts = await self._drafts()
        approvals += await self._unapproved(caller)
        return {
            "questions": await self._questions(caller),
            "approvals": approvals,
            "drafts": drafts,
            "decisions": await self._decisions(caller),
            "failures": await self._failures(caller),
            "broken": self._broken(caller),
        }

    async def _questions(self, caller: Caller) -> list[dict[str, Any]]:
        rows = []
        for listed in await self._store.runs(caller.principal, status="input_required", top=True, limit=_MOST):
            run = await self._runs.find(caller, listed.id)
            which = len(run.questions) > 1
            for one in run.questions:
                command = f"repertoire answer {run.id} {_sample(one.schema)}" + (
                    f" --question {one.id}" if which else ""
                )
                text = one.question if one.request is None else f"{_MODEL}: {one.question[-_SHOWN_CHARS:]}"
                rows.append(_row(run.id, text, one.asked_at, command))
        return rows

    async def _decisions(self, caller: Caller) -> list[dict[str, Any]]:
        found = await self._store.runs(caller.principal, status="working", limit=_MOST)
        stuck = [run for run in found if run.waiting_for is not None and run.waiting_for.startswith(NEEDS_DECISION)]
        return [_row(run.id, run.waiting_for or "", run.created_at, f"repertoire resume {run.id}") for run in stuck]

    async def _failures(self, caller: Caller) -> list[dict[str, Any]]:
        now = time.time()
        found = await self._store.runs(
            caller.principal, status="failed", since=now - _LOOK_BACK_S, top=True, limit=_MOST
        )
        late = [run for run in found if (run.ended_at or now) > now - _DAY_S]
        return [_row(run.id, _why(run), run.ended_at, f"repertoire logs {run.id}") for run in late]

    async def _drafts(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The versions that wait for approval, and the other drafts: of each name the newest, unless something was published since."""
        approvals: list[dict[str, Any]] = []
        drafts: list[dict[str, Any]] = []
        seen: set[str] = set()
        for version, at in await self._store.drafts():
            if version.name in seen or at < time.time() - _DRAFTS_S:
                continue
            seen.add(version.name)
            history = await self._store.history(version.name)
            if any(line.at > at and line.action != "draft" for line in history):
                continue
            kind, verb = (drafts, "publish") if await self._rules.may_run(version) else (approvals, "approve")
            row = _row(version.name, version.description, at, f"repertoire {verb} {version.name} {version.short}")
            kind.append(row | {"look": f"repertoire show {version.name} --version {version.short}"})
        return approvals, drafts

    async def _unapproved(self, caller: Caller) -> list[dict[str, Any]]:
        """Workflows that were published before this server demanded approvals."""
        return [
            _row(one.name, one.description, one.created_at, f"repertoire approve {one.name} {one.short}")
            for one in self._library.view(caller).names.values()
            if not await self._rules.may_run(one)
        ]

    def _broken(self, caller: Caller) -> list[dict[str, Any]]:
        rows = []
        for file in self._library.list_broken(caller):
            first = file["findings"][0]
            place = f"{first.get('file') or file['file']}" + (f":{first['line']}" if first.get("line") else "")
            rows.append(_row(place, first["message"], None, "repertoire list"))
        return rows


def _row(about: str, text: str, at: float | None, command: str) -> dict[str, Any]:
    return {"about": about, "text": text, "at": iso(at), "command": command}


def _why(run: Run) -> str:
    return "" if run.error is None else f"{run.error.type}: {run.error.message}"


def _sample(schema: dict[str, Any]) -> str:
    """An answer that fits simple schemas, else the word ANSWER."""
    if schema.get("type") == "boolean":
        return "true"
    if choices := schema.get("enum"):
        return _quoted(choices[0] if isinstance(choices[0], str) else json.dumps(choices[0]))
    return "ANSWER"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
