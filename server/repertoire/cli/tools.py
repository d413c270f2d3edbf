"""Commands for tools: list, search, show and call the tools that workflow bodies can call, and check their sources."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from . import output
from .arguments import read_object, read_words
from .home_client import HomeClient, carry_out
from .program import Code, Home, Json, Payload, Section, Words, app, call_verb, command, group, settings_of

tools_app = group(
    "tools",
    "List, search, show and call the tools that workflows can call, or check their sources.",
    "repertoire tools list",
    "repertoire tools search 'make an issue'",
    "repertoire tools call fetch url=https://example.com",
)
app.add_typer(tools_app, rich_help_panel=Section.WORKFLOWS)

Path = Annotated[str, typer.Argument(metavar="TOOL", help="Its name, such as github.create_issue or fetch.")]


@command(Section.WORKFLOWS, of=tools_app, name="list")
def list_(home: Home = None, as_json: Json = False) -> None:
    """List all tools, and the sources that cannot be reached."""
    _print_tools(call_verb(home, None, "tools"), "No tools.", as_json)


@command(Section.WORKFLOWS, "repertoire tools search 'make an issue' --limit 3", of=tools_app)
def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What it should do.")],
    limit: Annotated[int, typer.Option("--limit", help="At most so many.")] = 5,
    wait: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", help="Seconds to wait for the encoder before words have to do."),
    ] = 30.0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Find tools by what they do.

    It starts the home's daemon, which keeps the model loaded: the next search is quick.
    """
    args = {"query": query, "limit": limit, "wait_s": wait}
    answer = carry_out(settings_of(home, None), lambda calls: calls.call("tools", args), needs_daemon=True)
    _print_tools(answer, "Nothing fits.", as_json)


@command(Section.WORKFLOWS, "repertoire tools show fetch", of=tools_app)
def show(tool: Path, home: Home = None) -> None:
    """Show a tool or a source whole, with its schemas, as JSON."""
    output.print_json(call_verb(home, None, "tool", name=tool))


@command(
    Section.WORKFLOWS, "repertoire tools call fetch url=https://example.com", of=tools_app, ignore_unknown_options=True
)
def call(tool: Path, words: Words = None, payload: Payload = None, home: Home = None) -> None:
    """Call a tool and print its answer. No run is made, and nobody is asked for approval."""
    arguments = {} if payload is None else read_object(payload, "--payload")

    async def work(calls: HomeClient) -> Any:
        schema = (await calls.call("tool", {"name": tool})).get("input_schema", {})
        given = arguments | (read_words(words, schema, tool) if words else {})
        return await calls.call("tool_call", {"name": tool, "arguments": given}, _show_progress)

    output.print_json(json.loads(carry_out(settings_of(home, None), work)))


@command(Section.WORKFLOWS, of=tools_app)
def doctor(home: Home = None, as_json: Json = False) -> None:
    """Check each source of tools: connect to it, and count its tools. Exit code 1: one does not work."""
    rows = call_verb(home, None, "tools_doctor")
    if as_json:
        output.print_json(rows)
    else:
        shown = [{**row, "trouble": row["trouble"] or "works"} for row in rows]
        columns: output.Columns = {"source": "SOURCE", "tools": "TOOLS", "trouble": "STATE"}
        output.table(columns, shown, "No sources of tools.")
    if any(row["trouble"] for row in rows):
        raise typer.Exit(Code.FAILED)


def _print_tools(answer: dict[str, Any], empty: str, as_json: bool) -> None:
    if as_json:
        output.print_json(answer)
        return
    columns: output.Columns = {"signature": "CALL", "description": "DESCRIPTION"}
    output.table(columns, answer["tools"], empty)
    for one in answer.get("nearest", ()):
        output.err.print(f"probably not: {one['signature']}  {one['description']}", markup=False)
    if answer.get("note"):
        output.say(answer["note"], "yellow")
    for one in answer.get("unavailable", ()):
        output.err.print(f"{one['server']}: {one['why']}", markup=False)


async def _show_progress(event: dict[str, Any]) -> None:
    data = event["data"]
    total = "" if data["total"] is None else f"/{data['total']:g}"
    output.err.print(f"{data['done']:g}{total} {data['message'] or ''}".rstrip(), markup=False)
