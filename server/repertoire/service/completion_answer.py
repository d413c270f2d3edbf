"""Completion answer: `read_answer` reads a model's reply, or an agent's answer in its place, as text and tool calls; used by `ClientModel`.

Models write JSON in fences, with words around it, or in the form of another product. All of that is read. For a reply that cannot be
meant by any form, BadArguments says what is wrong, in words for the model: it is asked again. Whether values fit a tool's parameters
or the schema of the output is checked by the agent, as for any model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from ..errors import BadArguments
from .completion_request import CompletionRequest, OutputForm

_FENCE: Final = re.compile(r"```[A-Za-z]*[ \t]*\n(.*?)```", re.DOTALL)
_MANY_STARTS: Final = 200
"""So many braces of a text are tried as the beginning of JSON."""
_SHOWN_CHARS: Final = 200
_ENVELOPE: Final = frozenset({"content", "tool_calls", "role", "model", "stop_reason"})
_NAMES: Final = ("name", "tool_name", "tool")
_ARGUMENTS: Final = ("arguments", "args", "input", "parameters")
_NOTHING: Final = object()
"""No JSON value."""


class ToolCall(msgspec.Struct, frozen=True):
    name: str
    arguments: dict[str, Any]


class CompletionAnswer(msgspec.Struct, frozen=True):
    """A reply: text, tool calls, or both. `model` and `stop` are what the client says of them."""

    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    model: str | None = None
    stop: str | None = None


def read_answer(request: CompletionRequest, answer: Any) -> CompletionAnswer:
    """The answer to this request: text, {content, tool_calls}, a list of content blocks, or the value of a structured output.

    Raises BadArguments when it is none of them.
    """
    if isinstance(answer, list) and _are_blocks(answer):
        answer = _from_blocks(answer)
    if _is_envelope(request, answer):
        return _read_envelope(request, answer)
    if isinstance(answer, str):
        return _read_text(request, answer)
    return _read_value(request, answer)


def _is_envelope(request: CompletionRequest, value: Any) -> bool:
    """Whether it is {content, tool_calls}. A structured output may have a field `content` too."""
    if not isinstance(value, dict) or not value.keys() & {"content", "tool_calls"} or not value.keys() <= _ENVELOPE:
        return False
    fields = request.output.schema.get("properties", {}) if request.output is not None else {}
    return "tool_calls" in value or "content" not in fields or isinstance(value["content"], list)


def _read_envelope(request: CompletionRequest, answer: Mapping[str, Any]) -> CompletionAnswer:
    said = {"model": _text_or_none(answer.get("model")), "stop": _text_or_none(answer.get("stop_reason"))}
    content, calls = answer.get("content"), answer.get("tool_calls") or []
    if not isinstance(calls, list):
        raise _unusable(f"`tool_calls` has to be a list, and is {_brief(str(calls))}", request)
    if isinstance(content, list) and _are_blocks(content):
        blocks = _from_blocks(content)
        content, calls = blocks["content"], blocks["tool_calls"] + calls
    if calls:
        text = content if isinstance(content, str) else ""
        return CompletionAnswer(text, _read_calls(request, calls), **said)
    return msgspec.structs.replace(
        _read_text(request, content) if isinstance(content, str) else _read_value(request, content), **said
    )


def _read_text(request: CompletionRequest, text: str) -> CompletionAnswer:
    if not text.strip():
        raise _unusable("it is empty", request)
    if request.is_plain:
        return CompletionAnswer(text)
    found = list(_values_in(text))
    whole = found[0][0] if len(found) == 1 else None
    if isinstance(whole, dict) and whole.keys() >= {"content", "tool_calls"} and _is_envelope(request, whole):
        return _read_envelope(request, whole)
    for value, before in found:
        if (calls := _calls_meant(request, value)) is not None:
            return CompletionAnswer(before.strip(), _read_calls(request, calls))
    output = request.output
    if output is None or output.tools:
        return _plain(request, text)
    if (value := _output_among(output, found)) is not _NOTHING:
        return _structured(output, value)
    if output.key is not None and _takes_text(output.schema.get("properties", {}).get(output.key, {}), text.strip()):
        return _structured(output, text.strip())
    return _plain(request, text)


def _plain(request: CompletionRequest, text: str) -> CompletionAnswer:
    """The text as the last reply, where plain text may be one."""
    if text.lstrip().startswith("{") and '"tool_calls"' in text:
        raise _unusable(f"it looks like a tool call and is not JSON: {_json_error(text)}", request)
    if request.output is None or request.output.or_text:
        return CompletionAnswer(text)
    wanted = "a call of a tool" if request.output.tools else "JSON"
    raise _unusable(f"it has to be {wanted}, and is {_brief(text)}", request)


def _read_value(request: CompletionRequest, value: Any) -> CompletionAnswer:
    """An answer that is JSON already."""
    if (calls := _calls_meant(request, value)) is not None:
        return CompletionAnswer("", _read_calls(request, calls))
    if value is not None and request.output is not None and not request.output.tools:
        return _structured(request.output, value)
    if isinstance(value, int | float) and request.output is None:
        return CompletionAnswer(json.dumps(value))
    raise _unusable(f"it has to be text, and is {_brief(json.dumps(value, ensure_ascii=False))}", request)


def _output_among(output: OutputForm, found: list[tuple[Any, str]]) -> Any:
    """The value that is meant as the output. Where plain text is allowed, JSON in the middle of a text is a part of that text."""
    values = [value for value, before in found if not (output.or_text and before.strip())]
    if output.key is None:
        objects = [value for value in values if isinstance(value, dict)]
        fields = output.schema.get("properties", {}).keys()
        values = [value for value in objects if value.keys() & fields] or objects or values
    else:
        values = [value for value in values if isinstance(value, dict | list)] or values
    return values[0] if values else _NOTHING


def _structured(output: OutputForm, value: Any) -> CompletionAnswer:
    if output.key is not None and not (isinstance(value, dict) and output.key in value):
        value = {output.key: value}
    if output.tool is None or not isinstance(value, dict):  # the agent says how it does not fit
        return CompletionAnswer(json.dumps(value, ensure_ascii=False))
    return CompletionAnswer("", (ToolCall(output.tool, value),))


def _takes_text(schema: Mapping[str, Any], text: str) -> bool:
    """Whether a bare text is a value of this schema: models leave out the quotes."""
    return text in schema["enum"] if "enum" in schema else schema.get("type") == "string"


def _calls_meant(request: CompletionRequest, value: Any) -> Any:
    """The calls that a JSON value means; None: it means none."""
    if not _known_tools(request):
        return None
    if isinstance(value, dict):
        if isinstance(value.get("tool_calls"), list) and value["tool_calls"]:
            return value["tool_calls"]
        for key in ("tool_call", "function_call"):
            if isinstance(value.get(key), dict):
                return [value[key]]
        return [value] if _is_call(request, value) else None
    if isinstance(value, list) and value and all(_is_call(request, one) for one in value):
        return value
    return None


def _is_call(request: CompletionRequest, value: Any) -> bool:
    """Whether it has the name of a tool and arguments, and nothing that would be an output's."""
    if not isinstance(value, dict):
        return False
    name, arguments = _named(value)
    return arguments is not None and name in _known_tools(request)


