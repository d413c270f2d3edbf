"""Responses: the answers of agents and teams, the pieces of a stream, and the tool calls in them. Used by `agent_run`, `team` and bodies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..classes.response import RunEvent, RunResponse, plain_value

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.usage import RunUsage


@dataclass
class Message:
    """One message of a conversation. `role` is `user`, `assistant`, `system` or `tool`."""

    role: str
    content: str

    def to_dict(self) -> dict[str, Any]:
        return {"role": self.role, "content": self.content}


@dataclass
class ToolExecution:
    """A call of a tool by an agent, with its result as the model got it."""

    tool_call_id: str | None = None
    tool_name: str | None = None
    tool_args: dict[str, Any] | None = None
    result: str | None = None
    tool_call_error: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


def piece(text: str, *, is_told: bool) -> RunResponse:
    """A piece of streamed text. `is_told`: the host has sent it to the watchers already."""
    made = RunResponse(content=text, event=RunEvent.run_response_content.value)
    made.is_told = is_told
    return made


def streamed_text(event: Any) -> str:
    """The text that an event of pydantic-ai's stream adds to the reply; "" for any other event."""
    from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def event(kind: RunEvent, content: Any = None, tools: list[Any] | None = None) -> RunResponse:
    return RunResponse(content=content, event=kind.value, tools=tools)


def tool_calls(messages: list[ModelMessage]) -> list[ToolExecution]:
    """The tool calls in these messages, in order."""
    from pydantic_ai.messages import RetryPromptPart, ToolCallPart, ToolReturnPart

    found: dict[str, ToolExecution] = {}
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                arguments = part.args_as_dict()
                found[part.tool_call_id] = ToolExecution(part.tool_call_id, part.tool_name, arguments)
            elif isinstance(part, ToolReturnPart | RetryPromptPart) and part.tool_call_id in found:
                failed = isinstance(part, RetryPromptPart) or part.outcome != "success"
                call = found[part.tool_call_id]
                call.result = part.model_response() if isinstance(part, RetryPromptPart) else text_of(part.content)
                call.tool_call_error = failed or call.result.startswith("Error: ")
    return list(found.values())


def spoken(messages: list[ModelMessage]) -> Iterator[Message]:
    """The texts in these messages."""
    from pydantic_ai.messages import TextPart, ToolReturnPart, UserPromptPart

    for message in messages:
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                yield Message("user", text_of(part.content))
            elif isinstance(part, TextPart):
                yield Message("assistant", part.content)
            elif isinstance(part, ToolReturnPart):
                yield Message("tool", text_of(part.content))


def text_of(content: Any) -> str:
    """A text itself; any other value as JSON."""
    return content if isinstance(content, str) else json.dumps(plain_value(content), ensure_ascii=False)


def metrics_of(usage: RunUsage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "requests": usage.requests,
        "tool_calls": usage.tool_calls,
    }
