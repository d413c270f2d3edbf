"""ModelDoors: the door `model` of a body: one request of an agent to a language model. `app` gives it to the runner.

The worker sends a request in the normal form of `providers.exchange` and gets the reply; it never has a key. The caller's own variables come
first (`Live.provider_env`), then those of this server. CallExecutor records the reply, so a killed run repeats no recorded request.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import anyio

from ..engine.doors import Door, DoorCall, DoorResult
from ..engine.live_run import Live
from ..errors import BadArguments, ModelFailed, NoModel
from ..model.usage import ModelUse
from ..providers.exchange import library, reply_json
from ..providers.keys import Access, default_model, find_access, missing_key, no_key
from ..providers.model_ids import CLIENT, ModelId, UnknownModel, with_alias
from ..providers.prices import cost_of
from ..providers.requests import MissingPackage, ModelRequests, ProviderError
from ..settings import Settings
from ..store import Store
from ..upstream.masks import Masks
from .client_model import ClientModel
from .model_stream import ModelStream, OtherText, next_attempt

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse


_MOST_RESTARTS: Final = 3
"""So often a body is begun again because a stream that was made anew has another text."""


class ModelDoors:
    def __init__(self, settings: Settings, store: Store, masks: Masks, client: ClientModel) -> None:
        self._settings = settings
        self._store = store
        self._masks = masks
        self._client = client
        self._restarts: Counter[str] = Counter()
        self._requests = ModelRequests()

    @property
    def doors(self) -> dict[str, Door]:
        return {"model": self._ask}

    async def aclose(self) -> None:
        await self._requests.aclose()

    async def _ask(self, call: DoorCall) -> DoorResult:
        model = self._model(call.live, call.args.get("model"))
        call.live.budget.begin_request()
        request: dict[str, Any] = {
            name: call.args[name] for name in ("messages", "settings", "parameters") if name in call.args
        }
        if model.provider == CLIENT:
            reply = await self._client.request(call, request)
            used = reply["response"].get("usage") or {}
            await self._note_use(call, model, used.get("input_tokens", 0), used.get("output_tokens", 0))
            return DoorResult(reply)
        return DoorResult(await self._ask_provider(call, model, request))

    async def _ask_provider(self, call: DoorCall, model: ModelId, request: dict[str, Any]) -> dict[str, Any]:
        access = self._access(call.live, model)
        if not call.args.get("stream"):
            response = await self._make(model, access, request)
            await self._note_response(call, model, response)
            masked: dict[str, Any] = self._masks.mask_json(reply_json(response))
            return masked
        stream = ModelStream(call, self._store, await next_attempt(call, self._store))
        try:
            response = await self._make(model, access, request, stream)
            await self._note_response(call, model, response)
            stream.check_whole()
        except OtherText:
            return await self._begin_again(call, model)
        finally:
            stream.close()
        self._restarts.pop(call.key, None)
        reply = reply_json(response, stream.pieces)
        if self._masks.mask_json(reply) != reply:  # its pieces have lengths, so no word of it can be replaced
            raise ModelFailed(f"{model} has written a key of this server into its text. The reply is not kept.")
        return reply

    async def _note_response(self, call: DoorCall, model: ModelId, response: ModelResponse) -> None:
        used = response.usage
        await self._note_use(call, model, used.input_tokens, used.output_tokens, cost_of(response))

    async def _note_use(
        self, call: DoorCall, model: ModelId, input_tokens: int, output_tokens: int, cost: float | None = None
    ) -> None:
        """Raises OverBudget: the run has no token left for the reply that it has just paid."""
        use = ModelUse(
            path=call.path,
            at=time.time(),
            model=str(model),
            library=library(),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cost=cost,
        )
        await self._store.add_model_request(call.live.run, use)
        call.live.budget.spend_tokens(input_tokens + output_tokens)

    async def _begin_again(self, call: DoorCall, model: ModelId) -> dict[str, Any]:
        self._restarts[call.key] += 1
        if self._restarts[call.key] > _MOST_RESTARTS:
            del self._restarts[call.key]
            raise ModelFailed(f"{model} broke off its text again and again.", "Run it again later.")
        call.begin_again("a stream of text was cut, and the model wrote another text")
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    async def _make(
        self, model: ModelId, access: Access, request: dict[str, Any], stream: ModelStream | None = None
    ) -> ModelResponse:
        limit_s = self._settings.limits.model_timeout_s
        try:
            if stream is None:
                return await self._requests.make(model, access, request, limit_s)
            return await self._requests.make(
                model, access, request, limit_s, stream.write, lambda why, pause_s: stream.begin_anew()
            )
        except MissingPackage as error:
            raise NoModel(str(error), "The operator installs it where the server runs, and restarts it.") from None
        except ProviderError as error:
            said = self._masks.mask(error.message)
            if error.is_refused_key:
                raise NoModel(said, f"Correct {access.variable}.") from None
            hint = "Run it again later." if error.may_pass else None
            raise ModelFailed(said, hint) from None
        except ValueError as error:
            raise BadArguments(f"This is no request to a model: {error}") from None

    def _model(self, live: Live, named: object) -> ModelId:
        try:
            if isinstance(named, str) and named:
                return with_alias(named, self._settings.model_aliases)
            return default_model(self._environs(live), self._settings.default_model)
        except UnknownModel as error:
            raise NoModel(str(error)) from None

    def _access(self, live: Live, model: ModelId) -> Access:
        access = find_access(model.provider, self._environs(live))
        if access is None:
            raise NoModel(no_key(model), missing_key(model.provider))
        self._masks.add(access.key, access.variable)
        return access

    def _environs(self, live: Live) -> tuple[Mapping[str, str], ...]:
        return (live.provider_env, os.environ)
