"""PromptResponse: the answer to one prompt of a session, with the tokens that it took. Used by workflow files; `turn` makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PromptCost:
    """In US dollars; 0 where the price of the model is not known."""

    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0
    total: float = 0.0


@dataclass(frozen=True)
class PromptUsage:
    """Tokens of all requests of one prompt."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    total_tokens: int = 0
    cost: PromptCost = field(default_factory=PromptCost)


@dataclass(frozen=True)
class PromptModel:
    id: str | None = None


@dataclass(frozen=True)
class PromptImage:
    """An image for a prompt: bytes, or a text in base64."""

    data: str | bytes
    mime_type: str = "image/png"


@dataclass(frozen=True)
class SessionEvent:
    """One event of `session.stream`: `start`, `delta` {text}, `tool_start`, `tool_end`, `end` {text}."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)


class PromptResponse:
    """`text` is the model's answer. `result` is the value of the type that was asked for with `result=`, else the text.

    Any other attribute is the result's: `response.model_dump()`, `response.priority`.
    """

    def __init__(self, text: str, result: Any, usage: PromptUsage, model: PromptModel, raw: Any = None) -> None:
        self.text = text
        self.result = result
        self.usage = usage
        self.model = model
        self.raw = raw
        self.metadata: dict[str, Any] = {"harness": "pydanticai", "model": model.id}

    @property
    def value(self) -> Any:
        return self.result

    @property
    def __pydantic_serializer__(self) -> Any:
        """A response that a body returns is its result in JSON. pydantic looks this name up."""
        from pydantic_core import SchemaSerializer, core_schema

        written = core_schema.plain_serializer_function_ser_schema(lambda response: response.result)
        return SchemaSerializer(core_schema.any_schema(serialization=written))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "result" not in vars(self):
            raise AttributeError(name)
        return getattr(self.result, name)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"PromptResponse({self.text!r})"
