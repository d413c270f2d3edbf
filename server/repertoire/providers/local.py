"""Local: makes a model request in the present process, for a plain script; used by DoorModel where no run is.

Keys are those of the script's own environment. REPERTOIRE_MODEL_ALIASES and REPERTOIRE_DEFAULT_MODEL count as they do for a server.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from ..values.records import CallError
from .exchange import reply_json
from .keys import default_model, find_access, missing_key, no_key
from .model_ids import CLIENT, UnknownModel, read_aliases, with_alias
from .requests import MissingPackage, ModelRequests, OnText, ProviderError

_LIMIT_S: Final = 600.0
_NO_CLIENT: Final = "A plain script has no client whose model could be asked."


async def make(
    args: dict[str, Any],
    on_text: OnText | None = None,
    *,
    aliases: Mapping[str, str] | None = None,
    default: str | None = None,
) -> dict[str, Any]:
    """The reply of the door `model`. `aliases` and `default`: None for those of the environment.

    Raises CallError with the codes that a run would get.
    """
    requests = ModelRequests()  # the clients of a provider belong to one event loop, and a script may have several
    try:
        named, environs = args.get("model"), (os.environ,)
        if aliases is None:
            aliases = read_aliases(os.environ.get("REPERTOIRE_MODEL_ALIASES", ""))
        if default is None:
            default = os.environ.get("REPERTOIRE_DEFAULT_MODEL", "")
        model = with_alias(named, aliases) if named else default_model(environs, default)
        if model.provider == CLIENT:
            raise _no_model(_NO_CLIENT, missing_key("openai"))
        if (access := find_access(model.provider, environs)) is None:
            raise _no_model(no_key(model), missing_key(model.provider))
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
