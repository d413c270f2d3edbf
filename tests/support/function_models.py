"""Function models: models of pydantic-ai that answer with a Python function, for agents in the tests' own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

Reply = str | list[ToolCallPart]


class Scripted(FunctionModel):
    """Answers with a function of the messages. Keeps what it was asked."""

    def __init__(self, reply: Callable[[list[ModelMessage]], Reply]) -> None:
        self.asked: list[str] = []
        self.told: list[str | None] = []
        self.tools: list[list[str]] = []
        self.turns: list[list[str]] = []

        def note(messages: list[ModelMessage], info: AgentInfo) -> Reply:
            self.asked.append(prompt_of(messages))
            self.told.append(info.instructions)
            self.tools.append([tool.name for tool in info.function_tools])
            said = (part for one in messages for part in one.parts if isinstance(part, UserPromptPart | TextPart))
            self.turns.append([str(part.content) for part in said])
            return reply(messages)

        def whole(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            said = note(messages, info)
            return ModelResponse(parts=[TextPart(said)] if isinstance(said, str) else said)

        async def streamed(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
            said = note(messages, info)
            if isinstance(said, str):
                for word in said.split(" "):
                    yield f"{word} "
            else:
                for at, call in enumerate(said):
                    yield {at: DeltaToolCall(call.tool_name, call.args_as_json_str(), tool_call_id=f"c{at}")}

        super().__init__(whole, stream_function=streamed)


def prompt_of(messages: list[ModelMessage]) -> str:
    said = [part.content for one in messages for part in one.parts if isinstance(part, UserPromptPart)]
    return str(said[-1])


def results_of(messages: list[ModelMessage]) -> list[str]:
    """The results of the tools that the last message holds."""
    return [str(part.content) for part in messages[-1].parts if part.part_kind == "tool-return"]


def echo() -> Scripted:
    return Scripted(lambda messages: f"re: {prompt_of(messages)}")


def calling(tool: str, arguments: dict[str, Any]) -> Scripted:
    def reply(messages: list[ModelMessage]) -> Reply:
        return f"got {results}" if (results := results_of(messages)) else [ToolCallPart(tool, arguments)]

    return Scripted(reply)
