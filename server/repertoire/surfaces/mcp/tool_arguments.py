"""Tool arguments: `read_arguments` reads a fixed tool's arguments and checks them against its small schema; used by call_tool.py.

They are read by the rules of workflows (signature/lenient_arguments.py): text is read as JSON where no text is allowed, null means left
out, `[]` means an empty object, and pydantic reads numbers and booleans. A full JSON Schema validator would cost more than it finds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from pydantic_core import SchemaValidator, ValidationError

from ...errors import BadArguments
from ...signature.unknown_arguments import explain_unknown

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "object": (dict,), "array": (list,),
    "null": (type(None),),
}  # fmt: skip
_SCALARS: Final = {
    "integer": SchemaValidator({"type": "int"}),
    "number": SchemaValidator({"type": "float", "allow_inf_nan": False}),
    "boolean": SchemaValidator({"type": "bool"}),
}
_FENCED: Final = re.compile(r"```\w*\n(.*)\n```", re.DOTALL)
_SHOWN_CHARS: Final = 100


def read_arguments(schema: Mapping[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, read as the fixed tool's schema means them, without nulls. Raises BadArguments naming each problem."""
    properties: dict[str, Any] = schema["properties"]
    arguments = {key: _read(value, properties.get(key, {})) for key, value in arguments.items()}
    problems = [f"`{key}`: missing" for key in schema["required"] if key not in arguments]
    unknown = [key for key in arguments if key not in properties]
    problems = explain_unknown(problems, unknown, list(properties), arguments, "this tool")
    given = {key: value for key, value in arguments.items() if value is not None or key in schema["required"]}
    for key, value in given.items():
        if key in properties and (problem := _problem(value, properties[key])):
            problems.append(f"`{key}`: {problem}, got {json.dumps(value)[:_SHOWN_CHARS]}")
    if problems:
        said = "; ".join(problems)
        raise BadArguments(said if said.endswith("?") else f"{said}.")
    return given


def without_host_arguments(
    arguments: dict[str, Any], schema: Mapping[str, Any], dropped: Collection[str]
) -> dict[str, Any]:
    """The arguments without those that a host has added. Only arguments that the tool would refuse as unknown are dropped."""
    if schema.get("additionalProperties") is not False:
        return arguments
    known = schema.get("properties", {})
    return {name: value for name, value in arguments.items() if name in known or name not in dropped}


def _branches(schema: dict[str, Any]) -> list[dict[str, Any]]:
    branches: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return branches


def _read(value: Any, schema: dict[str, Any]) -> Any:
    """The value as its schema means it, with its parts; unchanged where the schema does not say."""
    branches = _branches(schema)
    wanted = {branch.get("type", "string") for branch in branches}
    if isinstance(value, str) and "string" not in wanted:
        value = _decode(value)
    if value in ([], "") and "object" in wanted and "array" not in wanted:
        value = {}
    if isinstance(value, dict):
        return _read_object(value, next((branch for branch in branches if "properties" in branch), {}))
    if isinstance(value, list):
        items = next((branch["items"] for branch in branches if branch.get("items")), None)
        return value if items is None else [_read(item, items) for item in value]
    kind = next((kind for kind in _SCALARS if kind in wanted), None)
    if value is None or kind is None or (isinstance(value, str) and "string" in wanted):
        return value
    return _scalar(value, kind)


def _scalar(value: Any, kind: str) -> Any:
    if isinstance(value, bool) or (kind == "number" and isinstance(value, int)):
        return value
    try:
        return _SCALARS[kind].validate_python(value)
    except ValidationError:  # `_problem` says what is wrong
        return value


def _read_object(value: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    properties, required = schema.get("properties"), schema.get("required", ())
    if properties is None:
        return value
    read = {key: _read(item, properties.get(key, {})) for key, item in value.items()}
    return {
        key: item
        for key, item in read.items()
        if item is not None or key in required or key not in properties or _takes_null(properties[key])
    }


def _takes_null(schema: dict[str, Any]) -> bool:
    return any(branch.get("type") == "null" for branch in _branches(schema))


def _decode(text: str) -> Any:
    """The JSON value in a text, in a fence as well, and where it was written as JSON twice."""
    fenced = _FENCED.fullmatch(text.strip())
    inside = fenced[1] if fenced else text
    try:
        value = json.loads(inside)
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return text


def _problem(value: Any, schema: dict[str, Any]) -> str | None:
    branches = _branches(schema)
    wanted = [branch["type"] for branch in branches]
    allowed = tuple(kind for name in wanted for kind in _TYPES[name])
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed) or value != value:
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
