"""Docstring: reads the description of each parameter, in Google, NumPy and reST style. Used by `arguments` and by the review.

It is read when a workflow is inspected, not when it runs. A section that the parser does not know, such as `Args` without a colon or in
Markdown, is read by the lines below it.
"""

from __future__ import annotations

import re
from typing import Final

_HEADING: Final = re.compile(
    r"^[ \t]*[#*_]*[ \t]*(?:args|arguments|params|parameters|inputs?)[ \t]*:?[ \t]*[*_]*:?[ \t]*$", re.I | re.M
)
_ITEM: Final = re.compile(
    r"[ \t]*(?:[-*+][ \t]+)?[`*]{0,3}\*{0,2}(\w+)[`*]{0,3}[ \t]*(?:\([^)]*\))?[ \t]*(?::|--?|–|—)[ \t]*[`*]{0,2}[ \t]*(\S.*)"
)


def parameter_descriptions(text: str | None) -> dict[str, str]:
    """Parameter name → its description in one line; empty if the docstring has none that can be read."""
    if not text:
        return {}
    from docstring_parser import parse

    try:
        parameters = parse(text).params
    except Exception:  # ParseError, or an IndexError if the text looks like several styles at once
        parameters = []
    found = {
        parameter.arg_name.lstrip("*"): " ".join(parameter.description.split())
        for parameter in parameters
        if parameter.description
    }
    return found or _by_lines(text)


def _by_lines(text: str) -> dict[str, str]:
    """The items under a heading of parameters, up to a blank line or a line that begins further left than the first item."""
    heading = _HEADING.search(text)
    if heading is None:
        return {}
    found: dict[str, str] = {}
    name, first = "", -1
    for line in text[heading.end() :].lstrip("\n").splitlines():
        indent = len(line) - len(line.lstrip())
        if not line.strip() or indent < first:
            break
        if (first < 0 or indent == first) and (item := _ITEM.fullmatch(line)):
            name, first = item[1], indent
            found[name] = " ".join(item[2].split())
        elif name and indent > first:
            found[name] += " " + " ".join(line.split())
        else:
            break
    return found
