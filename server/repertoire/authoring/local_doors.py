"""Local doors: a run's doors in the present process, without a server; used by `repertoire.testing` and `repertoire debug`.

Nothing is stored, and nothing is replayed. Values are checked as a run checks them: arguments and answers are JSON, and a step's result is
of the types that a state can hold. A sleep takes no time; the clock moves on instead.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from ..values import records
from .doors import Content, EventType, Listener
from .local_artifacts import Find, LocalArtifacts
from .local_cache import LocalCache
from .local_workspace import LocalWorkspace
from .step_identity import StepIdentity

Perform = Callable[[str, dict[str, Any]], Any]
"""Carries out a call: its operation and its arguments by name. Raises the call's error."""
OnEvent = Callable[[EventType, dict[str, Any]], None]


class LocalCall(NamedTuple):
    """A call that a body made: `op` as `step`, `ask`, `workflow` or `artifacts.save`, with the name of the function, question or workflow."""

    op: str
    name: str
    result: Any
    error: BaseException | None = None


class LocalDoors:
    """Implements `Doors`."""

    def __init__(
        self,
        perform: Perform,
        on_event: OnEvent,
        find_artifact: Find | None = None,
        workspace: LocalWorkspace | None = None,
    ) -> None:
        """`perform` gets commands of the shell too; files are in `workspace`."""
        self._perform = perform
        self._on_event = on_event
        self._slept_s = 0.0
        self._artifacts = LocalArtifacts(find_artifact)
        self._cache = LocalCache()
        self._workspace = workspace or LocalWorkspace()
        self._step_keys: list[str] = []
        self.calls: list[LocalCall] = []
        self.committed: str | None = None

    def emit(self, type: EventType, data: dict[str, Any], /) -> None:
        self._on_event(type, data)

    def commit(self, state: str, /) -> None:
        self.committed = state

    def call(self, op: str, args: dict[str, Any], /, label: str = "", content: Content | None = None) -> Any:
        try:
            given = json.loads(json.dumps(args, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"{label or op}: its arguments must be JSON values: {error}") from None
        if op == "sleep":
            self.skip(given["seconds"])
        try:
            if op.startswith("artifacts."):
                value = self._artifacts.perform(op, given, content)
            elif op.startswith("cache."):
                value = self._cache.perform(op, given)
            else:
                value = (self._workspace.perform if op.startswith("fs.") else self._perform)(op, given)
        except Exception as error:
            self.calls.append(LocalCall(op, label, None, error))
            raise
        self.calls.append(LocalCall(op, label, value))
        return json.loads(json.dumps(value))

    async def _acall(self, op: str, args: dict[str, Any], label: str, content: Content | None) -> Any:
        return self.call(op, args, label, content)

    def acall(
        self, op: str, args: dict[str, Any], /, label: str = "", content: Content | None = None
    ) -> Awaitable[Any]:
        return self._acall(op, args, label, content)

    async def _astream(self, op: str, args: dict[str, Any], listener: Listener, label: str) -> Any:
        answer = await self._acall(op, args, label, None)
        listener.hear_all(answer)
        return answer

    def astream(self, op: str, args: dict[str, Any], listener: Listener, /, label: str = "") -> Awaitable[Any]:
        return self._astream(op, args, listener, label)

    def read_content(self, hash: str, /) -> bytes:
        return self._artifacts.contents[hash]

    def step(self, identity: StepIdentity, perform: Callable[[], Any], /) -> Any:
        self._step_keys.append(f"local:{len(self.calls)}")
        try:
            return self._note_step(identity, perform())
        except Exception as error:
            self.calls.append(LocalCall("step", identity.label, None, error))
            raise
        finally:
            self._step_keys.pop()

    async def astep(self, identity: StepIdentity, perform: Callable[[], Awaitable[Any]], /) -> Any:
        try:
            return self._note_step(identity, await perform())
        except Exception as error:
            self.calls.append(LocalCall("step", identity.label, None, error))
            raise

    def _note_step(self, identity: StepIdentity, value: Any) -> Any:
        records.encode(value)  # raises StateError, as the record of a run does
        self.calls.append(LocalCall("step", identity.label, value))
        return value

    def overdue(self) -> None:
        return None

    def step_key(self) -> str:
        return self._step_keys[-1] if self._step_keys else ""

    def read_clock(self, live: Callable[[], float], /) -> float:
        return live() + self._slept_s

    def skip(self, seconds: float) -> None:
        """Move the clock on."""
        self._slept_s += seconds
