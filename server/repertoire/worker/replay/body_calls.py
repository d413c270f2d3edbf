"""The doors of one run: what a body says, the calls that it makes, the steps that it takes.

A call has its path from the place in the body where it is made (paths.py). While there are records left (replay.py) it is answered
from them; after them it is sent (exchange.py), and the answer comes when it is recorded.
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
from .journal_reader import Journal
from .next_event import Turns
from .outcomes import raised, step_value_of, succeeded, value_of
from .pending_call import LIVE, Outcome, Slot
from .replayer import Replay
from .thread_readings import Sights
from .timeline import Timeline

_MAX_LABEL_CHARS: Final = 200


class Desk:
    """Implements `authoring.doors.Doors`; its parts are there for the process that runs the body."""

    def __init__(self, outbox: Outbox, channel: Channel, task: Task, drain: Callable[[], None]) -> None:
        """`drain` brings to `hear` what children of the body have said until now."""
        self._outbox = outbox
        self._task = task
        self._count = 0
        self._strangers = weakref.WeakSet(foreign())  # what earlier runs left behind: this run is not theirs
        self.exchange = Exchange(outbox, channel, has_state=task.state is not None)
        journal = Journal(task.recorded, self.exchange.fetch, drain)
        self.timeline = Timeline(task.began, journal, self.exchange)
        self.replay = Replay(journal, self.exchange, self.timeline, self._reload)
        self._watch = changes.StepChanges()
        self.sights = Sights(journal, self.exchange, self.replay)
        self.turns = Turns(self.replay, self.exchange, self.timeline)
        self.committed: str | None = None
        self.reloaded = False
        """Whether the state was loaded anew while the run was parked."""

    # What the body says

    def emit(self, type: EventType, data: dict[str, Any], /) -> None:
        """What threads say when the run has ended is dropped."""
        if not self.exchange.open or (self._strangers and threading.current_thread() in self._strangers):
            return
        if self._may_say():
            self._put(type, data)

    def hear(self, type: EventType, data: dict[str, Any], /) -> None:
        """What processes that the body started say. It has no place among the body's own events, so it cannot be counted on replay:
        what comes while there are records left was told the first time."""
        if not self.exchange.open or self.replay.going_on:
            return
        if self._may_say():
            self._send(type, data, "", 0)

    def _may_say(self) -> bool:
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
        slot = self._call_slot(op, args, label)
        outcome = self.replay.known(slot)
        return value_of(self._sent(slot) if outcome is None else outcome)

    def acall(self, op: str, args: dict[str, Any], /, label: str = "") -> Awaitable[Any]:
        return self._acall(self._call_slot(op, args, label))

    async def _acall(self, slot: Slot) -> Any:
        outcome = await self._known(slot)
        return value_of(await self._sent_async(slot) if outcome is None else outcome)

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
        slot = self._step_slot(identity)
        if (known := self.replay.known(slot)) is not None:
            return step_value_of(known)
        began = self._begun()
        try:
            node = call_paths.Node(slot.frame.path + ":")
            node.kept[Desk] = slot
            with call_paths.within(node):
                value = perform()
        except Exception as error:  # the body's own: recorded, so that it is raised again on replay
            told = self._raised(slot, began, error, self._changes(beside=_beside()))
            self._sent(slot)
            if told is error:
                raise
            raise told from error
        except BaseException:
            self._changes(beside=_beside())
            raise
        refusal = self._succeeded(slot, began, value, self._changes(beside=_beside()))
        self._sent(slot)
        if refusal is not None:
            raise refusal
        return value

    def astep(self, identity: Identity, perform: Callable[[], Awaitable[Any]], /) -> Awaitable[Any]:
        return self._astep(self._step_slot(identity), perform)

    async def _astep(self, slot: Slot, perform: Callable[[], Awaitable[Any]]) -> Any:
        if (known := await self._known(slot)) is not None:
            return step_value_of(known)
        began = self._begun()
        try:
            with call_paths.within(call_paths.Node(slot.frame.path + ":")):
                value = await perform()
        except asyncio.CancelledError:
            self._changes(beside=True)
            self._drop(slot)
            raise
        except Exception as error:  # the body's own: recorded, so that it is raised again on replay
            told = self._raised(slot, began, error, self._changes(beside=True))
            await self._sent_async(slot)
            if told is error:
                raise
            raise told from error
        except BaseException:
            self._changes(beside=True)
            raise
        refusal = self._succeeded(slot, began, value, self._changes(beside=True))
        await self._sent_async(slot)
        if refusal is not None:
            raise refusal
        return value

    def overdue(self) -> Callable[[BaseException], None]:
        slot, began = call_paths.current().kept.get(Desk), time.time()

        def give_up(error: BaseException) -> None:
            if slot is None or not isinstance(error, Exception):
                return
            try:
                self._raised(slot, began, error, self._changes(beside=True))
                self._sent(slot)
            finally:  # recorded or not: the body can go on only if it is begun again
                os.kill(os.getpid(), signal.SIGKILL)

        return give_up

    def _begun(self) -> float:
        if self._task.state is not None:
            self._watch.begin(ambient.current_state())
        return time.time()

    def _changes(self, *, beside: bool) -> Any:
        """What the step that ends has changed in the state. `beside`: other code of the body may have gone on meanwhile."""
        return None if self._task.state is None else self._watch.end(ambient.current_state(), beside=beside)

    def _succeeded(self, slot: Slot, began: float, value: Any, change: Any) -> Exception | None:
        """Why the value cannot be recorded; that is recorded then."""
        try:
            slot.frame = succeeded(slot.frame, began, value, self._task.max_record_bytes, change)
        except Exception as error:  # a refusal, or what the value's own code raises
            slot.frame, told = raised(slot.frame, began, error, change)
            return told
        return None

    def _raised(self, slot: Slot, began: float, error: Exception, change: Any) -> Exception:
        slot.frame, told = raised(slot.frame, began, error, change)
        return told

    def step_key(self) -> str:
        path, colon, _ = call_paths.current().prefix.rpartition(":")
        return f"{self._task.run_id}:{path}" if colon else ""

    # A call's place, and its answer

    def _call_slot(self, op: str, args: dict[str, Any], label: str) -> Slot:
        node = self._caller()
        try:
            text = json.dumps(args, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"{label or op}: its arguments must be JSON values: {error}") from None
        hashed = records.hash_of(op, json.dumps(args, sort_keys=True))
        said = clean(label, _MAX_LABEL_CHARS)
        return Slot(node, Call(self.exchange.next_id(), node.next_call(), op, text, hashed, said))

    def _step_slot(self, identity: Identity) -> Slot:
        node = self._caller()
        hashed = records.hash_of("step", f"{identity.name}\0{records.shape_of(identity.args)}")
        said = clean(identity.label, _MAX_LABEL_CHARS)
        slot = Slot(node, Record(self.exchange.next_id(), node.next_call(), "step", hashed, said))
        if self.replay.going_on:
            self.replay.formerly[slot.frame.id] = lambda: records.former_hash(*identity.former)
        return slot

    def _caller(self) -> call_paths.Node:
        """Where in the body this call is made. Raises when no more are possible."""
        node = call_paths.current()
        self.replay.check()
        self.exchange.check_open()
        self.replay.settled(node)
        return node

    def _sent(self, slot: Slot) -> Outcome:
        """What the host says; this thread waits."""
        try:
            self.exchange.send(slot)
            if slot.parkable:
                self.exchange.tell_idle()
            return self.exchange.wait_for(slot)
        finally:
            self.exchange.leave(slot)

    async def _sent_async(self, slot: Slot) -> Outcome:
        slot = slot.for_this_task()
        self.exchange.send(slot)
        await self._resolved(slot)
        return slot.ended()

    async def _known(self, slot: Slot) -> Outcome | None:
        """What is recorded of a call that is awaited; None: it is to be made."""
        if not self.replay.going_on:
            return None
        slot = slot.for_this_task()
        if not slot.conducted:
            return await self._known_elsewhere(slot)
        self.replay.expect(slot)
        await self._resolved(slot)
        return None if slot.outcome is LIVE else slot.ended()

    async def _known_elsewhere(self, slot: Slot) -> Outcome | None:
        try:
            return await self.replay.known_elsewhere(slot)
        except asyncio.CancelledError:
            self._drop(slot)
            raise

    async def _resolved(self, slot: Slot) -> None:
        assert slot.future is not None
        try:
            await slot.future
        except asyncio.CancelledError:
            self._drop(slot)
            raise

    def _drop(self, slot: Slot) -> None:
        """The body has cancelled this call."""
        self.replay.forget(slot)
        self.exchange.forget(slot)
        if not self.replay.dropped(slot):
            self.exchange.drop(slot)


def _beside() -> bool:
    return call_paths.current().prefix != ""
