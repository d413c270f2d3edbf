"""ClientModel: requests to the model of the program that has started the run (`model="client"`); used by ModelDoors."""

from __future__ import annotations

from typing import Any

from ..engine.doors import DoorCall
from ..errors import NoModel


class ClientModel:
    async def request(self, call: DoorCall, request: dict[str, Any]) -> Any:
        """The reply to `request` (`providers.exchange`): a text, a dict of structured output, or a reply of `exchange.reply_json`."""
        raise NoModel(
            "No provider of models has a key, and this version cannot ask the caller's own model.",
            "Set OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or GROQ_API_KEY where the host or the server runs.",
        )
