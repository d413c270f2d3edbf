"""Commands for one workflow: show, create, publish, pin, unpin and delete it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from ..errors import BadArguments
from ..model.needs import Needs
from ..signature.validation_messages import words
from . import completion, output
from .arguments import read_json, read_text
from .confirm import Yes, confirm
from .parameters import example, takes
from .program import Folders, Home, Json, Name, Section, call_verb, command
from .run_tree import print_run

Force = Annotated[bool, typer.Option("--force", help="Although other workflows call it.")]


@command(
    Section.RUNS,
    "repertoire show add",
    "repertoire show add --history",
    "repertoire show last                     the newest run",
)
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|RUN",
            help="A workflow's name; a run's id, the beginning of its id, or last.",
            autocompletion=completion.workflows_and_runs,
        ),
    ],
    version: Annotated[
        str | None, typer.Option(help="Another version than the published one; its first digits will do.")
    ] = None,
    diff: Annotated[str | None, typer.Option(help="Show what has changed since this version.")] = None,
    history: Annotated[bool, typer.Option("--history", help="Show its versions: who published which when.")] = False,
    home: Home = None,
    workflows: Folders = None,
    as_json: Json = False,
) -> None:
    """Show a workflow with its source, or a run with its calls.

    A run is named by its id, by the beginning of its id's last part, or by `last`.
    """
    answer = call_verb(home, workflows, "show", name=name, version=version, diff=diff)
    if as_json:
        output.print_json(answer)
    elif "run_id" in answer:
        print_run(answer)
    elif diff is not None:
        output.out.print(answer["diff"], markup=False)
    elif history:
        _print_history(answer)
    else:
        _print_workflow(answer)


@command(Section.WORKFLOWS, "repertoire create add add.py", "repertoire create add - < add.py")
def create(
    name: str,
    file: Annotated[str, typer.Argument(help="The module's source, or - for standard input.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace HOME/workflows/NAME.py.")] = False,
    examples: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="A list of {arguments, expect}, all of which must hold; or @FILE, or -."),
    ] = None,
    force: Force = False,
    home: Home = None,
    workflows: Folders = None,
    as_json: Json = False,
) -> None:
    """Check a source and save it in HOME/workflows/NAME.py."""
    if file == "-" == examples:
        raise BadArguments("Standard input cannot be the source and the examples.", "Give one of them as a file.")
    source = read_text(file)
    answer = call_verb(
        home,
        workflows,
        "create",
        name=name,
        source=source,
        replace=replace,
        force=force,
        examples=read_json(examples, "--examples") if examples else None,
    )
    if as_json:
        output.print_json(answer)
        return
    output.out.print(f"{answer['name']} {answer['version']} {answer['file']}", markup=False)
    output.findings(answer["file"], answer["findings"])


@command(Section.WORKFLOWS, "repertoire publish add 3fa1")
def publish(
    name: Name,
    version: Annotated[
        str, typer.Argument(help="A draft, or a version that was published before; its first digits will do.")
    ],
    force: Force = False,
    home: Home = None,
    workflows: Folders = None,
    as_json: Json = False,
) -> None:
    """Let a workflow's name run this version.

    A draft's examples are run first.
    """
    answer = call_verb(home, workflows, "publish", name=name, version=version, force=force)
    if as_json:
        output.print_json(answer)
        return
    output.out.print(f"{answer['name']} {answer['version']} is published", markup=False)
    if answer.get("file"):
        output.out.print(f"its file is back: {answer['file']}")
    output.findings(answer["name"], answer["findings"])


@command(Section.WORKFLOWS)
def pin(name: Name, home: Home = None, workflows: Folders = None) -> None:
    """Always list a workflow as a tool of its own.

    It stays listed, however many others there are.
    """
    changed = call_verb(home, workflows, "pin", name=name)["changed"]
    output.out.print(f"{name} is pinned" if changed else f"{name} was pinned already", markup=False)


@command(Section.WORKFLOWS)
def unpin(name: Name, home: Home = None, workflows: Folders = None) -> None:
    """List it only while it is among the most used."""
    changed = call_verb(home, workflows, "unpin", name=name)["changed"]
    output.out.print(f"{name} is no longer pinned" if changed else f"{name} was not pinned", markup=False)


@command(Section.WORKFLOWS)
def delete(
    name: Name,
    force: Force = False,
    yes: Yes = False,
    home: Home = None,
    workflows: Folders = None,
    as_json: Json = False,
) -> None:
    """Delete a created workflow, or move its file from HOME/workflows to HOME/trash. Its runs stay, and `publish` undoes it."""
    confirm(f"Delete {name}? `repertoire publish` can bring it back.", yes)
    answer = call_verb(home, workflows, "delete", name=name, force=force)
    if as_json:
        output.print_json(answer)
    elif answer["deleted"]:
        output.out.print(f"deleted {name}", markup=False)
        if answer["trash"]:
            output.err.print(f"its file: {answer['trash']}")
        output.err.print(f"undo: repertoire publish {name} {answer['version']}")
    if not answer["deleted"]:
        output.error(f"There is no workflow {name!r}.")
        raise typer.Exit(1)


def _print_workflow(answer: dict[str, Any]) -> None:
    for key in ("name", "description", "version", "status", "origin", "trust", "file"):
        output.out.print(f"{key}: {answer[key] or ''}", markup=False)
    if approved := answer.get("approved"):
        output.out.print(
            f"approved: {output.when(approved['at'])} by {approved['by']} ({approved['way']})", markup=False
        )
    calls, checked = answer["calls"], answer["checked"]
    needs = msgspec.structs.replace(msgspec.convert(answer["needs"], Needs), workflows=(), tools=())
    lines = {
        "examples": _examples(checked) if answer["examples"] else "",
        "calls": ", ".join([*calls["workflows"], *(f"tools.{name}" for name in calls["tools"])]),
        "needs": "; ".join(needs.sentences()),
        "called by": ", ".join(answer["called_by"]),
    }
    for key, text in lines.items():
        if text:
            output.out.print(f"{key}: {text}", markup=False)
    for line in (
        *takes(answer["input_schema"]),
        f"gives: {words(answer['output_schema'] or {}, answer['output_schema'] or {})}",
    ):
        output.out.print(line)
    output.out.print(f"run it: {example(answer['name'], answer['input_schema'])}")
    output.findings(answer["file"] or answer["name"], answer["findings"])
    output.out.print("", answer["source"], sep="\n", markup=False)


def _examples(checked: dict[str, Any]) -> str:
    if "not_run" in checked:
        return f"{checked['not_run']}, not run yet: nothing of it is before it is published"
    return f"{checked['passed']} hold, {checked['failed']} do not"


def _print_history(answer: dict[str, Any]) -> None:
    columns: output.Columns = {
        "at": output.Column("WHEN", output.when),
        "action": "WHAT",
        "version": "VERSION",
        "from_version": "INSTEAD OF",
        "client": "THROUGH",
    }
    output.table(columns, answer["history"], "Nothing was published under this name: it comes from a file.")
