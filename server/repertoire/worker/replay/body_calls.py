"""BodyCalls: the doors of one run; assembles the parts of this package and performs calls; used by `authoring` as `doors.Doors`.

Events are in `body_events`, steps in `body_steps`. A call's path comes from its place in the body (`call_paths`). While records are left,
`Replay` answers it from them. After that `CallSender` sends it through `Exchange`, and the host answers when the call is recorded. The
rules are in `replay/__init__.py`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from ...authoring import ambient
from ...authoring.doors import Content, Listener
from ...values.argument_hashes import hash_of
from ...values.records import CallError
from ...wire import Call, Task
from ..link.channel import Channel
from ..link.outbox import Outbox
from ..link.sanitize import clean
from .body_contents import BodyContents
from .body_events import BodyEvents
from .body_steps import BodySteps
from .call_sender import CallSender
from .exchange import Exchange
from .journal_reader import JournalReader
from .next_event import EventOrder
from .outcomes import value_of
from .pending_call import MAX_LABEL_CHARS, PendingCall
from .replayer import Replay
from .thread_readings import ThreadReadings
from .timeline import Timeline


class BodyCalls:
    """Implements `authoring.doors.Doors`. Process uses its parts `exchange`, `timeline`, `replay`, `readings` and `event_order`."""

    def __init__(self, outbox: Outbox, channel: Channel, task: Task, drain: Callable[[], None]) -> None:
        """`drain` passes to `hear` the events of the body's children that are not read yet."""
        self._has_state = task.state is not None
        self.exchange = Exchange(outbox, channel, has_state=self._has_state)
        journal = JournalReader(task.recorded, self.exchange.fetch, drain, self._reload)
        self.timeline = Timeline(task.began, journal, self.exchange)
        self.replay = Replay(journal, self.exchange, self.timeline)
        self.readings = ThreadReadings(journal, self.exchange, self.replay)
        self.event_order = EventOrder(self.replay, self.exchange, self.timeline)
        events = BodyEvents(outbox, task, self.exchange, self.replay)
        self.emit, self.hear, self.warn = events.emit, events.hear, events.warn
        self._sender = CallSender(self.exchange, self.replay)
        self._contents = BodyContents(self.exchange, task.artifacts, task.run_id, task.max_artifact_bytes)
        steps = BodySteps(task, self.exchange, self.replay, self._sender)
        self.step, self.astep = steps.step, steps.astep
        self.overdue, self.step_key = steps.overdue, steps.step_key
        self.committed: str | None = None
        self.reloaded = False
        """True if the state was loaded anew while the run was parked."""

    def read_clock(self, live: Callable[[], float], /) -> float:
        return self.timeline.read_clock(live)

    def call(self, op: str, args: dict[str, Any], /, label: str = "", content: Content | None = None) -> Any:
        pending = self._make_call(op, args, label)
        outcome = self.replay.find_outcome(pending)
        if outcome is None:
            self._contents.hand_over(pending.frame.path, content)
            outcome = self._sender.send_and_wait(pending)
        return value_of(outcome)

    def acall(
        self, op: str, args: dict[str, Any], /, label: str = "", content: Content | None = None
    ) -> Awaitable[Any]:
        return self._acall(self._make_call(op, args, label), content)

    async def _acall(self, pending: PendingCall, content: Content | None) -> Any:
        outcome = await self._sender.find_outcome_async(pending)
        if outcome is None:
            self._contents.hand_over(pending.frame.path, content)
            outcome = await self._sender.send_and_await(pending)
        return value_of(outcome)

    def astream(self, op: str, args: dict[str, Any], listener: Listener, /, label: str = "") -> Awaitable[Any]:
        pending = self._make_call(op, args, label)

        def hear(data: str) -> None:
            pending.heard.append(data)
            listener.hear(json.loads(data))

        pending.hear = hear
        return self._astream(pending, listener)

    async def _astream(self, pending: PendingCall, listener: Listener) -> Any:
        known = self.replay.peek(pending.frame.path)
        if known is None:
            return value_of(await self._sender.send_and_await(pending))
        if known.cancelled:
            for piece in json.loads(known.result or "[]"):
                listener.hear(piece)
        elif known.result is not None:
            listener.hear_all(value_of(known))
        outcome = await self._sender.find_outcome_async(pending)
        return value_of(outcome or await self._sender.send_and_await(pending))

    def read_content(self, hash: str, /) -> bytes:
        return self._contents.read(hash)

    def commit(self, state: str, /) -> None:
        if not self._has_state:
            raise RuntimeError("commit_state(): this run was started without session state")
        try:
            self.call("commit_state", {"state": state})
        except (CallError, ValueError) as error:
            raise RuntimeError(f"commit_state(): {error}") from None
        self.committed = state

    def _reload(self, state: str) -> None:
        ambient.reload(state)
        self.reloaded = True
        self.committed = state

    def _make_call(self, op: str, args: dict[str, Any], label: str) -> PendingCall:
        node = self._sender.current_node()
        try:
            text = json.dumps(args, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"{label or op}: its arguments must be JSON values: {error}") from None
        hashed = hash_of(op, json.dumps(args, sort_keys=True))
        said = clean(label, MAX_LABEL_CHARS)
        return PendingCall(node, Call(self.exchange.next_id(), node.next_call(), op, text, hashed, said))
