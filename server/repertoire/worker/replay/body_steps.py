"""BodySteps: performs the steps of a run, records their results and errors, or gives the recorded ones; used by BodyCalls.

A step is performed here, in the worker. Its record holds its value or error, and its change of the state.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ...authoring import ambient
from ...authoring.step_identity import StepIdentity
from ...values import argument_hashes, changes
from ...wire import Record, Task
from ..link.sanitize import clean
from . import call_paths
from .call_sender import CallSender
from .exchange import Exchange
from .outcomes import record_of_error, record_of_value, step_value_of
from .pending_call import MAX_LABEL_CHARS, PendingCall
from .replayer import Replay


class BodySteps:
    """The steps of one run."""

    def __init__(self, task: Task, exchange: Exchange, replay: Replay, sender: CallSender) -> None:
        self._task = task
        self._exchange = exchange
        self._replay = replay
        self._sender = sender
        self._state_watch = changes.StepChanges()

    def step(self, identity: StepIdentity, perform: Callable[[], Any], /) -> Any:
        pending = self._make_step(identity)
        if (known := self._replay.find_outcome(pending)) is not None:
            return step_value_of(known)
        began = self._begin_step()
        try:
            node = call_paths.Node(pending.frame.path + ":")
            node.kept[BodySteps] = pending
            with call_paths.within(node):
                value = perform()
        except Exception as error:  # the body's own: recorded, so that it is raised again on replay
            failure = self._record_error(pending, began, error, self._end_watch(beside=_is_beside()))
            self._sender.send_and_wait(pending)
            if failure is error:
                raise
            raise failure from error
        except BaseException:
            self._end_watch(beside=_is_beside())
            raise
        refusal = self._record_value(pending, began, value, self._end_watch(beside=_is_beside()))
        self._sender.send_and_wait(pending)
        if refusal is not None:
            raise refusal
        return value

    def astep(self, identity: StepIdentity, perform: Callable[[], Awaitable[Any]], /) -> Awaitable[Any]:
        return self._astep(self._make_step(identity), perform)

    async def _astep(self, pending: PendingCall, perform: Callable[[], Awaitable[Any]]) -> Any:
        if (known := await self._sender.find_outcome_async(pending)) is not None:
            return step_value_of(known)
        began = self._begin_step()
        try:
            with call_paths.within(call_paths.Node(pending.frame.path + ":")):
                value = await perform()
        except asyncio.CancelledError:
            self._end_watch(beside=True)
            self._sender.drop(pending)
            raise
        except Exception as error:  # the body's own: recorded, so that it is raised again on replay
            failure = self._record_error(pending, began, error, self._end_watch(beside=True))
            await self._sender.send_and_await(pending)
            if failure is error:
                raise
            raise failure from error
        except BaseException:
            self._end_watch(beside=True)
            raise
        refusal = self._record_value(pending, began, value, self._end_watch(beside=True))
        await self._sender.send_and_await(pending)
        if refusal is not None:
            raise refusal
        return value

    def overdue(self) -> Callable[[BaseException], None]:
        """A function that records an error for the step that is performed here, and then kills this process."""
        pending, began = call_paths.current().kept.get(BodySteps), time.time()

        def give_up(error: BaseException) -> None:
            if pending is None or not isinstance(error, Exception):
                return
            try:
                self._record_error(pending, began, error, self._end_watch(beside=True))
                self._sender.send_and_wait(pending)
            finally:  # recorded or not: only a replay in another process can continue the body
                os.kill(os.getpid(), signal.SIGKILL)

        return give_up

    def step_key(self) -> str:
        path, colon, _ = call_paths.current().prefix.rpartition(":")
        return f"{self._task.run_id}:{path}" if colon else ""

    def _make_step(self, identity: StepIdentity) -> PendingCall:
        node = self._sender.current_node()
        hashed = argument_hashes.hash_of("step", f"{identity.name}\0{argument_hashes.shape_of(identity.args)}")
        said = clean(identity.label, MAX_LABEL_CHARS)
        pending = PendingCall(node, Record(self._exchange.next_id(), node.next_call(), "step", hashed, said))
        if self._replay.is_replaying:
            self._replay.comparison.former_hashes[pending.frame.id] = lambda: argument_hashes.former_hash(
                *identity.former
            )
        return pending

    def _begin_step(self) -> float:
        if self._task.state is not None:
            self._state_watch.begin(ambient.current_state())
        return time.time()

    def _end_watch(self, *, beside: bool) -> Any:
        """The ended step's change of the state. `beside`: other code of the body may have run at the same time."""
        return None if self._task.state is None else self._state_watch.end(ambient.current_state(), beside=beside)

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


def _is_beside() -> bool:
    """True if the current code is in a task, thread or step, so other code of the body may run at the same time."""
    return call_paths.current().prefix != ""
