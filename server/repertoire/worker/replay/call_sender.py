"""CallSender: sends a call to the host and waits for its outcome; finds recorded outcomes of awaited calls; used by BodyCalls, BodySteps.

Replay has the records and Exchange has the socket. Calls that block ask Replay for their record directly.
"""

from __future__ import annotations

import asyncio

from . import call_paths
from .exchange import Exchange
from .pending_call import LIVE, Outcome, PendingCall
from .replayer import Replay


class CallSender:
    """The calls of one run, on their way to an outcome."""

    def __init__(self, exchange: Exchange, replay: Replay) -> None:
        self._exchange = exchange
        self._replay = replay

    def current_node(self) -> call_paths.Node:
        """The node of the code that makes a call. Raises when the run can make no more calls."""
        node = call_paths.current()
        self._replay.comparison.check()
        self._exchange.check_open()
        self._replay.on_settled(node)
        return node

    def send_and_wait(self, pending: PendingCall) -> Outcome:
        """Send the call and block this thread until the host's answer."""
        try:
            self._exchange.send(pending)
            if pending.is_parkable:
                self._exchange.tell_idle()
            return self._exchange.wait_for(pending)
        finally:
            self._exchange.leave(pending)

    async def send_and_await(self, pending: PendingCall) -> Outcome:
        """Send the call and await the host's answer."""
        pending = pending.for_this_task()
        self._exchange.send(pending)
        await self._await_outcome(pending)
        return pending.get_outcome()

    async def find_outcome_async(self, pending: PendingCall) -> Outcome | None:
        """The recorded outcome of a call that is awaited. None: there is no record, so the call must be made."""
        if not self._replay.is_replaying:
            return None
        pending = pending.for_this_task()
        if not pending.is_conducted:
            return await self._find_outcome_elsewhere(pending)
        self._replay.expect(pending)
        await self._await_outcome(pending)
        return None if pending.outcome is LIVE else pending.get_outcome()

    async def _find_outcome_elsewhere(self, pending: PendingCall) -> Outcome | None:
        try:
            return await self._replay.find_outcome_elsewhere(pending)
        except asyncio.CancelledError:
            self.drop(pending)
            raise

    async def _await_outcome(self, pending: PendingCall) -> None:
        assert pending.future is not None
        try:
            await pending.future
        except asyncio.CancelledError:
            self.drop(pending)
            raise

    def drop(self, pending: PendingCall) -> None:
        """The body has cancelled this call: forget it, and record that unless it is recorded already."""
        self._replay.forget(pending)
        self._exchange.forget(pending)
        if not self._replay.take_cancelled(pending):
            self._exchange.drop(pending)
