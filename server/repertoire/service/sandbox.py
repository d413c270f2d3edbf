"""Sandbox: says how runs of code that nobody has approved are isolated here, and shows it; used by the control socket and the app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ..sandbox.layers import Isolation
from ..sandbox.trials import Tried


class Sandbox:
    def __init__(self, isolation: Isolation, try_all: Callable[[], Awaitable[list[Tried]]]) -> None:
        self._isolation = isolation
        self._try_all = try_all

    @property
    def label(self) -> str:
        return self._isolation.label

    async def examine(self) -> dict[str, Any]:
        """The layers as they are claimed, and what trials in real sandboxes have found. Takes about a second."""
        tried = await self._try_all()
        layers = [
            {"name": one.name, "state": one.state, "detail": one.detail, "remedy": one.remedy}
            for one in self._isolation.layers
        ]
        return {
            "isolation": self._isolation.label,
            "is_real": self._isolation.is_real,
            "layers": layers,
            "trials": [one.public() for one in tried],
        }
