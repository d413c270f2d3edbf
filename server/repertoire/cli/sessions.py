"""Commands for sessions: list, show, reset, rename and delete them. A session is named by its name, its id or the beginning of its id."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from . import output
from .confirm import Yes, confirm
from .program import Home, Json, Section, app, call_verb, group

sessions_app = group(
    "sessions",
    "List sessions, or show, reset, rename or delete one.",
    "repertoire sessions",
    "repertoire sessions show cli",
    invoke_without_command=True,
    no_args_is_help=False,
)
app.add_typer(sessions_app, rich_help_panel=Section.RUNS)

All = Annotated[bool, typer.Option("--all", help="Also nameless sessions in which nothing keeps state.")]
Word = Annotated[str, typer.Argument(metavar="SESSION", help="Its name, its id or the beginning of its id.")]


@sessions_app.callback()
def sessions(ctx: typer.Context, every: All = False, home: Home = None, as_json: Json = False) -> None:
    """List sessions, or show, reset, rename or delete one."""
    if ctx.invoked_subcommand is None:
        _list(every, home, as_json)
    elif home is not None:
        ctx.obj = home


@sessions_app.command("list")
def list_(ctx: typer.Context, every: All = False, home: Home = None, as_json: Json = False) -> None:
    """List sessions, last used first."""
    _list(every, home or ctx.obj, as_json)


def _list(every: bool, home: str | None, as_json: bool) -> None:
    rows = call_verb(home, None, "sessions")
    if as_json:
        output.print_json(rows)
        return
    shown = [row for row in rows if every or row["name"] or row["workflows_with_state"]]
    cells = [{**row, "workflows_with_state": ", ".join(row["workflows_with_state"])} for row in shown]
    columns: output.Columns = {
        "name": "NAME",
        "session_id": "SESSION",
        "used_at": output.Column("LAST USED", output.when),
        "workflows_with_state": "STATE OF",
    }
    output.table(columns, cells, "No sessions yet.")
    if hidden := len(rows) - len(shown):
        output.err.print(f"{hidden} more have neither name nor state: --all lists them.", markup=False)


@sessions_app.command()
def show(ctx: typer.Context, session: Word, home: Home = None, as_json: Json = False) -> None:
    """Show the states that workflows keep in a session."""
    answer = call_verb(home or ctx.obj, None, "session_show", session=session)
    if as_json:
        output.print_json(answer)
        return
    output.out.print(
        f"{answer['name'] or '(no name)'} {answer['session_id']}, last used {output.when(answer['used_at'])}"
    )
    for one in answer["states"]:
        state = json.dumps(one["state"], ensure_ascii=False, indent=2)
        output.out.print(f"{one['workflow']}, stored {output.when(one['stored_at'])}:\n{state}")
    if not answer["states"]:
        output.out.print("No workflow keeps state in it.")


@sessions_app.command()
def reset(
    ctx: typer.Context,
    session: Word,
    workflow: Annotated[str | None, typer.Option("--workflow", help="Only the state of this workflow.")] = None,
    yes: Yes = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Forget the states that workflows keep in a session: they begin anew."""
    what = f"the state of {workflow}" if workflow else "all states"
    confirm(f"Forget {what} in the session {session}? This cannot be undone.", yes)
    answer = call_verb(home or ctx.obj, None, "session_reset", session=session, workflow=workflow)
    forgotten = ", ".join(answer["forgotten"])
    _print(answer, f"forgot the state of {forgotten}" if forgotten else "there was no state", as_json)


@sessions_app.command()
def rename(ctx: typer.Context, session: Word, name: str, home: Home = None, as_json: Json = False) -> None:
    """Give a session another name. A client of that name, or the command line (cli), then uses its state."""
    answer = call_verb(home or ctx.obj, None, "session_rename", session=session, name=name)
    _print(answer, f"{answer['former_name'] or answer['session_id']} is {name} now", as_json)


@sessions_app.command()
def delete(ctx: typer.Context, session: Word, yes: Yes = False, home: Home = None, as_json: Json = False) -> None:
    """Delete a session with its states. Its runs stay."""
    confirm(f"Delete the session {session} and its states? This cannot be undone.", yes)
    answer = call_verb(home or ctx.obj, None, "session_delete", session=session)
    _print(answer, f"deleted {answer['name'] or answer['session_id']}", as_json)


def _print(answer: dict[str, Any], sentence: str, as_json: bool) -> None:
    output.print_json(answer) if as_json else output.out.print(sentence)
