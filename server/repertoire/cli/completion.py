"""Completion: what the shell offers for a run, a workflow or a session; used by the arguments of commands.

A failure offers nothing: a shell that completes must not print errors.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import typer

from . import output

_MOST = 50
"""Runs that are offered, the newest first."""

Offers = list[tuple[str, str]]


def runs(ctx: typer.Context, incomplete: str) -> Offers:
    """`last`, and the newest runs by the beginning of their ids."""
    rows = _call(ctx, "runs", limit=_MOST)
    short = {row["run_id"]: row["run_id"].rpartition(":")[2] for row in rows}
    if incomplete.startswith("workflow"):
        short = {run_id: run_id for run_id in short}
    offers = [("last", "the newest run")] if rows else []
    for row in rows:
        offers.append((short[row["run_id"]], f"{row['workflow']} {row['status']} {output.when(row['created_at'])}"))
    return [offer for offer in offers if offer[0].lower().startswith(incomplete.lower())]


def workflows(ctx: typer.Context, incomplete: str) -> Offers:
    rows = _call(ctx, "list", limit=1000)
    found = rows["workflows"] if isinstance(rows, dict) else []
    return [(one["name"], one["description"].split("\n")[0]) for one in found if one["name"].startswith(incomplete)]


def workflows_and_runs(ctx: typer.Context, incomplete: str) -> Offers:
    return workflows(ctx, incomplete) + runs(ctx, incomplete)


def _call(ctx: typer.Context, verb: str, **args: Any) -> Any:
    from .program import call_verb

    logging.disable()
    with contextlib.suppress(Exception):
        return call_verb(_home(ctx), ctx.params.get("workflows"), verb, **args)
    return []


def _home(ctx: Any) -> str | None:
    """`--home` of the command or before it: no command is run here, so the one before has set no default."""
    while ctx is not None:
        if (home := ctx.params.get("home")) is not None:
            return str(home)
        ctx = ctx.parent
    return None
