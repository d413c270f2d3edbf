"""Interpreted: chooses the versions that run in pydantic-monty instead of in Python; used by Attempts, Inspector and TrustRules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from ..model.workflow_version import WorkflowVersion
from ..sandbox import interpreted
from ..sandbox.layers import Isolation

When = Literal["never", "without a sandbox", "always"]

"""`never` where the operator has said what happens to unapproved code; `always` for tests."""


class Interpreted:
    def __init__(self, isolation: Callable[[], Awaitable[Isolation]], when: When) -> None:
        self._isolation = isolation
        self._when = when

    @property
    def is_there(self) -> bool:
        """True if some code could be taken."""
        return self._when != "never" and interpreted.is_installed()

    async def takes(self, version: WorkflowVersion) -> bool:
        """True for a version that `could_take` allows, where the kernel gives no sandbox."""
        if not self.could_take(version):
            return False
        try:
            return self._when == "always" or not (await self._isolation()).is_real
        except OSError:  # nothing is known of the walls
            return True

    def could_take(self, version: WorkflowVersion) -> bool:
        """True for code that nobody has approved, if the interpreter is installed and the source is simple."""
        simple = not version.is_trusted and version.entry is None and not version.modules
        return simple and self.is_there and interpreted.fits(version.source)
