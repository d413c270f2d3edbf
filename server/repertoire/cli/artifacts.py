"""Commands for artifacts: list, show, save and delete them. Contents are read from and saved as files of this machine."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import BadArguments
from . import output
from .confirm import Yes, confirm
from .home_client import HomeClient, carry_out
from .program import Code, Home, Json, Section, app, call_verb, group, settings_of

artifacts_app = group(
    "artifacts",
    "List artifacts, or show, save or delete one.",
    "repertoire artifacts",
    "repertoire artifacts show report.json",
    "repertoire artifacts show chart.png --output chart.png",
    "repertoire artifacts save input.csv ./data.csv",
    invoke_without_command=True,
    no_args_is_help=False,
)
app.add_typer(artifacts_app, rich_help_panel=Section.RUNS)

Word = Annotated[str, typer.Argument(metavar="NAME", help="The artifact's name.")]
Prefix = Annotated[str, typer.Option("--prefix", metavar="TEXT", help="Only names that begin so.")]


@artifacts_app.callback()
def artifacts(ctx: typer.Context, prefix: Prefix = "", home: Home = None, as_json: Json = False) -> None:
    """List artifacts, or show, save or delete one."""
    if ctx.invoked_subcommand is None:
        _list(prefix, home, as_json)
    elif home is not None:
        ctx.obj = home


@artifacts_app.command("list")
def list_(ctx: typer.Context, prefix: Prefix = "", home: Home = None, as_json: Json = False) -> None:
    """List artifacts by name."""
    _list(prefix, home or ctx.obj, as_json)


def _list(prefix: str, home: str | None, as_json: bool) -> None:
    async def work(calls: HomeClient) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await calls.call("artifacts", {"prefix": prefix, "cursor": cursor})
            rows += page["artifacts"]
            cursor = page["next_cursor"]
            if cursor is None:
                return rows

    rows = carry_out(settings_of(home, None), work)
    if as_json:
        output.print_json(rows)
        return
    columns: output.Columns = {
        "name": "NAME",
        "mime_type": "TYPE",
        "size": "BYTES",
        "updated_at": output.Column("SAVED", output.when),
        "description": "DESCRIPTION",
    }
    output.table(columns, rows, "No artifacts yet.")


@artifacts_app.command()
def show(
    ctx: typer.Context,
    name: Word,
    target: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write its content to this file.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Print the content of an artifact; with --json, what is known of it.

    Bytes are printed to a pipe, and not to a terminal.
    """
    found = call_verb(home or ctx.obj, None, "artifact_show", name=name)
    if target is not None:
        shutil.copyfile(found["path"], target)
    if as_json:
        output.print_json({key: value for key, value in found.items() if key != "path"})
    elif target is not None:
        output.out.print(f"wrote {found['size']} bytes to {target}", markup=False)
    elif found["kind"] == "bytes" and not found["mime_type"].startswith("text/") and sys.stdout.isatty():
        output.error(f"{name} is {found['mime_type']}, {found['size']} bytes.", "Write it to a file: --output FILE.")
        raise typer.Exit(Code.USAGE)
    elif sys.stdout.isatty():  # a text of somebody else's must not command the terminal
        text = Path(found["path"]).read_text(errors="replace")
        output.out.print(output.visible(text), end="")
    else:
        with open(found["path"], "rb") as content:
            shutil.copyfileobj(content, sys.stdout.buffer)
        sys.stdout.buffer.flush()


@artifacts_app.command()
def save(
    ctx: typer.Context,
    name: Word,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file with its content, or - for stdin.")],
    description: Annotated[str, typer.Option("--description", "-d", help="What it is.")] = "",
    mime_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Its MIME type. Default: by the name's ending.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Save a file as an artifact, in the place of one with this name.

    A text file is loaded as text, a .json file as its value, any other as bytes.
    """
    with tempfile.NamedTemporaryFile(prefix="repertoire-") as piped:
        if str(file) == "-":
            shutil.copyfileobj(sys.stdin.buffer, piped)
            piped.flush()
            file = Path(piped.name)
        if not file.is_file():
            raise BadArguments(f"There is no file {file}.")
        given = {"name": name, "kind": _kind_of(name, file), "path": str(file.resolve())}
        answer = call_verb(
            home or ctx.obj, None, "artifact_save", **given, mime_type=mime_type, description=description
        )
    _print(answer, f"saved {answer['name']}, {answer['mime_type']}, {answer['size']} bytes", as_json)


def _kind_of(name: str, file: Path) -> str:
    from mimetypes import guess_type

    guessed = guess_type(name)[0] or guess_type(file.name)[0] or ""
    try:
        if guessed == "application/json":
            json.loads(file.read_bytes())
            return "json"
        if guessed.startswith("text/"):
            file.read_text(encoding="utf-8")
            return "text"
    except (ValueError, RecursionError):
        pass
    return "bytes"


@artifacts_app.command()
def delete(ctx: typer.Context, name: Word, yes: Yes = False, home: Home = None, as_json: Json = False) -> None:
    """Delete an artifact."""
    confirm(f"Delete the artifact {name}? This cannot be undone.", yes)
    answer = call_verb(home or ctx.obj, None, "artifact_delete", name=name)
    if not answer["deleted"]:
        raise BadArguments(f"There is no artifact {name[:80]!r}.", "`repertoire artifacts` lists them.")
    _print(answer, f"deleted {name}", as_json)


def _print(answer: dict[str, Any], sentence: str, as_json: bool) -> None:
    output.print_json(answer) if as_json else output.out.print(sentence, markup=False)
