"""Prices: the cost of a reply by genai-prices, where it knows the model; used by the door `model`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse


def cost_of(response: ModelResponse) -> float | None:
    """Dollars. None: the price of the model is not known, or the provider has told no usage."""
    if not response.usage.has_values():
        return None
    try:
        return float(response.cost().total_price)
    except (LookupError, ValueError, AssertionError):
        return None
