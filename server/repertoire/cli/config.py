"""Command config: every setting in force and where it comes from; those of the daemon, where one runs."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any

import anyio
import typer

from .. import home as homes
from ..daemon.greeting import Hello
from ..settings import Settings
from ..version import VERSION
from . import output
from .control_client import NoDaemon, control_client
from .ignored_settings import ignored
from .program import Config, Folders, Home, Json, Section, command, settings_of


@command(Section.SERVER, "repertoire config --changed")
def config(
    changed: Annotated[bool, typer.Option("--changed", help="Only settings that are not the default.")] = False,
    home: Home = None,
    workflows: Folders = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show every setting in force and where it comes from; where a daemon runs, its settings."""
    own = settings_of(home, workflows, config)
    answer = anyio.run(_settings_in_force, own)
    if changed:
        answer["settings"] = [row for row in answer["settings"] if row["source"] != "default"]
    if as_json:
        output.print_json(answer)
        return
    whose = (
        "no daemon runs: a command reads these"
        if answer["pid"] is None
        else f"the daemon (pid {answer['pid']}) has these"
    )
    output.err.print(whose)
    for remark in own.remarks:
        output.err.print(f"warning: {remark}", style="yellow")
    rows = [{**row, "value": json.dumps(row["value"], ensure_ascii=False)} for row in answer["settings"]]
    output.table({"setting": "SETTING", "value": "VALUE", "source": "FROM"}, rows, "All settings have their defaults.")
    for sentence in answer["ignored"]:
        output.err.print(f"warning: {sentence}", style="yellow")


async def _settings_in_force(own: Settings) -> dict[str, Any]:
    hello = Hello(mode="control", version=VERSION, cwd=os.getcwd())
    try:
        async with control_client(homes.make_home(own.home), hello) as client:
            rows, pid = await client.call("config"), client.daemon.get("pid")
    except NoDaemon:
        return {"pid": None, "settings": own.rows(), "ignored": []}
    return {"pid": pid, "settings": rows, "ignored": ignored(own, rows, pid)}
