"""ModelDoors: the door `model` of a body: one request of an agent to a language model. `app` gives it to the runner.

The worker sends a request in the normal form of `providers.exchange` and gets the reply; it never has a key. The caller's own variables come
first (`Live.provider_env`), then those of this server. CallExecutor records the reply, so a killed run repeats no recorded request.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..engine.doors import Door, DoorCall, DoorResult
from ..engine.live_run import Live
from ..errors import BadArguments, ModelFailed, NoModel
from ..providers.exchange import reply_json
from ..providers.keys import Access, default_model, find_access, missing_key
from ..providers.model_ids import CLIENT, PROVIDERS, ModelId, UnknownModel, with_alias
from ..providers.requests import MissingPackage, ModelRequests, ProviderError
from ..settings import Settings
from ..upstream.masks import Masks
from .client_model import ClientModel


class ModelDoors:
    def __init__(self, settings: Settings, masks: Masks, client: ClientModel) -> None:
        self._settings = settings
        self._masks = masks
        self._client = client
        self._requests = ModelRequests()

    @property
    def doors(self) -> dict[str, Door]:
        return {"model": self._ask}

    async def aclose(self) -> None:
        await self._requests.aclose()

    async def _ask(self, call: DoorCall) -> DoorResult:
        model = self._model(call.live, call.args.get("model"))
        request: dict[str, Any] = {
            name: call.args[name] for name in ("messages", "settings", "parameters") if name in call.args
        }
        if model.provider == CLIENT:
            return DoorResult(await self._client.request(call, request))
        return DoorResult(await self._ask_provider(call, model, request))

    async def _ask_provider(self, call: DoorCall, model: ModelId, request: dict[str, Any]) -> dict[str, Any]:
        access = self._access(call.live, model)
        try:
            response = await self._requests.make(model, access, request, self._settings.limits.model_timeout_s)
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
        return reply_json(response)

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
            title, hint = PROVIDERS[model.provider].title, missing_key(model.provider)
            raise NoModel(f"{model} cannot be asked: there is no key of {title}.", hint)
        self._masks.add(access.key, access.variable)
        return access

    def _environs(self, live: Live) -> tuple[Mapping[str, str], ...]:
        return (live.provider_env, os.environ)
