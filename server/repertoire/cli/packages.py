"""Command packages: the packages that created code may import here, and those that are on the list and not installed."""

from __future__ import annotations

from typing import Any

from . import output
from .program import Home, Json, Section, call_verb, command


@command(Section.WORKFLOWS, "repertoire packages", "repertoire packages --json")
def packages(home: Home = None, as_json: Json = False) -> None:
    """List what created code may import, beside the standard library.

    Your own files may import everything that is installed.
    """
    answer = call_verb(home, None, "packages")
    if as_json:
        output.print_json(answer)
        return
    columns: output.Columns = {"name": "IMPORT", "distribution": "PACKAGE", "version": "VERSION", "from": "FROM"}
    output.table(columns, answer["packages"], "None of the listed packages is installed.")
    _say("listed and not installed", [row["distribution"] for row in answer["not_installed"]])
    _say("taken from the list by the setting `packages`", answer["removed"])
    for group in answer["standard_library_without"]:
        _say(f"not of the standard library ({group['reason']})", group["modules"])


def _say(what: str, names: list[Any]) -> None:
    if names:
        output.err.print(f"{what}: {', '.join(names)}", markup=False)
