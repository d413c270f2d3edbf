"""Guide: `page(topic)` gives a section of docs/guide.md, with the tables of other pages that it names; used by call_tool.py and resources.py.

1. The pages are files: in the installed package under `docs/`, in a checkout beside `server/`.
2. `<!-- insert PAGE NAME -->` stands for the text between `<!-- guide NAME -->` and `<!-- end -->` in docs/PAGE.
3. Two topics end with facts of this server: `packages` with what created code may import, `errors` with the table of codes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from ...errors import BadArguments
from ...fault_codes import FAULT_CODES
from ...registry.importable import Importable

TOPICS: Final = ("writing", "surviving", "composing", "asking", "tools", "packages", "examples", "errors")
PAGES: Final = ("guide.md", "workflows.md", "publishing.md")
"""The files that are read. pyproject.toml puts them into the wheel."""

_INSERT: Final = re.compile(r"^<!-- insert (\S+) (\S+) -->$", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def page(topic: str, packages: Sequence[str] = ()) -> str:
    """The text of a topic, as a model reads it: without links. It reads files: call it in a thread. `packages`: the setting."""
    if topic not in TOPICS:
        raise BadArguments(f"There is no page {topic[:60]!r}.", f"The topics are {', '.join(TOPICS)}.")
    text = _section(topic)
    if topic == "packages":
        text += "\n\n" + _importable(packages)
    if topic == "errors":
        rows = [
            f"| `{code}` | {row.when} | {row.action} |"
            for code, row in FAULT_CODES.items()
            if row.actor in ("caller", "author")
        ]
        text += "\n\n" + "\n".join(["| code | when | what to do |", "|---|---|---|", *rows])
    return text


def _importable(packages: Sequence[str]) -> str:
    """The list of this server: what is there with its version, what is not, and which modules of Python are left out."""
    facts = Importable(packages).facts()
    here = ", ".join(f"{row['name']} {row['version']}" for row in facts["packages"]) or "no other package"
    parts = [f"Importable here, beside the standard library: {here}."]
    if missing := [row["name"] for row in facts["not_installed"]]:
        parts.append(f"Listed too, and not installed: {', '.join(missing)}.")
    if facts["removed"]:
        parts.append(f"This server excludes {', '.join(facts['removed'])}.")
    rows = [
        f"| {', '.join(group['modules'])} | {group['reason']} | {group['instead']} |"
        for group in facts["standard_library_without"]
    ]
    head = ["| not of the standard library | because | instead |", "|---|---|---|"]
    return "\n\n".join([*parts, "\n".join([*head, *rows])])


@cache
def _section(topic: str) -> str:
    text = _read("guide.md").split(f"\n## {topic.capitalize()}\n", 1)[1].split("\n## ", 1)[0]
    return _LINK.sub(r"\1", _INSERT.sub(lambda found: _part(found[1], found[2]), text)).strip()


def _part(file: str, name: str) -> str:
    return _read(file).split(f"<!-- guide {name} -->\n", 1)[1].split("\n<!-- end -->", 1)[0]


@cache
def _read(file: str) -> str:
    return (_folder() / file).read_text("utf-8")


def _folder() -> Traversable:
    packaged = resources.files("repertoire") / "docs"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[4] / "docs"
