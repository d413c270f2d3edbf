"""Commands for tools: turns the names of MCP tools in the product's sentences into commands; used by output.py for all it prints of them.

The service writes its hints for a model: "get_run(run_id, wait_s) fetches its result". A person at a terminal has commands instead. This
is the only place that knows both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_COMMANDS: Final[dict[str, str]] = {
    "search_workflows": "search QUERY",
    "list_workflows": "list",
    "get_workflow": "show NAME",
    "create_workflow": "create NAME FILE",
    "guide": "guide",
    "delete_workflow": "delete NAME",
    "run_workflow": "run NAME",
    "run_code": "exec FILE",
    "get_run": "show RUN",
    "list_runs": "runs",
    "cancel_run": "cancel RUN",
    "answer_run": "answer RUN ANSWER",
    "publish_workflow": "publish NAME VERSION",
    "search_tools": "tools search QUERY",
}
"""The command for each fixed tool. `guide` has none but for the page `packages`: its pages are in docs/."""

_PHRASES: Final = {"Use the run_id that a call returned": "`repertoire runs` lists runs"}
"""Sentences about a tool's parameters."""

_TOOL: Final = re.compile(
    r"`?\b("
    + "|".join(name for name in _COMMANDS if name != "guide")
    + r")\b(?:\(((?:[^()'\"]|'[^']*'|\"[^\"]*\")*)\))?`?"
)
_GUIDE: Final = re.compile(r"`?\bguide\(([^()]*)\)`?")
_QUOTED: Final = re.compile(r"'([^']*)'|\"([^\"]*)\"")


def in_commands(text: str) -> str:
    """The text with a command in the place of each tool. `get_run('workflow:x:1')` keeps its id."""
    for said, here in _PHRASES.items():
        text = text.replace(said, here)
    return _GUIDE.sub(_page, _TOOL.sub(_command, text))


def _page(found: re.Match[str]) -> str:
    return "`repertoire packages`" if found[1].strip("'\"") == "packages" else "the pages in docs/"


def _command(found: re.Match[str]) -> str:
    name, given = found[1], found[2]
    values = [one or other for one, other in _QUOTED.findall(given or "")]
    verb, *places = _COMMANDS[name].split()
    filled = [
        values[i] if i < len(values) and re.fullmatch(r"[\w:.-]+", values[i]) else place
        for i, place in enumerate(places)
    ]
    shown = filled if given is not None else places
    options = _options(name, given or "")
    return "`" + " ".join(["repertoire", verb, *shown, *options]) + "`"


def _options(name: str, given: str) -> list[str]:
    """Arguments that are options of the command."""
    flags: dict[str, Callable[[str], bool]] = {
        "--force": lambda text: bool(re.search(r"\bforce\s*=\s*[Tt]rue", text)),
        "--replace": lambda text: bool(re.search(r"\breplace\s*=\s*[Tt]rue", text)),
    }
    return [flag for flag, is_meant in flags.items() if is_meant(given)]