def _known_tools(request: CompletionRequest) -> list[str]:
    """Also the tool of the output: a model may have seen its name in an error."""
    known = [tool.name for tool in request.tools]
    if request.output is not None and request.output.tool is not None:
        known.append(request.output.tool)
    return known


def _read_calls(request: CompletionRequest, calls: Iterable[Any]) -> tuple[ToolCall, ...]:
    known = _known_tools(request)
    made = []
    for call in calls:
        name, arguments = _named(call) if isinstance(call, dict) else (None, None)
        if name not in known:
            tools = f"The tools are {', '.join(known)}." if known else "There are no tools."
            raise _unusable(f"it calls {_brief(str(name))}, and there is no such tool. {tools}", request)
        arguments = _object(arguments)
        if arguments is None:
            raise _unusable(f"the arguments of {name} are not a JSON object", request)
        made.append(ToolCall(str(name), arguments))
    return tuple(made)


def _named(call: Mapping[str, Any]) -> tuple[Any, Any]:
    """Name and arguments of a call, in the words of several products."""
    inner = call.get("function")
    if isinstance(inner, dict):
        call = inner
    name = next((call[key] for key in _NAMES if isinstance(call.get(key), str)), inner)
    return name, next((call[key] for key in _ARGUMENTS if key in call), None)


def _object(arguments: Any) -> dict[str, Any] | None:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            return None
    if arguments is None:
        return {}
    return arguments if isinstance(arguments, dict) else None


def _values_in(text: str) -> Iterable[tuple[Any, str]]:
    """The JSON values of a text, each with the text before it: the whole text, or fenced blocks, or objects and arrays among the words."""
    if (whole := _parsed(text)) is not _NOTHING:
        return [(whole, "")]
    fenced = [(_parsed(block[1]), text[: block.start()]) for block in _FENCE.finditer(text)]
    if found := [(value, before) for value, before in fenced if value is not _NOTHING]:
        return found
    return _values_among_words(text)


def _values_among_words(text: str) -> list[tuple[Any, str]]:
    decoder = json.JSONDecoder()
    found: list[tuple[Any, str]] = []
    at = 0
    for _ in range(_MANY_STARTS):
        start = min((place for mark in "{[" if (place := text.find(mark, at)) >= 0), default=-1)
        if start < 0:
            break
        try:
            value, at = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            at = start + 1
            continue
        found.append((value, text[:start]))
    return found


def _parsed(text: str) -> Any:
    try:
        return json.loads(text.strip())
    except (ValueError, RecursionError):
        return _NOTHING


def _json_error(text: str) -> str:
    try:
        json.loads(text.strip())
    except ValueError as error:
        return str(error)
    except RecursionError:
        return "it is nested too deeply"
    return "it has no calls"


def _are_blocks(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, dict) and isinstance(item.get("type"), str) for item in items)


def _from_blocks(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """Content blocks as MCP and providers have them. Blocks of other kinds say nothing here."""
    texts = [str(block.get("text", "")) for block in blocks if block["type"] == "text"]
    return {"content": "\n".join(texts), "tool_calls": [block for block in blocks if block["type"] == "tool_use"]}


def _text_or_none(value: Any) -> str | None:
    return value[:_SHOWN_CHARS] if isinstance(value, str) and value else None


def _brief(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}...")


def _unusable(why: str, request: CompletionRequest) -> BadArguments:
    return BadArguments(
        f"The reply does not fit the request: {why}.", "Reply again, in the form that the request asks for."
    )
