"""Commands for the server, search and installation. Each carries out one verb and prints the answer."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import anyio
import typer

from ..errors import BadArguments
from . import output
from . import search as searching
from .arguments import time_of
from .home_client import HomeClient, carry_out, with_one_cause
from .install import ENTRY, Host, plan
from .install import carry_out as write_plan
from .program import Config, Folders, Home, Json, Section, Session, command, set_tools, settings_of


@command(
    Section.SERVER,
    "repertoire serve                         for an MCP host: stdio",
    "repertoire serve --http 127.0.0.1:8080   over HTTP",
)
def serve(
    home: Home = None,
    workflows: Folders = None,
    config: Config = None,
    session: Session = "",
    mcp: Annotated[
        str | None, typer.Option("--mcp", metavar="FILE", help="MCP servers for workflows, instead of HOME/mcp.json.")
    ] = None,
    tools: Annotated[
        list[str] | None,
        typer.Option("--tools", metavar="DIR", help="A folder of tools for workflows; may be repeated."),
    ] = None,
    embedded: Annotated[bool, typer.Option("--embedded", help="Serve stdio in this process: no daemon.")] = False,
    http: Annotated[str | None, typer.Option("--http", help="HOST:PORT: serve HTTP in the foreground.")] = None,
    takeover: Annotated[
        bool, typer.Option("--takeover", help="With --http: stop the daemon that owns the home.")
    ] = False,
) -> None:
    """Serve MCP: for a host over stdio, or over HTTP.

    Over stdio it goes through the home's daemon, with --embedded without one.
    """
    from .. import front
    from .serving import serve_embedded, serve_http_door

    if not embedded and http is None:
        raise typer.Exit(front.run(sys.argv[2:]))
    set_tools(mcp, tools)
    settings = settings_of(home, workflows, config)
    code = with_one_cause(
        lambda: serve_http_door(settings, http, takeover) if http else serve_embedded(settings, session)
    )
    raise typer.Exit(code)


@command(
    Section.WORKFLOWS,
    "repertoire list",
    "repertoire list --by claude --since 3d",
    "repertoire list --drafts",
    name="list",
)
def list_(
    drafts: Annotated[bool, typer.Option("--drafts", help="List what was created and never published.")] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="List what was deleted and can be brought back.")] = False,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="CLIENT", help="Part of the name of the client that made or changed it."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Published (kept, deleted) since then: 2026-05-01T12:00Z, or 2h, 3d ago."),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", "-t", help="Only workflows with this tag; repeatable.")
    ] = None,
    home: Home = None,
    workflows: Folders = None,
    as_json: Json = False,
) -> None:
    """List all workflows, and the files that are broken; or those that fit every filter."""
    if drafts and deleted:
        raise BadArguments("--drafts and --deleted are two lists.", "Ask for one of them.")
    status = "draft" if drafts else "deleted" if deleted else None
    wanted = {"created_by": by, "since": time_of(since), "tags": tag, "status": status}
    filters = {key: value for key, value in wanted.items() if value}

    async def work(calls: HomeClient) -> dict[str, Any]:
        answer: dict[str, Any] = await calls.call("list", {"limit": 1000, **filters})
        while answer["next_cursor"]:
            page = await calls.call("list", {"limit": 1000, "cursor": answer["next_cursor"], **filters})
            answer["workflows"] += page["workflows"]
            answer["next_cursor"] = page["next_cursor"]
        return answer

    answer = carry_out(settings_of(home, workflows), work)
    if as_json:
        output.print_json(answer)
        return
    _print_list(answer, status, is_filtered=bool(filters))


def _print_list(answer: dict[str, Any], status: str | None, *, is_filtered: bool) -> None:
    columns: dict[str, str | output.Column] = {"name": "NAME", "version": "VERSION", "trust": "TRUST"}
    empty = "No workflows yet: put a file with a run(...) into HOME/workflows."
    if status is not None:
        del columns["trust"]
        by, at = ("deleted_by", "deleted_at") if status == "deleted" else ("created_by", "created_at")
        columns |= {at: output.Column(at[:7].upper(), output.when), by: "BY"}
        empty = "No drafts." if status == "draft" else "Nothing was deleted."
    columns["description"] = "DESCRIPTION"
    output.table(columns, answer["workflows"], "No such workflows." if is_filtered and status is None else empty)
    for file in answer["broken"]:
        output.findings(file["file"], file["findings"])


@command(
    Section.WORKFLOWS,
    "repertoire search 'count words'",
    "repertoire search invoice --tag billing --limit 3",
)
def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What the workflow should do, in your words.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 5,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", "-t", help="Only workflows with this tag; repeatable.")
    ] = None,
    wait: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", help="Seconds to wait for the encoder before words have to do."),
    ] = 30.0,
    home: Home = None,
    workflows: Folders = None,
    as_json: Json = False,
) -> None:
    """Find workflows by what they do, and see why each fits.

    It starts the home's daemon, which keeps the model loaded: the next search is quick.
    """
    args = {"query": query, "limit": limit, "tags": tag or [], "wait_s": wait}
    answer = carry_out(settings_of(home, workflows), lambda calls: searching.find(calls, args), needs_daemon=True)
    if as_json:
        output.print_json(answer)
    else:
        searching.show(answer)


@command(Section.SERVER)
def stop(
    force: Annotated[bool, typer.Option("--force", help="Do not wait for runs that are going on.")] = False,
    home: Home = None,
) -> None:
    """End the home's daemon."""
    from .serving import stop_daemon

    stopped = anyio.run(stop_daemon, settings_of(home, None).home, force)
    output.out.print("stopped" if stopped else "not running", markup=False)


@command(Section.SERVER)
def doctor(home: Home = None, workflows: Folders = None, as_json: Json = False) -> None:
    """Check the installation, the home and every workflow file."""
    from .doctor import examine

    checks = examine(settings_of(home, workflows))
    if as_json:
        output.print_json(checks)
    else:
        for check in checks:
            output.out.print(f"{'ok  ' if check['ok'] else 'FAIL'} {check['check']}: {check['message']}", markup=False)
            if check.get("hint"):
                output.out.print(f"       {check['hint']}", markup=False)
    if not all(check["ok"] for check in checks):
        raise typer.Exit(1)


@command(
    Section.SERVER,
    "repertoire install claude-desktop",
    "repertoire install cursor --dry-run",
)
def install(
    host: Annotated[Host, typer.Argument(help="The MCP host to add this server to.")],
    session: Annotated[
        str | None, typer.Option("--session", help="The host's session. Default: the host's name.")
    ] = None,
    home: Home = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
) -> None:
    """Add this server to an MCP host's configuration.

    A backup of the file stays beside it.
    """
    planned = plan(host, session, home)
    verb = "would write" if dry_run else "writes"
    output.out.print(f"{verb if planned.changes else 'unchanged:'} {planned.path}", markup=False)
    output.print_json({ENTRY: planned.entry})
    if planned.changes and not dry_run:
        backup = write_plan(planned)
        output.out.print(f"backup {backup}" if backup else "a new file: no backup", markup=False)
        output.out.print("Restart the host to use it.", markup=False)


@command(Section.SERVER)
def demo() -> None:
    """Show everything in a temporary home.

    A real server, a real client, real work.
    """
    from .demo import show_all

    raise typer.Exit(with_one_cause(lambda: anyio.run(show_all)))
