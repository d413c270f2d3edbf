"""Docstring: reads the description of each parameter, in Google, NumPy and reST style. Used by `arguments`.

It is read when a workflow is inspected, not when it runs.
"""

from __future__ import annotations


def parameter_descriptions(text: str | None) -> dict[str, str]:
    """Parameter name → its description in one line; empty if the docstring cannot be parsed."""
    if not text:
        return {}
    from docstring_parser import parse

    try:
        parameters = parse(text).params
    except Exception:  # ParseError, or an IndexError if the text looks like several styles at once
        return {}
    return {
        parameter.arg_name.lstrip("*"): " ".join(parameter.description.split())
        for parameter in parameters
        if parameter.description
    }
