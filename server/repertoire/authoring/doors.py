"""The only way out of a workflow body, as a Protocol. The worker implements it over its socket; a script has none."""

from __future__ import annotations

from typing import Any, Literal, Protocol

EventType = Literal["log", "progress", "item", "text"]


class Doors(Protocol):
    def emit(self, type: EventType, data: dict[str, Any], /) -> None:
        """Tell whoever watches the run. Never fails for what the body said."""

    def commit(self, state: str, /) -> None:
        """Store this state now. Raises RuntimeError when it could not be stored."""
