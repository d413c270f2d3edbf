"""BodyCalls: the doors of one run, which are its events, its calls and its steps; used by `authoring` as `doors.Doors`.

A call's path comes from its place in the body (`call_paths`). While records are left, `Replay` answers it from them. After that
`Exchange` sends it, and the host answers when the call is recorded. The rules are in `replay/__init__.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ...authoring import ambient
from ...authoring.doors import EventType
from ...authoring.step_identity import Identity
from ...values import changes, records
from ...values.records import CallError
from ...wire import Call, RawEvent, Record, Task
from ..link.channel import Channel
from ..link.outbox import Outbox
from ..link.sanitize import clean, plain
from ..link.threads import foreign
from . import call_paths
from .exchange import Exchange
from .journal_reader import JournalReader
from .next_event import EventOrder
from .outcomes import record_of_error, record_of_value, step_value_of, value_of
from .pending_call import LIVE, Outcome, PendingCall
from .replayer import Replay
from .thread_readings import ThreadReadings
from .timeline import Timeline

_MAX_LABEL_CHARS: Final = 200


class BodyCalls:
    """Implements `authoring.doors.Doors`. Process uses its parts `exchange`, `timeline`, `replay`, `readings` and `event_order`."""

    def __init__(self, outbox: Outbox, channel: Channel, task: Task, drain: Callable[[], None]) -> None:
        """`drain` passes to `hear` the events of the body's children that are not read yet."""
        self._outbox = outbox
        self._task = task
        self._count = 0
        self._strangers = weakref.WeakSet(foreign())  # threads that earlier runs left behind; their events are dropped
        self.exchange = Exchange(outbox, channel, has_state=task.state is not None)
        journal = JournalReader(task.recorded, self.exchange.fetch, drain)
        self.timeline = Timeline(task.began, journal, self.exchange)
        self.replay = Replay(journal, self.exchange, self.timeline, self._reload)
        self._state_watch = changes.Watch()
        self.readings = ThreadReadings(journal, self.exchange, self.replay)
        self.event_order = EventOrder(self.replay, self.exchange, self.timeline)
        self.committed: str | None = None
        self.reloaded = False
        """True if the state was loaded anew while the run was parked."""

    # Events

    def emit(self, type: EventType, data: dict[str, Any], /) -> None:
        """Send an event. Events of threads are dropped after the run's end."""
        if not self.exchange.open or (self._strangers and threading.current_thread() in self._strangers):
            return
        if self._count_event():
            self._put(type, data)

    def hear(self, type: EventType, data: dict[str, Any], /) -> None:
        """Send an event of a child process.

        It has no path among the body's own events, so a replay cannot count it. Instead it drops what children say while records are
        left: that was sent the first time.
        """
        if not self.exchange.open or self.replay.is_replaying:
            return
        if self._count_event():
            self._send(type, data, "", 0)

    def _count_event(self) -> bool:
        """Count one more event of the run. False: the limit is exceeded."""
        self._count += 1
        limit = self._task.max_events
        if self._count == limit + 1:
            self.warn(
                f"this run has sent {limit} events; further ones are not recorded. The setting max_events raises this limit."
            )
        return self._count <= limit

    def warn(self, message: str) -> None:
        self._put("log", {"level": "warning", "message": message})

    def _put(self, type: EventType, data: dict[str, Any]) -> None:
        node = call_paths.current()
        node.events += 1
        if self._task.told and node.events <= self._task.told.get(node.prefix, 0):
            return
        self._send(type, data, node.prefix, node.events)

    def _send(self, type: EventType, data: dict[str, Any], path: str, k: int) -> None:
        fit = {key: plain(value, self._task.max_message_bytes) for key, value in data.items()}
        size = sum(len(value) if isinstance(value, str) else 100 for value in fit.values())
        self._outbox.put(RawEvent(type, time.time(), fit, path, k), size)

    # Calls

    def read_clock(self, live: Callable[[], float], /) -> float:
        return self.timeline.read_clock(live)

    def call(self, op: str, args: dict[str, Any], /, label: str = "") -> Any:
        pending = self._make_call(op, args, label)
        outcome = self.replay.find_outcome(pending)
        return value_of(self._send_and_wait(pending) if outcome is None else outcome)

    def acall(self, op: str, args: dict[str, Any], /, label: str = "") -> Awaitable[Any]:
        return self._acall(self._make_call(op, args, label))

    async def _acall(self, pending: PendingCall) -> Any:
        outcome = await self._find_outcome(pending)
        return value_of(await self._send_and_await(pending) if outcome is None else outcome)

    def commit(self, state: str, /) -> None:
        if self._task.state is None:
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

    # Steps

    def step(self, identity: Identity, perform: Callable[[], Any], /) -> Any:
        pending = self._make_step(identity)
        if (known := self.replay.find_outcome(pending)) is not None:
            return step_value_of(known)
        began = self._begin_step()
        try:
            node = call_paths.Node(pending.frame.path + ":")
            node.kept[BodyCalls] = pending
            with call_paths.within(node):
                value = perform()
        except Exception as error:  # the body's own: recorded, so that it is raised again on replay
            failure = self._record_error(pending, began, error, self._end_watch(beside=_is_beside()))
            self._send_and_wait(pending)
            if failure is error:
                raise
            raise failure from error
        except BaseException:
            self._end_watch(beside=_is_beside())
            raise
        refusal = self._record_value(pending, began, value, self._end_watch(beside=_is_beside()))
        self._send_and_wait(pending)
        if refusal is not None:
            raise refusal
        return value

    def astep(self, identity: Identity, perform: Callable[[], Awaitable[Any]], /) -> Awaitable[Any]:
        return self._astep(self._make_step(identity), perform)

    async def _astep(self, pending: PendingCall, perform: Callable[[], Awaitable[Any]]) -> Any:
        if (known := await self._find_outcome(pending)) is not None:
            return step_value_of(known)
        began = self._begin_step()
        try:
            with call_paths.within(call_paths.Node(pending.frame.path + ":")):
                value = await perform()
        except asyncio.CancelledError:
            self._end_watch(beside=True)
            self._drop(pending)
            raise
        except Exception as error:  # the body's own: recorded, so that it is raised again on replay
            failure = self._record_error(pending, began, error, self._end_watch(beside=True))
            await self._send_and_await(pending)
            if failure is error:
                raise
            raise failure from error
        except BaseException:
            self._end_watch(beside=True)
            raise
        refusal = self._record_value(pending, began, value, self._end_watch(beside=True))
        await self._send_and_await(pending)
        if refusal is not None:
            raise refusal
        return value

    def overdue(self) -> Callable[[BaseException], None]:
        """A function that records an error for the step that is performed here, and then kills this process."""
        pending, began = call_paths.current().kept.get(BodyCalls), time.time()

        def give_up(error: BaseException) -> None:
            if pending is None or not isinstance(error, Exception):
                return
            try:
                self._record_error(pending, began, error, self._end_watch(beside=True))
                self._send_and_wait(pending)
            finally:  # recorded or not: only a replay in another process can continue the body
                os.kill(os.getpid(), signal.SIGKILL)

        return give_up

    def _begin_step(self) -> float:
        if self._task.state is not None:
            self._state_watch.begin(ambient.held())
        return time.time()

    def _end_watch(self, *, beside: bool) -> Any:
        """The ended step's change of the state. `beside`: other code of the body may have run at the same time."""
        return None if self._task.state is None else self._state_watch.end(ambient.held(), beside=beside)

    def _record_value(self, pending: PendingCall, began: float, value: Any, change: Any) -> Exception | None:
        """Make the frame that records the value. If that is impossible, it records the reason, which is returned."""
        try:
            pending.frame = record_of_value(pending.frame, began, value, self._task.max_record_bytes, change)
        except Exception as error:  # a refusal, or an exception from the value's own code
            pending.frame, failure = record_of_error(pending.frame, began, error, change)
            return failure
        return None

    def _record_error(self, pending: PendingCall, began: float, error: Exception, change: Any) -> Exception:
        pending.frame, failure = record_of_error(pending.frame, began, error, change)
        return failure

    def step_key(self) -> str:
        path, colon, _ = call_paths.current().prefix.rpartition(":")
        return f"{self._task.run_id}:{path}" if colon else ""

    # A call's path and outcome

    def _make_call(self, op: str, args: dict[str, Any], label: str) -> PendingCall:
        node = self._caller()
        try:
            text = json.dumps(args, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"{label or op}: its arguments must be JSON values: {error}") from None
        hashed = records.hash_of(op, json.dumps(args, sort_keys=True))
        said = clean(label, _MAX_LABEL_CHARS)
        return PendingCall(node, Call(self.exchange.next_id(), node.next_call(), op, text, hashed, said))

    def _make_step(self, identity: Identity) -> PendingCall:
        node = self._caller()
        hashed = records.hash_of("step", f"{identity.name}\0{records.shape_of(identity.args)}")
        said = clean(identity.label, _MAX_LABEL_CHARS)
        pending = PendingCall(node, Record(self.exchange.next_id(), node.next_call(), "step", hashed, said))
        if self.replay.is_replaying:
            self.replay.former_hashes[pending.frame.id] = lambda: records.former_hash(*identity.former)
        return pending

    def _caller(self) -> call_paths.Node:
        """The node of the code that makes a call. Raises when the run can make no more calls."""
        node = call_paths.current()
        self.replay.check()
        self.exchange.check_open()
        self.replay.on_settled(node)
        return node

    def _send_and_wait(self, pending: PendingCall) -> Outcome:
        """Send the call and block this thread until the host's answer."""
        try:
            self.exchange.send(pending)
            if pending.is_parkable:
                self.exchange.tell_idle()
            return self.exchange.wait_for(pending)
        finally:
            self.exchange.leave(pending)

    async def _send_and_await(self, pending: PendingCall) -> Outcome:
        pending = pending.for_this_task()
        self.exchange.send(pending)
        await self._await_outcome(pending)
        return pending.get_outcome()

    async def _find_outcome(self, pending: PendingCall) -> Outcome | None:
        """The recorded outcome of a call that is awaited. None: there is no record, so the call must be made."""
        if not self.replay.is_replaying:
            return None
        pending = pending.for_this_task()
        if not pending.is_conducted:
            return await self._find_outcome_elsewhere(pending)
        self.replay.expect(pending)
        await self._await_outcome(pending)
        return None if pending.outcome is LIVE else pending.get_outcome()

    async def _find_outcome_elsewhere(self, pending: PendingCall) -> Outcome | None:
        try:
            return await self.replay.find_outcome_elsewhere(pending)
        except asyncio.CancelledError:
            self._drop(pending)
            raise

    async def _await_outcome(self, pending: PendingCall) -> None:
        assert pending.future is not None
        try:
            await pending.future
        except asyncio.CancelledError:
            self._drop(pending)
            raise

    def _drop(self, pending: PendingCall) -> None:
        """The body has cancelled this call."""
        self.replay.forget(pending)
        self.exchange.forget(pending)
        if not self.replay.take_cancelled(pending):
            self.exchange.drop(pending)


def _is_beside() -> bool:
    return call_paths.current().prefix != ""
