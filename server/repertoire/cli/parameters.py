"""Parameters: shows what a workflow takes and gives, in words of people; used by `show`, and by `run` when arguments do not fit."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ..signature.validation_messages import words
from .arguments import kinds


def takes(schema: Mapping[str, Any]) -> Iterator[str]:
    """A line for each parameter: its name, its type, whether it must be given, and its description."""
    properties = schema.get("properties", {})
    if not properties:
        yield "takes nothing" if schema.get("additionalProperties") is False else "takes any arguments"
        return
    rows = [(name, words(one, schema), _need(name, one, schema), one) for name, one in properties.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    yield "takes:"
    for *cells, one in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield f"  {line}  {' '.join(str(one.get('description', '')).split())}".rstrip()


def example(name: str, schema: Mapping[str, Any]) -> str:
    """A command that runs it."""
    required = schema.get("required", ())
    pairs = [f"{key}={_sample(schema.get('properties', {}).get(key, {}), schema)}" for key in required]
    return shlex.join(["repertoire", "run", name, *pairs])


def _need(name: str, one: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if name in schema.get("required", ()):
        return "required"
    return f"default {json.dumps(one['default'], ensure_ascii=False)}" if "default" in one else "optional"


def _sample(one: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if values := one.get("enum") or one.get("examples"):
        return values[0] if isinstance(values[0], str) else json.dumps(values[0])
    wanted = kinds(one, schema)
    for kind, text in (("string", "TEXT"), ("integer", "1"), ("number", "1.5"), ("boolean", "true"), ("array", "[]")):
        if kind in wanted:
            return text
    return "{}" if "object" in wanted else "VALUE"
