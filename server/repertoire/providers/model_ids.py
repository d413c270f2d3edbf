"""Model ids: `ModelId` names a model of a provider; `read_model` reads every spelling of one, and `with_alias` maps one to another.

Used by the façade of agents, by the door `model` and by plain scripts. `PROVIDERS` is the table of the providers that we can ask.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

CLIENT: Final = "client"
"""The model of the program that has started the run."""
ANY: Final = "*"
"""The alias of every model that has none of its own."""
_MAX_CHARS: Final = 200


class Provider(NamedTuple):
    """`kind` is the API that it speaks. `keys` and `base_url` name environment variables; the first key that is set counts."""

    kind: str
    title: str
    keys: tuple[str, ...]
    base_url: str
    address: str
    """The address where no `base_url` is set."""
    default: str
    """The model to use where nothing names one."""


PROVIDERS: Final[dict[str, Provider]] = {
    "openai": Provider("openai", "OpenAI", ("OPENAI_API_KEY",), "OPENAI_BASE_URL", "https://api.openai.com/v1", "gpt-5-mini"),
    "anthropic": Provider(
        "anthropic", "Anthropic", ("ANTHROPIC_API_KEY",), "ANTHROPIC_BASE_URL", "https://api.anthropic.com", "claude-haiku-4-5"
    ),
    "google": Provider(
        "google", "Google", ("GEMINI_API_KEY", "GOOGLE_API_KEY"), "GOOGLE_GEMINI_BASE_URL", "https://generativelanguage.googleapis.com",
        "gemini-2.5-flash",
    ),
    "groq": Provider("groq", "Groq", ("GROQ_API_KEY",), "GROQ_BASE_URL", "https://api.groq.com", "llama-3.3-70b-versatile"),
    "openai-responses": Provider(
        "openai-responses", "OpenAI", ("OPENAI_API_KEY",), "OPENAI_BASE_URL", "https://api.openai.com/v1", ""
    ),
    "deepseek": Provider("openai", "DeepSeek", ("DEEPSEEK_API_KEY",), "DEEPSEEK_BASE_URL", "https://api.deepseek.com", ""),
    "openrouter": Provider(
        "openai", "OpenRouter", ("OPENROUTER_API_KEY",), "OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1", ""
    ),
    "together": Provider("openai", "Together", ("TOGETHER_API_KEY",), "TOGETHER_BASE_URL", "https://api.together.xyz/v1", ""),
    "mistral": Provider("openai", "Mistral", ("MISTRAL_API_KEY",), "MISTRAL_BASE_URL", "https://api.mistral.ai/v1", ""),
    "xai": Provider("openai", "xAI", ("XAI_API_KEY",), "XAI_BASE_URL", "https://api.x.ai/v1", ""),
    "ollama": Provider("openai", "Ollama", ("OLLAMA_API_KEY",), "OLLAMA_BASE_URL", "", ""),
}  # fmt: skip
"""In the order in which a default is looked for."""

VARIABLES: Final = tuple(dict.fromkeys(name for one in PROVIDERS.values() for name in (*one.keys, one.base_url)))
"""The environment variables that a host tells for its models. They stay in the server."""

_SPELLINGS: Final = {
    "openai-chat": "openai", "openaichat": "openai", "gemini": "google", "google-gla": "google", "claude": "anthropic", "grok": "xai",
}  # fmt: skip
_FAMILIES: Final = (
    (re.compile(r"(gpt|chatgpt|o[1345])\b"), "openai"),
    (re.compile(r"claude\b"), "anthropic"),
    (re.compile(r"gemini\b"), "google"),
    (re.compile(r"deepseek\b"), "deepseek"),
    (re.compile(r"grok\b"), "xai"),
)
"""Names that tell their provider."""


class UnknownModel(ValueError):
    """Raised for a text that names no model; the message says which spellings there are."""


class ModelId(NamedTuple):
    provider: str
    name: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.name}" if self.name else self.provider


def read_model(text: str) -> ModelId:
    """`openai:gpt-4o`, `anthropic/claude-haiku-4-5`, `gpt-4o`, or `client`. Raises UnknownModel."""
    text = text.strip()
    if not text or len(text) > _MAX_CHARS or not text.isprintable():
        raise UnknownModel(f"{text[:60]!r} names no model. Write provider:name, as in openai:gpt-4o.")
    if text.lower() == CLIENT:
        return ModelId(CLIENT, "")
    for separator in (":", "/"):
        provider, found, name = text.partition(separator)
        known = _SPELLINGS.get(provider.lower(), provider.lower())
        if found and name and known in PROVIDERS:
            return ModelId(known, name)
    for family, provider in _FAMILIES:
        if family.match(text.lower()):
            return ModelId(provider, text)
    raise UnknownModel(
        f"{text!r} names no model whose provider is known. Write provider:name; the providers are {', '.join(PROVIDERS)}."
    )


def read_aliases(text: str) -> dict[str, str]:
    """The aliases of an environment variable: `gpt-4o=ollama:llama3.2,*=client`."""
    pairs = (one.partition("=") for one in text.split(",") if one.strip())
    return {alias.strip(): target.strip() for alias, _, target in pairs}


def with_alias(text: str, aliases: Mapping[str, str]) -> ModelId:
    """The model that is asked instead of this one, where an alias says so. An alias leads to no other alias. Raises UnknownModel.

    An alias is written as the file writes the model, as `provider:name`, or as the name alone. `*` stands for every other model.
    """
    try:
        meant = read_model(text)
    except UnknownModel:
        instead = aliases.get(text.strip(), aliases.get(ANY))
        if instead is None:
            raise
        return read_model(instead)
    known = {_normal(alias): target for alias, target in aliases.items()}
    for spelling in (text.strip().lower(), str(meant).lower(), meant.name.lower()):
        if spelling and spelling in known:
            return read_model(known[spelling])
    if meant.provider != CLIENT and ANY in aliases:
        return read_model(aliases[ANY])
    return meant


def _normal(alias: str) -> str:
    try:
        return alias.strip().lower() if ":" not in alias and "/" not in alias else str(read_model(alias)).lower()
    except UnknownModel:
        return alias.strip().lower()
