"""Commands for runs: runs, logs, answer, cancel, resume and gc. run.py has those that start one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Final, get_args

import typer

from ..errors import BadArguments
from ..model.lifecycle import Status
from . import completion, output
from .arguments import read_text, time_of
from .home_client import HomeClient, carry_out
from .program import Home, Json, RunId, Section, call_verb, command, settings_of
from .prompt import read_answer

_STATUSES: Final = ", ".join(get_args(Status))
SHORT: Final = 12
"""Characters of an id in a table: a ULID's time has 10, and 2 more tell runs of one millisecond apart."""


@command(Section.RUNS)
def resume(run_id: RunId, home: Home = None, as_json: Json = False) -> None:
    """Go on with a run that waits for a person to decide that.

    A run waits so after an upgrade of Python, for example.
    """
    answer = carry_out(
        settings_of(home, None), lambda calls: calls.call("resume", {"run_id": run_id}), needs_daemon=True
    )
    output.print_json(answer) if as_json else output.out.print(answer["status"], markup=False)


@command(Section.RUNS, "repertoire answer last true", "repertoire answer last @answer.json")
def answer(
    run_id: RunId,
    answer: Annotated[
        str,
        typer.Argument(metavar="ANSWER", help="JSON, or plain text where the question wants a string; or @FILE, or -."),
    ],
    question: Annotated[
        str | None, typer.Option("--question", "-q", metavar="ID", help="Which one, where the run asks several.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Answer a run's question; it goes on in the background."""

    async def work(calls: HomeClient) -> dict[str, Any]:
        asking = await calls.call("get", {"run_id": run_id})
        schema = _schema_of(asking, question)
        args = {"run_id": run_id, "answer": _parse_answer(answer, schema), "question_id": question}
        after: dict[str, Any] = await calls.call("answer", args)
        return after

    after = carry_out(settings_of(home, None), work, needs_daemon=True)
    output.print_json(after) if as_json else output.out.print("answered", markup=False)


def _schema_of(run: dict[str, Any], question: str | None) -> dict[str, Any]:
    asked = [one for one in run.get("questions", ()) if question in (None, one["id"])]
    return asked[0]["schema"] if len(asked) == 1 else {}  # else the service says what is wrong


def _parse_answer(text: str, schema: dict[str, Any]) -> Any:
    if text == "-" or text.startswith("@"):
        text = read_text(text[1:] or "-").strip()
    try:
        return read_answer(text, schema)
    except ValueError as error:
        raise BadArguments(str(error), f"The answer must fit {json.dumps(schema)}.") from None


def _statuses(incomplete: str) -> list[str]:
    return [name for name in get_args(Status) if name.startswith(incomplete)]


@command(Section.RUNS, "repertoire runs --status failed --since 2h")
def runs(
    workflow: Annotated[
        str | None,
        typer.Option("--workflow", "-w", help="Only of this workflow.", autocompletion=completion.workflows),
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", "-s", metavar="NAME", help="Only of this session, by its name or id.")
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(
            "--status", metavar="STATUS", help=f"Only with this status: {_STATUSES}.", autocompletion=_statuses
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Begun at or after this time: 2026-05-01T12:00Z, or 90m, 2h, 3d ago."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Begun before this time.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first.

    Runs that other runs have called stand below them.
    """
    if status not in (None, *get_args(Status)):
        raise BadArguments(f"There is no status {status!r}.", f"Statuses are {_STATUSES}.")
    wanted = {
        "workflow": workflow,
        "session": session,
        "status": status,
        "since": time_of(since),
        "until": time_of(until),
    }
    filters = {key: value for key, value in wanted.items() if value is not None}
    rows = call_verb(home, None, "runs", limit=limit, **filters)
    if as_json:
        output.print_json(rows)
        return
    columns: dict[str, str | output.Column] = {
        "run": "RUN",
        "workflow": "WORKFLOW",
        "status": "STATUS",
        "created_at": output.Column("CREATED", output.when),
        "duration_s": output.Column("TOOK", output.duration),
    }
    if any(row.get("message") for row in rows):
        columns["message"] = output.Column("WAITS FOR", flexible=True)
    output.table(columns, list(_nest(rows)), "No runs yet." if not filters else "No such runs.")


def _nest(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows with child runs below their parents. A run whose parent is not in the list is marked with its parent."""
    short = short_ids([row["run_id"] for row in rows])
    below: dict[str, list[dict[str, Any]]] = {}
    for row in reversed(rows):
        below.setdefault(row.get("parent") or "", []).append(row)

    def level(row: dict[str, Any], depth: int) -> Iterator[dict[str, Any]]:
        mark = "  " * (depth - 1) + "└ " if depth else ""
        run = mark + short[row["run_id"]]
        if depth == 0 and (parent := row.get("parent")):
            run += f" < {parent.rpartition(':')[2][:SHORT]}"
        yield {**row, "run": run, "message": (row.get("message") or "").removeprefix("waiting for ")}
        for child in below.get(row["run_id"], ()):
            yield from level(child, depth + 1)

    for row in rows:
        if row.get("parent") not in short:
            yield from level(row, 0)


def short_ids(run_ids: list[str]) -> dict[str, str]:
    """For each id the beginning of its ULID, long enough to tell these runs apart."""
    parts = {run_id: run_id.rpartition(":")[2] for run_id in run_ids}
    size = SHORT
    while len({part[:size] for part in parts.values()}) < len(parts):
        size += 1
    return {run_id: part[:size] for run_id, part in parts.items()}


@command(Section.RUNS, "repertoire logs last --follow")
def logs(
    run_id: RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    after: Annotated[int, typer.Option(help="Leave out events up to this number.")] = 0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Print a run's events, and the traceback of a failure."""

    async def show_event(event: dict[str, Any]) -> None:
        if as_json:
            output.print_line(event)
        else:
            output.out.print(output.event_line(event), markup=False)

    args = {"run_id": run_id, "follow": follow, "after": after}
    answer = carry_out(settings_of(home, None), lambda calls: calls.call("logs", args, show_event))
    if answer["traceback"]:
        output.err.print(answer["traceback"], markup=False)


@command(Section.RUNS, "repertoire cancel last")
def cancel(run_id: RunId, home: Home = None, as_json: Json = False) -> None:
    """Stop a run, with all that it has called."""
    answer = call_verb(home, None, "cancel", run_id=run_id)
    output.print_json(answer) if as_json else output.out.print(answer["status"], markup=False)


@command(Section.SERVER, "repertoire gc --keep-days 30 --dry-run")
def gc(
    keep_days: Annotated[
        float | None, typer.Option("--keep-days", help="Delete runs that ended longer ago. Default: keep_runs_s.")
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", help="Delete all but so many ended runs, the oldest first. Default: keep_runs."),
    ] = None,
    audit_before: Annotated[
        str | None,
        typer.Option(
            "--audit-before", metavar="TIME", help="Delete lines of the audit log before it. Default: keep_audit_s ago."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Delete old runs, unused artifacts, versions that nothing refers to, and old lines of the audit log.

    The settings or these options say what is old.
    """
    if (keep_days is not None and keep_days <= 0) or (keep is not None and keep <= 0):
        raise BadArguments("--keep-days and --keep must be more than 0.")
    keep_s = None if keep_days is None else keep_days * 86_400
    if keep_s is not None or keep is not None:  # an option that is left out is no bound then, whatever the settings say
        keep_s, keep = keep_s or 0, keep or 0
    bounds = {"keep_s": keep_s, "keep": keep, "audit_before": time_of(audit_before)}
    gone = call_verb(home, None, "gc", **bounds, dry_run=dry_run)
    if as_json:
        output.print_json(gone)
        return
    verb = "would delete" if dry_run else "deleted"
    counts = [f"{gone[name]} {name}" for name in ("runs", "calls", "events", "versions", "artifacts")]
    rest = {"trash": "files of the trash", "audit": "lines of the audit log"}
    output.out.print(
        f"{verb} {', '.join([*counts, *(f'{gone[key]} {what}' for key, what in rest.items() if gone[key])])}"
    )
