"""What a docstring says of each parameter: Google, NumPy and reST styles. Read when a workflow is inspected, not when it runs."""

from __future__ import annotations


def parameter_descriptions(text: str | None) -> dict[str, str]:
    """Parameter name → its description in one line; empty when the docstring cannot be read."""
    if not text:
        return {}
    from docstring_parser import parse

    try:
        parameters = parse(text).params
    except Exception:  # ParseError, but an IndexError too where a text looks like several styles at once
        return {}
    return {
        parameter.arg_name.lstrip("*"): " ".join(parameter.description.split())
        for parameter in parameters
        if parameter.description
    }
