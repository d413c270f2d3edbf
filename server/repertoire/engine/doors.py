"""Doors: host functions that a body may call, with the call, the result and the errors of one; used by CallExecutor and by every door.

`Door` gets a `DoorCall` and gives a `DoorResult`. A door does not record anything: CallExecutor does that before the body is answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import RepertoireError
from ..wire import Fault

if TYPE_CHECKING:
    from .live_run import Live, Parking


class DoorCall(NamedTuple):
    """One call of a body. `key` is the same each time the call is made: an idempotency key for systems outside."""

    live: Live
    op: str
    path: str
    args: dict[str, Any]
    wait_for: Callable[[Parking | None], None]
    """Say that the call waits for something that may take days. None: it no longer does."""
    announce_start: Callable[[dict[str, Any]], None]
    """Add the call's `call_start` event, with more data. For a door that knows only later which run it has begun."""
    send_piece: Callable[[Any], None] = lambda data: None
    """Give the body a part of the answer, a JSON value, while the call is open."""
    begin_again: Callable[[str], None] = lambda why: None
    """Give up the body, and begin it again from its journal: it has heard pieces that are no part of the answer. This call is made anew."""

    @property
    def key(self) -> str:
        return f"{self.live.run.id}:{self.path}"


class DoorResult(NamedTuple):
    """A JSON value, or the run that holds the result. `state` is stored in the transaction of the record."""

    value: Any = None
    child: str | None = None
    result: str | None = None
    state: str | None = None


Door = Callable[[DoorCall], Awaitable[DoorResult]]
"""Raises RepertoireError for a fault that the body gets; any other exception is a fault of the server."""


class CallFailed(RepertoireError):
    """Raised by a door when the call failed and a fault for it exists already."""

    def __init__(self, fault: Fault, child: str | None = None) -> None:
        super().__init__(fault.message, fault.hint)
        self.fault = fault
        self.child = child


class Diverged(RepertoireError):
    """Raised by a door when the body makes another call under this path than the first time."""

    code = "non_determinism"

    def __init__(self, path: str, was: str, came: str) -> None:
        super().__init__(
            f"call {path} had begun as {was}, and came as {came}",
            "What decides which calls are made must be the same each time; put anything else into a step().",
        )
