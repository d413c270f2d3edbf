"""CompletionRequest: what an agent asks of a model that takes and gives only text; used by `ClientModel` and by surfaces/mcp/sampling.py.

`read_request` makes it from the request of the door `model` (`providers.exchange`). Such a model knows neither tools
nor structured output. So `instructions` show the tools and the schema, and say which JSON to reply. completion_answer.py reads the reply.

The same request always gives the same text: a run that is begun again must ask the same question.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from ..errors import NoModel

_MAX_TOKENS: Final = 8_192
"""The longest reply where the agent sets no `max_tokens`: MCP wants a number."""
_CALL_CHARS: Final = 200
"""Arguments of a call beside its result."""
_CALLS_SCHEMA: Final = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}},
        "required": ["name"],
    },
}
_LAST_REPLY: Final = "your last reply"
_HOW_TO_CALL: Final = (
    'You can call these tools. To call one or several, reply with nothing but JSON of this form: {"tool_calls": [{"name": NAME, '
    '"arguments": {...}}]}. The next message has their results.'
)


class Message(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant"]
    text: str


class ToolForm(msgspec.Struct, frozen=True):
    name: str
    description: str
    parameters: dict[str, Any]


class OutputForm(msgspec.Struct, frozen=True):
    """The form of the last reply: JSON that fits `schema`, or a call of one of `tools`."""

    schema: dict[str, Any] = {}
    tool: str | None = None
    """The reply becomes a call of this tool. None: it stays JSON text."""
    key: str | None = None
    """`schema` is an object with this one field around the value, because the value is not an object."""
    tools: tuple[str, ...] = ()
    or_text: bool = False
    """The last reply may be plain text too."""


class CompletionRequest(msgspec.Struct, frozen=True):
    system: str
    messages: tuple[Message, ...]
    tools: tuple[ToolForm, ...] = ()
    output: OutputForm | None = None
    max_tokens: int = _MAX_TOKENS
    temperature: float | None = None
    stop: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Any text is a reply to it."""
        return not self.tools and self.output is None

    @property
    def instructions(self) -> str:
        """The system prompt, with the tools and the form of the reply."""
        parts = [self.system] if self.system else []
        if self.tools:
            shown = "\n".join(json.dumps(msgspec.to_builtins(tool), ensure_ascii=False) for tool in self.tools)
            parts.append(f"{_HOW_TO_CALL}\n{shown}")
        if last := self._last_reply():
            parts.append(last)
        return "\n\n".join(parts)

    def _last_reply(self) -> str:
        output, when = self.output, "When you need no tool, reply" if self.tools else "Reply"
        if output is None:
            return f"{when} in plain text." if self.tools else ""
        or_text = ", or in plain text" if output.or_text else ""
        if output.tools:
            return f"Your last reply calls one of {', '.join(output.tools)}{or_text}."
        schema = json.dumps(output.schema, ensure_ascii=False)
        return f"{when} with nothing but JSON that fits this schema{or_text}:\n{schema}"

    def as_text(self) -> str:
        """The whole request for a reader without the protocol's messages: the question of a run that is parked."""
        parts = ["An agent of this run asks its caller's own model. Write the model's next reply."]
        if self.instructions:
            parts.append(f"# System\n{self.instructions}")
        parts += [f"# {message.role.capitalize()}\n{message.text}" for message in self.messages]
        return "\n\n".join(parts)

    def answer_schema(self) -> dict[str, Any]:
        """Its JSON Schema for callers. It says less than completion_answer.py takes."""
        if self.is_plain:
            return {"type": "string"}
        properties = {"content": {"type": "string"}, **({"tool_calls": _CALLS_SCHEMA} if self.tools else {})}
        forms: list[dict[str, Any]] = [{"type": "string"}, {"type": "object", "properties": properties}]
        return {"anyOf": forms}


def read_request(request: Mapping[str, Any]) -> CompletionRequest:
    """The request of the door `model`. Raises NoModel for one that has more than text."""
    messages: Sequence[Mapping[str, Any]] = request["messages"]
    parameters: Mapping[str, Any] = request.get("parameters") or {}
    settings: Mapping[str, Any] = request.get("settings") or {}
    output = _output_of(parameters)
    tools = [tool for tool in parameters.get("function_tools") or () if _is_shown(parameters, tool["name"])]
    if output is not None and output.tools:
        tools += parameters["output_tools"]
    return CompletionRequest(
        system="\n\n".join(_system_texts(messages)),
        messages=tuple(_merged(_conversation(messages, None if output is None else output.tool))),
        tools=tuple(
            ToolForm(one["name"], one.get("description") or "", one.get("parameters_json_schema") or {})
            for one in tools
        ),
        output=output,
        max_tokens=int(settings.get("max_tokens") or _MAX_TOKENS),
        temperature=settings.get("temperature"),
        stop=tuple(settings.get("stop_sequences") or ()),
    )


