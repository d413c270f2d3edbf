"""Usage: requests to language models with their tokens and cost, of one request or of a run with all below it; used by engine and service."""

from __future__ import annotations

from typing import Any

import msgspec


class ModelUse(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `library` has made it. `cost` in dollars; None: not known."""

    path: str
    at: float
    model: str
    library: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None


class Usage(msgspec.Struct, frozen=True):
    """A sum over requests. `unpriced` is the number of those whose cost is not known."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def public(self) -> dict[str, Any]:
        """`cost_usd` is left out where the price of a request is not known."""
        shown: dict[str, Any] = {
            "model_requests": self.requests,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
        }
        return shown if self.unpriced else {**shown, "cost_usd": round(self.cost, 6)}
