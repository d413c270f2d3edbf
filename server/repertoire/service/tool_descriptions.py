"""Tool descriptions: shows a tool to a model: its call as one line of Python, its schemas, and how well it fits a query; used by `Tools`."""

from __future__ import annotations

import json
import keyword
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..encoder.tokens import words
from ..text import readable
from ..upstream.tool import Tool

_TYPES: Final = {
    "string": "str", "integer": "int", "number": "float", "boolean": "bool", "array": "list", "object": "dict", "null": "None",
}  # fmt: skip
_MOST_CHOICES: Final = 6
_MOST_PARAMETERS: Final = 20
_LINE_CHARS: Final = 300
_TYPE_CHARS: Final = 120


def item(tool: Tool) -> dict[str, Any]:
    """A tool in a list."""
    return {
        "name": tool.path,
        "description": _brief(tool.description),
        "signature": signature(tool),
        "server": tool.source,
    }


def whole(tool: Tool) -> dict[str, Any]:
    """Everything about one tool."""
    return {
        **item(tool),
        "description": readable(tool.description),
        "input_schema": tool.input_schema,
        "output_schema": tool.output_schema,
        "only_reads": tool.only_reads,
        "destructive": tool.is_destructive,
    }


def signature(tool: Tool) -> str:
    """`tools.github.create_issue(title: str, body: str = None) -> dict`"""
    properties = tool.input_schema.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    required = tool.input_schema.get("required")
    required = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    names = [*(name for name in properties if name in required), *(name for name in properties if name not in required)]
    simple = [name for name in names if name.isidentifier() and not keyword.iskeyword(name)]
    shown = [_parameter(name, properties[name], name in required) for name in simple[:_MOST_PARAMETERS]]
    if len(simple) > _MOST_PARAMETERS:
        shown.append("...")
    if len(simple) < len(names) or (not names and tool.input_schema.get("additionalProperties") not in (None, False)):
        shown.append("**arguments")
    gives = f" -> {_type(tool.output_schema)}" if tool.output_schema else ""
    return f"tools.{tool.path}({', '.join(shown)}){gives}"


class Ranked(NamedTuple):
    """`share`: of the query's words those that it has, where rare words count more. `words` are those words."""

    share: float
    tool: Tool
    words: tuple[str, ...]


def rank(query: str, tools: Sequence[Tool], limit: int) -> list[Ranked]:
    """Tools that have words of the query in their names and descriptions, best first. Rare words count more, and words of names twice."""
    asked = words(query)
    if not asked:
        return [Ranked(0.0, tool, ()) for tool in tools[:limit]]
    texts = [(words(_name_text(tool)), words(_text(tool))) for tool in tools]
    weight = {
        word: math.log(1 + len(tools) / (1 + sum(word in name or word in text for name, text in texts)))
        for word in asked
    }
    scored = []
    for tool, (name, text) in zip(tools, texts, strict=True):
        held = [word for word in asked if word in name or word in text]
        share = sum(weight[word] for word in held) / sum(weight.values())
        score = sum(weight[word] * (2 * (word in name) + (word in text)) for word in held)
        scored.append((score, Ranked(share, tool, tuple(asked[word] for word in held))))
    fitting = sorted((one for one in scored if one[0] > 0), key=lambda one: (-one[0], one[1].tool.path))
    return [found for _, found in fitting[:limit]]


def _name_text(tool: Tool) -> str:
    return f"{tool.source} {tool.name}".replace("_", " ")


def _text(tool: Tool) -> str:
    properties = tool.input_schema.get("properties")
    names = " ".join(properties) if isinstance(properties, dict) else ""
    return f"{tool.description} {tool.original} {names}".replace("_", " ").replace("-", " ")


def _brief(text: str) -> str:
    line = " ".join(readable(text).strip().split("\n\n")[0].split())
    return line if len(line) <= _LINE_CHARS else line[: _LINE_CHARS - 3] + "..."


def _parameter(name: str, schema: Any, is_required: bool) -> str:
    text = f"{name}: {_type(schema)}"
    if is_required:
        return text
    default = schema.get("default") if isinstance(schema, dict) else None
    shown = repr(default)
    return f"{text} = {shown if len(shown) <= 40 else '...'}"


def _type(schema: Any) -> str:
    text = readable(_whole_type(schema))
    return text if len(text) <= _TYPE_CHARS else "Any"


def _whole_type(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "Any"
    choices = schema.get("enum")
    if isinstance(choices, list) and 0 < len(choices) <= _MOST_CHOICES:
        return f"Literal[{', '.join(json.dumps(one, ensure_ascii=False) for one in choices)}]"
    for key in ("anyOf", "oneOf"):
        if isinstance(branches := schema.get(key), list):
            return " | ".join(dict.fromkeys(map(_type, branches[:_MOST_CHOICES]))) or "Any"
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_TYPES.get(str(one), "Any") for one in kind) or "Any"
    if kind == "array" and isinstance(schema.get("items"), Mapping) and (inner := _type(schema["items"])) != "Any":
        return f"list[{inner}]"
    return _TYPES.get(str(kind), "Any")