def _is_shown(parameters: Mapping[str, Any], tool: str) -> bool:
    return (parameters.get("tool_visibility") or {}).get(tool) not in ("withheld", "via_history")


def _output_of(parameters: Mapping[str, Any]) -> OutputForm | None:
    mode = parameters.get("output_mode")
    tools: Sequence[Mapping[str, Any]] = parameters.get("output_tools") or ()
    if mode in ("native", "prompted"):
        tools = ()
    or_text = mode != "auto" and bool(parameters.get("allow_text_output", True))
    if len(tools) == 1:
        tool = tools[0]
        schema = tool.get("parameters_json_schema") or {}
        return OutputForm(schema, tool["name"], tool.get("outer_typed_dict_key"), or_text=or_text)
    if tools:
        return OutputForm(tools=tuple(tool["name"] for tool in tools), or_text=or_text)
    described = parameters.get("output_object")
    return None if described is None else OutputForm(described.get("json_schema") or {})


def _system_texts(messages: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """System prompts in their order, then the instructions of the last request that has some: each request repeats them."""
    for message in messages:
        for part in message["parts"]:
            if part["part_kind"] == "system-prompt" and part.get("content"):
                yield str(part["content"])
    told = [message["instructions"] for message in messages if message.get("instructions")]
    if told:
        yield str(told[-1])


def _conversation(messages: Sequence[Mapping[str, Any]], output_tool: str | None) -> Iterable[Message]:
    """The model is not told of `output_tool`: it replies with that tool's arguments alone."""
    calls: dict[str, str] = {}
    for message in messages:
        if message["kind"] == "response":
            yield Message("assistant", _reply_text(message["parts"], calls, output_tool))
        else:
            for part in message["parts"]:
                yield Message("user", _user_text(part, calls))


def _merged(messages: Iterable[Message]) -> Iterable[Message]:
    """Without empty messages, and one message where several of one role follow each other: some models want turns."""
    last: Message | None = None
    for message in messages:
        if not message.text:
            continue
        if last is not None and last.role == message.role:
            last = Message(last.role, f"{last.text}\n\n{message.text}")
            continue
        if last is not None:
            yield last
        last = message
    yield last or Message("user", "Begin.")  # a request must have a message


def _reply_text(parts: Sequence[Mapping[str, Any]], calls: dict[str, str], output_tool: str | None) -> str:
    """An earlier reply in the form that replies have. Adds its calls to `calls`, by their ids."""
    texts, made = [], []
    for part in parts:
        if part["part_kind"] == "text":
            texts.append(str(part.get("content", "")))
        elif part["part_kind"] == "tool-call":
            arguments = _arguments(part.get("args"))
            shown = json.dumps(arguments, ensure_ascii=False)
            if part["tool_name"] == output_tool:
                texts.append(shown)
                calls[str(part.get("tool_call_id"))] = _LAST_REPLY
                continue
            made.append({"name": part["tool_name"], "arguments": arguments})
            brief = shown if len(shown) <= _CALL_CHARS else f"{shown[:_CALL_CHARS]}..."
            calls[str(part.get("tool_call_id"))] = f"{part['tool_name']}({brief})"
    if made:
        texts.append(json.dumps({"tool_calls": made}, ensure_ascii=False))
    return "\n".join(text for text in texts if text)


def _user_text(part: Mapping[str, Any], calls: Mapping[str, str]) -> str:
    kind = part["part_kind"]
    if kind == "user-prompt":
        return _content_text(part["content"])
    if kind in ("tool-return", "retry-prompt") and part.get("tool_name"):
        what = "Result" if part.get("outcome", "retried") == "success" else "Error"
        called = calls.get(str(part.get("tool_call_id")), part["tool_name"])
        if called == _LAST_REPLY and what == "Result":
            return ""  # it was accepted
        return f"{what} of {called}:\n{_value_text(part.get('content'))}"
    if kind in ("retry-prompt", "retry-feedback"):
        return f"Your last reply could not be used:\n{_value_text(part.get('content'))}"
    return ""  # a system prompt stands in `system`; the other parts are for the agent itself


def _content_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for item in content:
        if isinstance(item, str):
            texts.append(item)
        elif item.get("kind") == "text-content":
            texts.append(str(item["content"]))
        elif item.get("kind") != "cache-point":
            raise NoModel(
                f"The caller's own model takes only text, and this request has a part of the kind {item.get('kind')!r}.",
                "Give the agent a model of a provider, such as model='openai:gpt-5-mini'.",
            )
    return "\n".join(texts)


def _value_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _arguments(given: Any) -> Any:
    """Arguments of a call: pydantic-ai holds an object, or its JSON text."""
    if not isinstance(given, str):
        return given or {}
    try:
        return json.loads(given)
    except ValueError:
        return given
