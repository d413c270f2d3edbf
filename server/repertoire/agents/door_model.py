"""DoorModel: a model for pydantic-ai whose requests pass the door `model`; used by the agents of a body. It has no key.

In a run the host makes and records each request. A plain script makes it in its own process (`providers.local`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import RunContext

from ..authoring import ambient
from ..authoring.local_doors import LocalDoors
from ..providers import local
from ..providers.exchange import request_json
from .door_stream import DoorStream
from .replies import response_of

DEFAULT = "default"
"""The name of the model that the host chooses."""


class DoorModel(Model[None]):
    """`named` is the model as the file writes it (`openai:gpt-4o`); None: the host's default. Aliases and keys are the host's."""

    def __init__(self, named: str | None = None, *, settings: ModelSettings | None = None) -> None:
        super().__init__(settings=settings)
        self._named = named
        self._stream: DoorStream | None = None

    @property
    def tells_watchers(self) -> bool:
        """True if the host has told the text of the last stream to the run's watchers."""
        doors = ambient.doors()
        return (
            doors is not None
            and not isinstance(doors, LocalDoors)
            and self._stream is not None
            and self._stream.is_told
        )

    @property
    def model_name(self) -> str:
        return self._named or DEFAULT

    @property
    def system(self) -> str:
        return "repertoire"

    def prepare_messages(
        self, messages: list[ModelMessage], model_request_parameters: ModelRequestParameters | None = None
    ) -> list[ModelMessage]:
        """As they are: the provider's own class prepares them, where the request is made."""
        return messages

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        args = self._args(messages, model_settings, model_request_parameters)
        doors = ambient.doors()
        reply: Any = await (local.make(args) if doors is None else doors.acall("model", args, self.model_name))
        return response_of(reply, model_request_parameters, self.model_name)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        args = {**self._args(messages, model_settings, model_request_parameters), "stream": True}
        self._stream = stream = DoorStream(model_request_parameters, self.model_name)
        doors = ambient.doors()
        if doors is None:
            answer: Awaitable[Any] = local.make(args, lambda part, text: stream.hear([[part, text]]))
        else:
            answer = doors.astream("model", args, stream, self.model_name)
        task = asyncio.ensure_future(answer)
        task.add_done_callback(stream.on_answer)
        try:
            yield stream
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def _args(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        merged = {**(self.settings or {}), **(settings or {})}
        named = {} if self._named is None else {"model": self._named}
        return {**named, **request_json(messages, merged or None, parameters)}  # type: ignore[arg-type]  # a TypedDict
