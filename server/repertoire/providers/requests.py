"""Requests: `ModelRequests` makes requests to providers with pydantic-ai's own classes; used by the door `model` and by plain scripts.

A request that fails for the moment (rate limit, 5xx, a broken connection) is made again with back-off, until its time is over. The server
never imports pydantic-ai at its start: the first request does, in a thread.
"""

from __future__ import annotations

import importlib
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from ..text import well_formed
from .exchange import ModelRequest, read_request
from .keys import Access
from .model_ids import PROVIDERS, ModelId

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model

INSTALL: Final = "pip install 'pydantic-ai-slim[anthropic,google,groq,openai]'"
_KEPT: Final = 16
"""Models that keep their connections."""
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_MOST_ATTEMPTS: Final = 6
_SHOWN_CHARS: Final = 500
"""Of a provider's own error text."""

OnText = Callable[[int, str], None]
"""Called with each piece of text of a stream: the index of its part in the response, and the piece."""
OnRepeat = Callable[[str, float], None]
"""Called before the request is made again: why, and after how many seconds."""


class StopStream(Exception):
    """Raised by `OnText` to give up the request: it reaches the caller of `make`."""


class MissingPackage(Exception):
    """Raised when the provider's package is not installed; the message says what to install."""


class ProviderError(Exception):
    """Raised when the provider gave no usable reply. `may_pass`: the same request may have a reply later."""

    def __init__(self, message: str, *, may_pass: bool = False, is_refused_key: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.may_pass = may_pass
        self.is_refused_key = is_refused_key


class ModelRequests:
    """The clients of the providers in use. They belong to one event loop."""

    def __init__(self) -> None:
        self._models: OrderedDict[tuple[ModelId, Access], Model] = OrderedDict()

    async def make(
        self,
        model_id: ModelId,
        access: Access,
        request: dict[str, Any],
        limit_s: float,
        on_text: OnText | None = None,
        on_repeat: OnRepeat = lambda why, pause_s: None,
    ) -> ModelResponse:
        """Make the request; `on_text`: as a stream. Raises ProviderError, MissingPackage, or ValueError for a request of another form."""
        await anyio.to_thread.run_sync(load, model_id)
        given, model = read_request(request), self._model(model_id, access)
        until, attempt = time.monotonic() + limit_s, 0
        while True:
            attempt += 1
            try:
                with anyio.fail_after(until - time.monotonic()):
                    return await _ask(model, given, on_text)
            except TimeoutError:
                raise ProviderError(f"{model_id} did not answer within {limit_s:g} s.", may_pass=True) from None
            except StopStream:
                raise
            except Exception as error:  # SDKs raise many kinds: `_failure` tells them apart
                failure, wait_s = _failure(model_id, error)
                pause_s = _pause(attempt) if wait_s is None else wait_s
                if not failure.may_pass or attempt >= _MOST_ATTEMPTS or time.monotonic() + pause_s >= until:
                    raise failure from error
                on_repeat(failure.message, pause_s)
                await anyio.sleep(pause_s)

    def _model(self, model_id: ModelId, access: Access) -> Model:
        key = (model_id, access)
        if key not in self._models:
            self._models[key] = _make_model(model_id, access)
            while len(self._models) > _KEPT:
                self._models.popitem(last=False)
        self._models.move_to_end(key)
        return self._models[key]

    async def aclose(self) -> None:
        """Close the connections."""
        models, self._models = self._models, OrderedDict()
        for model in models.values():
            client: Any = getattr(model.provider, "client", None)
            close = getattr(client, "close", None)
            if close is not None and (closing := close()) is not None:
                await closing


def load(model_id: ModelId) -> None:
    """Import the provider's classes: a second, and fifty megabytes. Raises MissingPackage."""
    kind = PROVIDERS[model_id.provider].kind
    module = "openai" if kind == "openai-responses" else kind
    try:
        importlib.import_module(f"pydantic_ai.models.{module}")
        importlib.import_module(f"pydantic_ai.providers.{module}")
    except ImportError as error:
        raise MissingPackage(
            f"{model_id} cannot be asked: {error.name or error} is not installed. {INSTALL}"
        ) from error


def _make_model(model_id: ModelId, access: Access) -> Model:
    """The SDKs do not repeat requests by themselves: we do, and say so."""
    kind, key, url, name = PROVIDERS[model_id.provider].kind, access.key or "no-key", access.base_url, model_id.name
    if kind == "google":
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider

        return GoogleModel(name, provider=GoogleProvider(api_key=key, base_url=url))
    provider: Any
    if kind == "anthropic":
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        provider = AnthropicProvider(api_key=key, base_url=url)
        provider.client.max_retries, provider.client.auth_token = 0, None
        return AnthropicModel(name, provider=provider)
    if kind == "groq":
        from pydantic_ai.models.groq import GroqModel
        from pydantic_ai.providers.groq import GroqProvider

        provider = GroqProvider(api_key=key, base_url=url)
        provider.client.max_retries = 0
        return GroqModel(name, provider=provider)
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(api_key=key, base_url=url)
    provider.client.max_retries = 0
    return (OpenAIResponsesModel if kind == "openai-responses" else OpenAIChatModel)(name, provider=provider)


async def _ask(model: Model, request: ModelRequest, on_text: OnText | None) -> ModelResponse:
    from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta, repair_messages

    messages = model.prepare_messages(request.messages, request.parameters)
    if messages is not request.messages:
        messages = list(repair_messages(messages, repair_last_response=True))
    if on_text is None:
        return await model.request(messages, request.settings, request.parameters)
    text = _WellFormed(on_text)
    async with model.request_stream(messages, request.settings, request.parameters) as stream:
        async for event in stream:
            if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart) and event.part.content:
                text.write(event.index, event.part.content)
            elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                text.write(event.index, event.delta.content_delta)
        text.end()
        return stream.get()


