"""Command approve: what waits for a person's approval, a version to decide about, the approval, and taking it back."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ..errors import BadArguments
from . import completion, output
from .confirm import Yes
from .program import Folders, Home, Json, Section, call_verb, command
from .prompt import someone_is_there


@command(
    Section.WORKFLOWS,
    "repertoire approve --list",
    "repertoire approve add                   show it, and ask",
    "repertoire approve add 3fa1 --yes",
    "repertoire approve add --revoke",
)
def approve(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The workflow's name.", autocompletion=completion.workflows)
    ] = None,
    version: Annotated[
        str | None,
        typer.Argument(help="Its first digits will do. Left out: the last draft, or else the published version."),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", "-l", help="List what nobody has approved.")] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the approval back.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Although its text or its callers say that it fails.")] = False,
    yes: Yes = False,
    home: Home = None,
    workflows: Folders = None,
    as_json: Json = False,
) -> None:
    """Trust one version of a workflow that came through a tool.

    It shows the source, what has changed and what it needs, and asks. An approved version is published and runs as your own files do,
    outside of the sandbox. The next version has to be approved again.
    """
    if list_:
        _list(call_verb(home, workflows, "approvals"), as_json)
    elif name is None:
        raise BadArguments("NAME: missing.", "`repertoire approve --list` shows what waits.")
    elif revoke:
        _print_revoked(call_verb(home, workflows, "revoke", name=name, version=version), as_json)
    else:
        shown = call_verb(home, workflows, "approval", name=name, version=version)
        if not as_json:
            output.out.print(shown["text"], markup=False)
        _ask(shown, yes)
        answer = call_verb(home, workflows, "approve", name=name, version=shown["hash"], force=force)
        _print_approved(answer, as_json)


def _ask(shown: dict[str, Any], yes: bool) -> None:
    """A script cannot approve by accident: without a terminal it has to say --yes."""
    if yes:
        return
    if not someone_is_there():
        raise BadArguments("Nobody is at a terminal to approve it.", "Read it first, and then give --yes.")
    output.err.print(f"Trust {shown['name']} {shown['version']}, to run with your rights? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        output.err.print("Nothing was done.")
        raise typer.Exit(1)


def _list(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.print_json(answer)
        return
    columns: output.Columns = {
        "name": "NAME",
        "version": "VERSION",
        "status": "STATUS",
        "created_at": output.Column("CREATED", output.when),
        "created_by": "BY",
        "description": "DESCRIPTION",
    }
    output.table(columns, answer["waiting"], "Nothing waits for approval.")
    if answer["waiting"] and answer["authoring"] != "approval":
        output.err.print("None of them has to be approved: what is not runs in the sandbox.")


def _print_approved(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.print_json(answer)
        return
    output.out.print(f"{answer['name']} {answer['version']} is approved, and it is published", markup=False)
    output.findings(answer["name"], answer["findings"])


def _print_revoked(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.print_json(answer)
    else:
        said = "is no longer approved" if answer["revoked"] else "was not approved"
        output.out.print(f"{answer['name']} {answer['version']} {said}", markup=False)
