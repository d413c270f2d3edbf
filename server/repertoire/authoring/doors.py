"""The only way out of a workflow body, as a Protocol. The worker implements it over its socket; a script has none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol

from .step_identity import Identity

EventType = Literal["log", "progress", "item", "text"]


class Doors(Protocol):
    """Calls are recorded: when the run is begun again after a crash, they answer what they answered before, and nothing is done twice.

    `op` names what is called, `args` are its arguments by name (plain JSON values), `label` says for people what it is.
    """

    def emit(self, type: EventType, data: dict[str, Any], /) -> None:
        """Tell whoever watches the run. Never fails for what the body said."""

    def commit(self, state: str, /) -> None:
        """Store this state now. Raises RuntimeError when it could not be stored."""

    def call(self, op: str, args: dict[str, Any], /, label: str = "") -> Any:
        """Let the host do it; blocks this thread. Raises what the host says went wrong."""

    def acall(self, op: str, args: dict[str, Any], /, label: str = "") -> Awaitable[Any]:
        """The same, to be awaited. Its place among the run's calls is taken now, not when it is awaited."""

    def step(self, identity: Identity, perform: Callable[[], Any], /) -> Any:
        """Do it here, once: `perform()`'s result, or its exception, is recorded, and what it has changed in the state."""

    def astep(self, identity: Identity, perform: Callable[[], Awaitable[Any]], /) -> Awaitable[Any]:
        """The same for something async."""

    def overdue(self) -> Callable[[BaseException], None]:
        """For the step that is being done here: record that it raised this, and give up this process, which cannot end it."""

    def step_key(self) -> str:
        """`run_id:path` of the step that is being done here; "" outside one."""

    def read_clock(self, live: Callable[[], float], /) -> float:
        """`live()`, or what it gave here when the run is begun again."""
