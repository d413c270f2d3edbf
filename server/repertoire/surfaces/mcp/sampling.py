"""Sampling: a question to the caller's own model as MCP's sampling/createMessage, and the client's result as its answer; used by questions.py.

The request has only text (completion_request.py), so that any client that offers sampling can take it.
"""

from __future__ import annotations

from typing import Any

import mcp_types as types
import msgspec

from ...model.run import Question
from ...service.completion_request import CompletionRequest, Message

SampledMessage = types.CreateMessageResult | types.CreateMessageResultWithTools


def message_request(question: Question, complaint: str | None = None) -> types.CreateMessageRequest:
    """`complaint` says why the last reply was refused: the model is told."""
    wanted = msgspec.convert(question.request, CompletionRequest)
    params = types.CreateMessageRequestParams(
        messages=[_message(one) for one in _with_complaint(wanted.messages, complaint)],
        system_prompt=wanted.instructions or None,
        max_tokens=wanted.max_tokens,
        temperature=wanted.temperature,
        stop_sequences=list(wanted.stop) or None,
    )
    return types.CreateMessageRequest(params=params)


def answer_of(result: SampledMessage) -> dict[str, Any]:
    """The client's result as an answer to the question. Its blocks are read where all answers are."""
    blocks = result.content if isinstance(result.content, list) else [result.content]
    content = [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in blocks]
    return {"content": content, "model": result.model, "stop_reason": result.stop_reason or ""}


def _with_complaint(messages: tuple[Message, ...], complaint: str | None) -> tuple[Message, ...]:
    if complaint is None:
        return messages
    *before, last = messages
    if last.role == "user":
        return (*before, Message("user", f"{last.text}\n\n{complaint}"))
    return (*messages, Message("user", complaint))


def _message(message: Message) -> types.SamplingMessage:
    return types.SamplingMessage(role=message.role, content=types.TextContent(type="text", text=message.text))
