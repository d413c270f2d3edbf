"""DoorStream: the streamed answer of the door `model` as pydantic-ai's `StreamedResponse`; used by DoorModel.

Pieces of text come first, then the whole reply. Thinking and tool calls come with the reply.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from pydantic_ai.messages import ModelResponse, ModelResponseStreamEvent, TextPart
from pydantic_ai.models import ModelRequestParameters, StreamedResponse

from ..providers.exchange import read_reply
from .replies import response_of


class DoorStream(StreamedResponse):
    """Implements `authoring.doors.Listener`."""

    def __init__(self, parameters: ModelRequestParameters, model_name: str) -> None:
        super().__init__(parameters)
        self._named = model_name
        self._begun = datetime.now(UTC)
        self._pieces: deque[tuple[int, str]] = deque()
        self._told: dict[int, int] = {}
        self._news = asyncio.Event()
        self._answer: asyncio.Future[Any] | None = None
        self._response: ModelResponse | None = None

    @property
    def is_told(self) -> bool:
        """True if its text has come in pieces: then the host has told them as events."""
        return bool(self._told)

    def hear(self, piece: Any, /) -> None:
        self._pieces.extend((int(part), str(text)) for part, text in piece)
        self._news.set()

    def hear_all(self, answer: Any, /) -> None:
        if not (isinstance(answer, dict) and "response" in answer):
            return
        response, pieces = read_reply(answer)
        at: dict[int, int] = {}
        for part, length in pieces:
            begin = at.get(part, 0)
            at[part] = begin + length
            given = response.parts[part] if part < len(response.parts) else None
            if isinstance(given, TextPart):
                self.hear([[part, given.content[begin : begin + length]]])

    def on_answer(self, answer: asyncio.Future[Any]) -> None:
        """The call has ended, with the reply or with its error."""
        self._answer = answer
        self._news.set()

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        while True:
            while self._pieces:
                part, text = self._pieces.popleft()
                self._told[part] = self._told.get(part, 0) + len(text)
                for event in self._parts_manager.handle_text_delta(vendor_part_id=part, content=text):
                    yield event
            if self._answer is not None:
                break
            self._news.clear()
            await self._news.wait()
        self._response = response = response_of(self._answer.result(), self.model_request_parameters, self._named)
        self._usage = response.usage
        self.finish_reason = response.finish_reason
        for n, given in enumerate(response.parts):
            if not isinstance(given, TextPart):
                yield self._parts_manager.handle_part(vendor_part_id=None, part=given)
            elif rest := given.content[self._told.get(n, 0) :]:
                for event in self._parts_manager.handle_text_delta(vendor_part_id=n, content=rest):
                    yield event

    def get(self) -> ModelResponse:
        return super().get() if self._response is None else self._response

    async def close_stream(self) -> None:
        """The call is cancelled where the stream was opened."""

    @property
    def model_name(self) -> str:
        return self._named if self._response is None else self._response.model_name or self._named

    @property
    def provider_name(self) -> str | None:
        return None if self._response is None else self._response.provider_name

    @property
    def provider_url(self) -> str | None:
        return None if self._response is None else self._response.provider_url

    @property
    def timestamp(self) -> datetime:
        return self._begun if self._response is None else self._response.timestamp
