"""Keys: `Access` is a provider's key and address, found in one environment; `default_model` chooses a model where nothing names one.

Used by the door `model`, by plain scripts and by `repertoire doctor`. All variables of a provider come from one environment: the key of
one place never goes to the address of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .model_ids import CLIENT, PROVIDERS, VARIABLES, ModelId, read_model

Environ = Mapping[str, str]


class Access(NamedTuple):
    """`key` is "" where only an address is set: a server of one's own may need none. `variable` is the key's name."""

    key: str
    base_url: str
    variable: str

    def __repr__(self) -> str:
        return f"Access({self.variable}, {self.base_url!r})"  # not for a log


def access_in(provider: str, environ: Environ) -> Access | None:
    """None: the environment has neither a key nor an address of this provider."""
    known = PROVIDERS[provider]
    base_url = environ.get(known.base_url, "").strip()
    variable = next((name for name in known.keys if environ.get(name, "").strip()), "")
    if not variable and not base_url:
        return None
    return Access(environ.get(variable, "").strip(), base_url or known.address, variable or known.keys[0])


def find_access(provider: str, environs: Sequence[Environ]) -> Access | None:
    """The access in the first environment that has one."""
    return next((found for environ in environs if (found := access_in(provider, environ)) is not None), None)


def default_model(environs: Sequence[Environ], named: str = "") -> ModelId:
    """`named` where it is given, else a model of the first provider with a key, else the client's own. Raises UnknownModel."""
    if named:
        return read_model(named)
    for environ in environs:
        for name, provider in PROVIDERS.items():
            if provider.default and access_in(name, environ) is not None:
                return ModelId(name, provider.default)
    return ModelId(CLIENT, "")


def provider_variables(environ: Environ) -> dict[str, str]:
    """The variables of providers that are set."""
    return {name: environ[name] for name in VARIABLES if environ.get(name)}


def no_key(model: ModelId) -> str:
    """Why a model cannot be asked."""
    known = PROVIDERS[model.provider]
    return f"{model} cannot be asked: there is no key of {known.title} ({' or '.join(known.keys)})."


def missing_key(provider: str) -> str:
    """How a key is given, for a message."""
    known = PROVIDERS[provider]
    return (
        f"Set {' or '.join(known.keys)} where the host or the server runs, or map the model to another one in the setting "
        'model_aliases, as in {"gpt-4o" = "anthropic:claude-haiku-4-5"}; "client" is the model of the program that started the run.'
    )
