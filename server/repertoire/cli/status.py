"""Command status: who owns the home, who is connected, what runs, which doors are open; and what is unfinished when nothing runs."""

from __future__ import annotations

from typing import Any

import anyio

from . import output
from .program import Home, Json, Section, command, settings_of


@command(Section.SERVER)
def status(home: Home = None, as_json: Json = False) -> None:
    """Say who owns the home, who is connected and what is running."""
    from .serving import daemon_status

    answer = anyio.run(daemon_status, settings_of(home, None).home)
    if as_json:
        output.print_json(answer)
    elif answer["running"]:
        _print_running(answer)
    else:
        _print_stopped(answer["runs"])


def _print_running(answer: dict[str, Any]) -> None:
    ending = ", ending: a newer version takes over" if answer["draining"] else ""
    output.out.print(
        f"running: {answer['kind']}, pid {answer['pid']}, version {answer['version']}, since {output.clock(answer['started_at'])}{ending}"
    )
    output.out.print(f"home: {answer['home']}")
    for url in answer.get("http", ()):
        output.out.print(f"door: {url}/mcp")
    output.out.print(f"search: {answer.get('encoder', 'unknown')}")
    output.out.print(f"created code: {answer.get('isolation', 'unknown')}", markup=False)
    clients = [one for one in answer["connections"] if one["mode"] == "mcp"] + answer.get("http_clients", [])
    output.out.print(f"clients: {len(clients)}")
    for one in clients:
        since = (
            f"since {output.clock(one['since'])}"
            if "since" in one
            else f"{output.duration(one['idle_s'])} ago, over HTTP"
        )
        session = f", session {one['session']}" if one["session"] else ""
        output.out.print(f"  {one['client'] or 'has not said its name'}{session}, {since}")
    _print_runs(f"runs going on: {answer['live_runs']}", answer.get("runs", []))


def _print_stopped(runs: list[dict[str, Any]]) -> None:
    output.out.print("not running: the next client or command starts it")
    if runs:
        _print_runs(f"unfinished runs: {len(runs)}", runs)
        output.out.print("`repertoire list` or any client starts the daemon, which resumes them.")


def _print_runs(heading: str, runs: list[dict[str, Any]]) -> None:
    output.out.print(heading)
    for run in runs:
        waits = f", {run['message']}" if run.get("message") else ""
        output.out.print(f"  {run['run_id']} {run['status']}, begun {output.when(run['created_at'])}{waits}")
