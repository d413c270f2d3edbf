"""Sandbox: says how runs of code that nobody has approved are isolated here, and shows it; used by the control socket and the app."""

from __future__ import annotations

from typing import Any

from ..engine.runner import Runner
from ..sandbox.layers import Isolation


class Sandbox:
    def __init__(self, runner: Runner, home: str) -> None:
        self._runner = runner
        self._home = home

    @property
    def label(self) -> str:
        known = self._runner.known_isolation
        return "not tried yet" if known is None else known.label

    async def isolation(self) -> Isolation:
        """The walls around runs of untrusted code. Starts the process that forks them. Raises OSError when it cannot be started."""
        return await self._runner.isolation()

    async def examine(self) -> dict[str, Any]:
        """The layers as they are claimed, and what trials in real sandboxes have found. Takes about a second."""
        isolation = await self.isolation()
        tried = await self._runner.try_sandbox(self._home)
        layers = [
            {"name": one.name, "state": one.state, "detail": one.detail, "remedy": one.remedy}
            for one in isolation.layers
        ]
        return {
            "isolation": isolation.label,
            "is_real": isolation.is_real,
            "layers": layers,
            "trials": [one.public() for one in tried],
        }
