"""Command inbox: what waits for a person, each with the command that answers it."""

from __future__ import annotations

from typing import Any, Final

from . import output
from .program import Folders, Home, Json, Section, call_verb, command

_HEADINGS: Final = {
    "questions": "Questions",
    "approvals": "Versions that wait for approval",
    "drafts": "Drafts",
    "decisions": "Runs that wait for a decision",
    "failures": "Failed in the last day",
    "broken": "Files that are broken",
}


@command(Section.RUNS)
def inbox(home: Home = None, workflows: Folders = None, as_json: Json = False) -> None:
    """List what waits for you: questions, drafts, approvals, failures of the last day."""
    answer = call_verb(home, workflows, "inbox")
    if as_json:
        output.print_json(answer)
    elif not any(answer.values()):
        output.out.print("Nothing waits for you.")
    else:
        for kind, heading in _HEADINGS.items():
            _print(heading, answer[kind])


def _print(heading: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    output.out.print(f"{heading}: {len(rows)}", style="bold")
    for row in rows:
        at = f", {output.when(row['at'])}" if row["at"] else ""
        output.out.print(f"  {row['about']}{at}: {' '.join(row['text'].split())}")
        for key in ("look", "command"):
            if row.get(key):
                output.out.print(f"    {row[key]}")
