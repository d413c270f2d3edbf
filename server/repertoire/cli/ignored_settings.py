"""Ignored settings: says which settings of a command the running daemon does not have; used where a command reaches a daemon.

A daemon reads its settings once, from the process that starts it. Folders of workflows are not among them: each command brings its own.
"""

from __future__ import annotations

from typing import Any, Final

from ..settings import Settings
from . import output
from .control_client import ControlClient, ControlError

_OWN: Final = ("home", "roots")


async def warn_of_ignored(client: ControlClient, settings: Settings) -> None:
    """One line on stderr for each. The daemon is asked only where the command has settings at all."""
    if not set(settings.sources) - set(_OWN):
        return
    try:
        rows = await client.call("config")
    except ControlError:  # a daemon of an older version
        return
    for sentence in ignored(settings, rows, client.daemon.get("pid")):
        output.err.print(f"warning: {sentence}", style="yellow")


def ignored(settings: Settings, in_force: list[dict[str, Any]], pid: int | None) -> list[str]:
    """A sentence for each setting of the command that has another value in the daemon."""
    theirs = {row["setting"]: row["value"] for row in in_force}
    return [
        f"{row['setting']} = {row['value']} from {row['source']} is ignored: the daemon (pid {pid}) runs with {theirs[row['setting']]}. "
        "`repertoire stop` ends it; the next start reads the setting."
        for row in settings.rows()
        if row["setting"] in settings.sources and row["setting"] not in _OWN
        if row["setting"] in theirs and theirs[row["setting"]] != row["value"]
    ]
