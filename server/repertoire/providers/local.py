"""Local: makes a model request in the present process, for a plain script; used by DoorModel where no run is.

Keys are those of the script's own environment. REPERTOIRE_MODEL_ALIASES and REPERTOIRE_DEFAULT_MODEL count as they do for a server.
"""

from __future__ import annotations

import os
from typing import Any, Final

from ..values.records import CallError
from .exchange import reply_json
from .keys import default_model, find_access, missing_key
from .model_ids import CLIENT, PROVIDERS, UnknownModel, read_aliases, with_alias
from .requests import MissingPackage, ModelRequests, OnText, ProviderError

_LIMIT_S: Final = 600.0
_NO_CLIENT: Final = "A plain script has no client whose model could be asked."


async def make(args: dict[str, Any], on_text: OnText | None = None) -> dict[str, Any]:
    """The reply of the door `model`. Raises CallError with the codes that a run would get."""
    requests = ModelRequests()  # the clients of a provider belong to one event loop, and a script may have several
    try:
        named, aliases = args.get("model"), read_aliases(os.environ.get("REPERTOIRE_MODEL_ALIASES", ""))
        environs = (os.environ,)
        model = (
            with_alias(named, aliases)
            if named
            else default_model(environs, os.environ.get("REPERTOIRE_DEFAULT_MODEL", ""))
        )
        if model.provider == CLIENT:
            raise _no_model(_NO_CLIENT, missing_key("openai"))
        if (access := find_access(model.provider, environs)) is None:
            title = PROVIDERS[model.provider].title
            raise _no_model(f"{model} cannot be asked: there is no key of {title}.", missing_key(model.provider))
        return reply_json(await requests.make(model, access, args, _LIMIT_S, on_text))
    except (UnknownModel, MissingPackage) as error:
        raise _no_model(str(error)) from None
    except ProviderError as error:
        if error.is_refused_key:
            raise _no_model(error.message) from None
        raise CallError(error.message, code="model_failed", type="ModelFailed") from None
    finally:
        await requests.aclose()


def _no_model(message: str, hint: str | None = None) -> CallError:
    return CallError(message, code="no_model", type="NoModel", hint=hint)
