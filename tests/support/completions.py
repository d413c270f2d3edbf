"""Completions: what agents of pydantic-ai ask, as requests of the door `model`; scripted replies."""

from __future__ import annotations

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from repertoire.providers.exchange import request_json


def text(content: str) -> ModelResponse:
    return ModelResponse(parts=[TextPart(content)])


def tool_call(name: str, arguments: dict[str, Any]) -> ModelResponse:
    return ModelResponse(parts=[ToolCallPart(name, arguments)])


class _Recorder(Model):
    """Gives the replies in turn, and keeps each request as JSON."""

    def __init__(self, replies: list[ModelResponse]) -> None:
        super().__init__()
        self._replies = list(replies)
        self.requests: list[dict[str, Any]] = []

    @property
    def model_name(self) -> str:
        return "client"

    @property
    def system(self) -> str:
        return "client"

    def prepare_messages(
        self, messages: list[ModelMessage], model_request_parameters: ModelRequestParameters | None = None
    ) -> list[ModelMessage]:
        """As DoorModel leaves them."""
        return messages

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        self.requests.append(request_json(messages, model_settings, model_request_parameters))
        return self._replies.pop(0)


def agent_requests(replies: list[ModelResponse], prompt: str, **options: Any) -> list[dict[str, Any]]:
    """The requests of an agent that gets these replies."""
    model = _Recorder(replies)
    Agent(model, **options).run_sync(prompt)
    return model.requests
