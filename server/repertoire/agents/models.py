"""Models: `OpenAIChat`, `Claude` and the like hold a model's id and options; `model_of` gives the model that an agent uses.

Keys are never read here: the host makes the requests (`door_model`). Used by workflow files and `agent_run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..values.refusals import NotAvailable

if TYPE_CHECKING:
    from pydantic_ai.models import Model as PydanticModel

_SETTINGS: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "seed": "seed",
    "stop": "stop_sequences",
    "stop_sequences": "stop_sequences",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "logit_bias": "logit_bias",
    "timeout": "timeout",
    "parallel_tool_calls": "parallel_tool_calls",
}
"""Options of the model classes, and pydantic-ai's settings of that meaning."""
_FOR_THE_HOST: Final = frozenset(
    {"api_key", "base_url", "organization", "host", "client", "async_client", "http_client"}
)


class Model:
    """A model's id and options. `provider` is the part before the colon of the model's whole name."""

    provider: ClassVar[str] = ""

    def __init__(self, id: str | None = None, **options: Any) -> None:
        self.id = id if id is not None else options.pop("model", None)
        self.options = options

    @property
    def full_name(self) -> str | None:
        """`openai-chat:gpt-4o-mini`; None for a class without an id, which means the default model."""
        if self.id is None:
            return None
        return f"{self.provider}:{self.id}" if self.provider else self.id

    @property
    def settings(self) -> dict[str, Any]:
        """The options that belong to a request."""
        found = {_SETTINGS[name]: value for name, value in self.options.items() if name in _SETTINGS}
        if isinstance(stop := found.get("stop_sequences"), str):
            found["stop_sequences"] = [stop]
        return {name: value for name, value in found.items() if value is not None}

    @property
    def unused(self) -> list[str]:
        """Options that have no effect: those of the connection, which is the host's."""
        return sorted(name for name, value in self.options.items() if name in _FOR_THE_HOST and value is not None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r})"


class OpenAIChat(Model):
    """A model behind OpenAI's chat completions API."""

    provider = "openai-chat"


class OpenAIResponses(Model):
    """A model behind OpenAI's responses API."""

    provider = "openai-responses"


class Claude(Model):
    """A model of Anthropic."""

    provider = "anthropic"


class Gemini(Model):
    """A model of Google."""

    provider = "google"


class Groq(Model):
    """A model of Groq."""

    provider = "groq"


def model_of(given: Any) -> PydanticModel:
    """pydantic-ai's model for what an agent has as `model`: a name, a model class, pydantic-ai's own, or None for the default model."""
    from pydantic_ai.models import Model as PydanticModel

    if isinstance(given, PydanticModel):
        return given
    from .door_model import DoorModel

    return DoorModel(name_of(given))


def name_of(given: Any) -> str | None:
    """The name of the model: `openai:gpt-4o-mini`. None: the default model. Raises TypeError for what is no model."""
    if given is None or isinstance(given, str):
        return given or None
    if isinstance(given, Model):
        return given.full_name
    name = getattr(given, "id", None)
    if isinstance(name, str):
        raise NotAvailable(
            f"{type(given).__name__}(id={name!r}) is a model of another library", hint=f"Write model={name!r}."
        )
    raise TypeError(f"model: a name as 'openai:gpt-4o-mini', or OpenAIChat(id=...), got {type(given).__name__}")


def settings_of(given: Any) -> dict[str, Any]:
    return given.settings if isinstance(given, Model) else {}
