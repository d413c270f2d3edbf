"""Doors: the Protocol through which a workflow body reaches its host. The worker implements it over its socket; a script has none.

Used by `ambient`, `durable`, `steps` and `time_limit`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from .step_identity import StepIdentity

Content = bytes | Path
"""Bytes, or a file whose bytes are meant."""
EventType = Literal["log", "progress", "item", "text"]


class Listener(Protocol):
    """Hears the pieces of one answer, in the loop that awaits the call."""

    def hear(self, piece: Any, /) -> None:
        """A piece has arrived."""

    def hear_all(self, answer: Any, /) -> None:
        """The answer is recorded already, and the call is answered from its record later: hear its pieces now."""


class Doors(Protocol):
    """The calls of one run. They are recorded: on replay after a crash they return the same values, and nothing is done twice.

    `op` names the operation, `args` are its arguments by name (plain JSON values), `label` is a name for people.
    """

    def emit(self, type: EventType, data: dict[str, Any], /) -> None:
        """Send an event to the watchers of the run. No data of the body makes it fail."""

    def commit(self, state: str, /) -> None:
        """Store this state now. Raises RuntimeError if that fails."""

    def call(self, op: str, args: dict[str, Any], /, label: str = "", content: Content | None = None) -> Any:
        """Let the host execute the call; blocks this thread. Raises the host's error.

        `content` is handed over with the call. A replay that has the call's record does not look at it.
        """

    def acall(
        self, op: str, args: dict[str, Any], /, label: str = "", content: Content | None = None
    ) -> Awaitable[Any]:
        """Like `call`, for `await`. The call gets its place in the run's order now, not at the `await`."""

    def astream(self, op: str, args: dict[str, Any], listener: Listener, /, label: str = "") -> Awaitable[Any]:
        """Like `acall`, for a call whose answer arrives in pieces. The listener hears them before the answer is given."""

    def read_content(self, hash: str, /) -> bytes:
        """The bytes of a content that a call has named. Raises CallError when its file is gone or was changed."""

    def step(self, identity: StepIdentity, perform: Callable[[], Any], /) -> Any:
        """Call `perform()` here, once. Its result or exception is recorded, with its changes of the state."""

    def astep(self, identity: StepIdentity, perform: Callable[[], Awaitable[Any]], /) -> Awaitable[Any]:
        """Like `step`, for an async function."""

    def overdue(self) -> Callable[[BaseException], None] | None:
        """A function for the current step: it records that the step raised an error and gives up this process, which cannot end it.

        None: this process is not given up, so the step is waited for.
        """

    def step_key(self) -> str:
        """`run_id:path` of the step that is executing here; "" outside a step."""

    def read_clock(self, live: Callable[[], float], /) -> float:
        """The value of `live()`; on replay, its recorded value."""
