"""Runs that were started, here or elsewhere: read, follow, cancel."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from inspect import isawaitable
from typing import Any, Final

import anyio

from .answers import Event, ListedRun, Run, made, made_run
from .calls import Calls
from .errors import RepertoireCallError, of_answer

OnEvent = Callable[[Event], Awaitable[object] | None]
"""Hears every event of a run once, in order: a function, or an async function that is awaited."""

_WAIT_S: Final = 30.0
"""One get_run waits so long: below the 45 s that the server allows."""
_LISTEN_S: Final = 1.0
"""The same where somebody listens: get_run waits for the run's end, not for its next event."""


class Runs:
    """`client.runs`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def get(self, run_id: str, wait_s: float = 0, after_event: int = 0) -> Run:
        """The run as it is after at most `wait_s` (up to 45) seconds, with up to 500 events numbered after `after_event`."""
        arguments = {"run_id": run_id, "wait_s": wait_s, "after_event": after_event, "events": "all"}
        return made_run(await self._calls("get_run", arguments))

    async def cancel(self, run_id: str) -> Run:
        """Stop it; one that has ended stays as it is."""
        return made_run(await self._calls("cancel_run", {"run_id": run_id}))

    async def list(
        self, workflow: str | None = None, session_id: str | None = None, status: str | None = None, since: str | None = None,
        until: str | None = None, limit: int = 20,
    ) -> tuple[ListedRun, ...]:  # fmt: skip
        """The newest runs that fit every filter; `since` and `until` are ISO 8601 times of their beginning."""
        filters = {"workflow": workflow, "session_id": session_id, "status": status, "since": since, "until": until}
        answer = await self._calls("list_runs", {**filters, "limit": limit})
        return tuple(made(ListedRun, row) for row in answer["runs"])

    async def answer(self, run_id: str, answer: Any, question_id: str | None = None) -> Run:
        """Answer what it asks, with a JSON value that is not null; `question_id` says which question where there are several.

        The run goes on, and the call waits for it as the one that started it does; `result` waits for its end in any case.
        """
        return made_run(
            await self._calls("answer_run", {"run_id": run_id, "answer": answer, "question_id": question_id})
        )

    async def result(self, run_id: str) -> Any:
        """Wait for the run's end and give its result, a long one in full.

        Raises RepertoireCallError with the run's own error where it has not completed.
        """
        run = await self.follow(await self.get(run_id))
        if run.status == "completed":
            return run.result
        if run.error is None:
            raise RepertoireCallError(run.status, run.message or f"The run is {run.status}.", run_id=run_id)
        raise of_answer(vars(run.error), run_id)

    async def follow(self, run: Run, on_event: OnEvent | None = None, wait_s: float | None = None) -> Run:
        """The run when it is no longer `working`, or as it is after `wait_s` seconds; its long result in full."""
        until = math.inf if wait_s is None else anyio.current_time() + wait_s
        seen = _Seen(on_event)
        while run.status == "working" and (left := until - anyio.current_time()) > 0:
            step = 0.0 if run.more_events else _WAIT_S if on_event is None else _LISTEN_S
            run = await self.get(run.run_id, min(step, left), seen.last)
            await seen.take(run.events)
        if on_event is not None:
            await self._catch_up(run.run_id, seen)
        return replace(await self._whole(run), events=(), more_events=False)

    async def _catch_up(self, run_id: str, seen: _Seen) -> None:
        more = True
        while more:
            page = await self.get(run_id, after_event=seen.last)
            await seen.take(page.events)
            more = page.more_events

    async def _whole(self, run: Run) -> Run:
        if not run.parts:
            return run
        parts = [await self._part(run.run_id, part) for part in range(1, run.parts + 1)]
        return replace(run, result=json.loads("".join(parts)))

    async def _part(self, run_id: str, part: int) -> str:
        answer = await self._calls("get_run", {"run_id": run_id, "part": part})
        text: str = answer["text"]
        return text


class _Seen:
    """How far somebody has heard a run."""

    def __init__(self, on_event: OnEvent | None) -> None:
        self._on_event = on_event
        self.last = 0

    async def take(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self.last = event["n"]
            if self._on_event is not None and isawaitable(done := self._on_event(event)):
                await done
