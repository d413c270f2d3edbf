"""Command audit: the log of who did what, newest first; with --follow each new line as it comes."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import typer

from ..errors import BadArguments
from ..model.audit_line import Action
from ..model.session import LOCAL
from . import completion, output
from .arguments import time_of
from .home_client import HomeClient, carry_out
from .program import Home, Json, Section, command, settings_of
from .runs import SHORT

_PAGE = 1_000


def _actions(incomplete: str) -> list[str]:
    return [name for name in get_args(Action) if name.startswith(incomplete)]


@command(
    Section.SERVER,
    "repertoire audit --since 2d --action published",
    "repertoire audit --workflow invoices --who claude --json",
    "repertoire audit --follow",
)
def audit(
    workflow: Annotated[
        str | None,
        typer.Option("--workflow", "-w", help="Only of this workflow.", autocompletion=completion.workflows),
    ] = None,
    who: Annotated[
        str | None,
        typer.Option("--who", metavar="NAME", help="Only of this user, or of clients with this in their name."),
    ] = None,
    action: Annotated[
        str | None,
        typer.Option("--action", "-a", metavar="ACTION", help="Only this action.", autocompletion=_actions),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Since then: 2026-05-01T12:00Z, or 90m, 2h, 3d ago.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Oldest first, and each new line as it comes.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List who created, approved, ran, cancelled, deleted or answered what.

    Arguments are not in it, only their hash.
    """
    if action not in (None, *get_args(Action)):
        raise BadArguments(f"There is no action {action!r}.", f"Actions are {', '.join(get_args(Action))}.")
    wanted = {"workflow": workflow, "who": who, "action": action, "since": time_of(since)}
    filters = {key: value for key, value in wanted.items() if value is not None}

    async def work(calls: HomeClient) -> list[dict[str, Any]]:
        if follow:
            await calls.call("audit", {**filters, "limit": min(limit, _PAGE), "follow": True}, tell)
        lines: list[dict[str, Any]] = []
        before: int | None = None
        while len(lines) < limit:
            page = await calls.call("audit", {**filters, "limit": min(limit - len(lines), _PAGE), "before": before})
            lines += page["lines"]
            if (before := page["next_before"]) is None:
                break
        return lines

    async def tell(line: dict[str, Any]) -> None:
        if as_json:
            output.print_line(line)
        else:
            row = _row(line)
            rest = (f"{row[key]}" for key in ("workflow", "version", "run", "status", "subject") if row[key])
            output.out.print(
                " ".join([output.clock(row["at"]), f"{row['action']:<9}", row["who"], *rest]), markup=False
            )

    # whoever follows must not be the owner of the home: other clients would wait for the end of this command
    lines = carry_out(settings_of(home, None), work, needs_daemon=follow)
    if as_json:
        output.print_json(lines)
        return
    columns: dict[str, str | output.Column] = {
        "at": output.Column("AT", output.clock),
        "action": "ACTION",
        "who": output.Column("WHO", flexible=True),
        "workflow": output.Column("WORKFLOW", flexible=True),
        "version": "VERSION",
        "run": "RUN",
        "status": "STATUS",
    }
    if any(line["subject"] for line in lines):
        columns["subject"] = "SUBJECT"
    output.table(columns, map(_row, lines), "No such lines." if filters else "Nothing was done yet.")


def _row(line: dict[str, Any]) -> dict[str, Any]:
    user = "" if line["principal"] in ("", LOCAL) else line["principal"]
    who = ", ".join(part for part in (user, line["client"]) if part) or line["principal"] or "the server"
    return {**line, "who": who, "version": line["version"][:SHORT], "run": line["run_id"].rpartition(":")[2][:SHORT]}
