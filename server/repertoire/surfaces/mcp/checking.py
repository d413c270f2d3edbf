"""The fixed tools' arguments, held against their own schemas, which are small: a JSON Schema validator would cost more than it finds."""

from __future__ import annotations

import json
from typing import Any

from ...errors import BadArguments
from .definitions import FIXED

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "object": (dict,), "array": (list,),
    "null": (type(None),),
}  # fmt: skip


def checked(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What the fixed tool was given, without what is null. Raises BadArguments naming each problem."""
    schema = FIXED[name].input_schema
    properties: dict[str, Any] = schema["properties"]
    arguments.pop("_", None)  # VS Code adds it to tools without arguments
    problems = [f"`{key}`: missing" for key in schema["required"] if key not in arguments]
    problems += [
        f"`{key}`: unknown argument; this tool takes {', '.join(properties)}"
        for key in arguments
        if key not in properties
    ]
    for key, value in arguments.items():
        if key in properties and (problem := _problem(value, properties[key])):
            problems.append(f"`{key}`: {problem}, got {json.dumps(value)[:100]}")
    if problems:
        raise BadArguments("; ".join(problems) + ".")
    return {key: value for key, value in arguments.items() if value is not None or key in schema["required"]}


def _problem(value: Any, schema: dict[str, Any]) -> str | None:
    branches: list[dict[str, Any]] = schema.get("anyOf", [schema])
    wanted = [branch["type"] for branch in branches]
    allowed = tuple(kind for name in wanted for kind in _TYPES[name])
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        return f"wants {' or '.join(wanted)}"
    items = {kind for branch in branches for kind in _TYPES.get(branch.get("items", {}).get("type", ""), ())}
    if isinstance(value, list) and items and not all(isinstance(item, tuple(items)) for item in value):
        return f"wants {' or '.join(sorted(branch['items']['type'] for branch in branches if 'items' in branch))}s in its list"
    words = [word for branch in branches for word in branch.get("enum", ())]
    if words and isinstance(value, str) and value not in words:
        return f"wants one of {', '.join(words)}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(value, int | float) and ((low is not None and value < low) or (high is not None and value > high)):
        return f"wants a number from {low} to {'any' if high is None else high}"
    return None