class _WellFormed:
    """Passes on the pieces of a stream as the recorded reply has them. A half of a character waits for the next piece of its part."""

    def __init__(self, on_text: OnText) -> None:
        self._on_text = on_text
        self._halves: dict[int, str] = {}

    def write(self, part: int, text: str) -> None:
        text = self._halves.pop(part, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            self._halves[part], text = text[-1], text[:-1]
        if text:
            self._on_text(part, well_formed(text))

    def end(self) -> None:
        for part, half in self._halves.items():
            self._on_text(part, well_formed(half))


def _pause(attempt: int) -> float:
    longest: float = min(_FIRST_PAUSE_S * 2 ** (attempt - 1), _LONGEST_PAUSE_S)
    return longest * random.uniform(0.5, 1.0)


def _failure(model_id: ModelId, error: Exception) -> tuple[ProviderError, float | None]:
    """The error as a sentence, and the seconds that the provider asks us to wait."""
    from pydantic_ai import exceptions as said

    if isinstance(error, said.ModelAPIError):
        status = getattr(error, "status_code", None)
        text = (
            f"{model_id} answered with status {status}: {_shown(error.body)}"
            if status
            else f"{model_id}: {_shown(error.message)}"
        )
        if isinstance(error, said.ModelAuthenticationError) or status in (401, 403):
            return ProviderError(f"{model_id} refused its key: {_shown(error.body)}", is_refused_key=True), None
        rejected = isinstance(error, said.ModelRequestRejectedError | said.ModelQuotaExceededError)
        final = rejected or (status is not None and status < 500 and status not in (408, 409, 425, 429))
        return ProviderError(text, may_pass=not final), error.retry_after
    if isinstance(error, said.AgentRunError | said.UserError):
        return ProviderError(f"{model_id} sent a reply that cannot be used: {_shown(error)}"), None
    if type(error).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2") or isinstance(
        error, OSError
    ):
        return ProviderError(
            f"{model_id} cannot be reached: {_shown(error) or type(error).__name__}", may_pass=True
        ), None
    return ProviderError(
        f"{model_id}: the request or its reply cannot be used: {type(error).__name__}: {_shown(error)}"
    ), None


def _shown(text: object) -> str:
    message = text.get("message", text) if isinstance(text, dict) else text
    return " ".join(str(message).split())[:_SHOWN_CHARS]
