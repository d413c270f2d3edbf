"""One run of a class workflow: what it is, and what becomes of everything that its body gives.

A `Run` opens, takes items, and ends once: completed, failed or cancelled. It knows nothing of how bodies are called; that is
`bodies`, for plain functions, generators, coroutines and async generators alike. All effects go through the run's doors: `runs`.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar, Token
from typing import Any, Final

from . import logging
from .agent_views import give_session, is_agent, view_of
from .response import Gathered, RunResponse, event_name, is_event, is_response
from .run_doors import Opened, RunDoors, RunEnd, State, Status, Unread, hosted, looked_at
from .script_doors import LocalDoors
from .session_locks import Place

current: Final[ContextVar[Run | None]] = ContextVar("current_run", default=None)
"""The innermost run whose body is being executed here: per thread, and per asyncio task."""


def caller() -> Run | None:
    """The run that is being executed here, if it still goes on: a task may outlive the run that made it."""
    run = current.get()
    while run is not None and not run.live:
        run = run.parent
    return run


def places_above(run: Run | None) -> list[Place]:
    """The places that this run and those around it hold."""
    places = []
    while run is not None:
        if isinstance(run.doors, LocalDoors) and run.doors.place is not None:
            places.append(run.doors.place)
        run = run.parent
    return places


class Run:
    """One run. `response` is what it has given so far."""

    def __init__(self, workflow: Any, arguments: dict[str, Any], *, blocking: bool) -> None:
        core = workflow._repertoire
        self.workflow = workflow
        self.core = core
        self.parent = caller()
        self.hosted = hosted(workflow, self.parent)
        self.doors: RunDoors = self.hosted or LocalDoors(
            core.storage_in_use(), places_above(self.parent), core.models_as
        )
        self.input = arguments
        self.opening = core.opening(arguments, blocking=blocking)
        self.run_id = ""
        self.session_id: str = self.opening.session_id
        self.workflow_id = ""
        self._state: State = {}
        self.defaults: frozenset[str] = frozenset()
        self.response = RunResponse()
        self.live = False
        self._gathered = Gathered()
        self._views: dict[int, tuple[Any, Any]] = {}

    @property
    def state(self) -> dict[str, Any]:
        """Its own dict, read when it is first looked at."""
        self._state = state = looked_at(self._state)
        return state

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._state = state

    @property
    def state_left(self) -> State:
        """The same, and still unread if neither this run nor one that shares its place has looked."""
        if isinstance(self._state, Unread) and self._state.seen:
            return self.state
        return self._state

    # The start.

    def try_open(self) -> bool:
        """False while another run holds the session. Raises SessionBusy when that has taken too long."""
        opened = self.doors.start(self.opening)
        if opened is None:
            return False
        try:
            self._open(opened)
        except BaseException as error:
            self.doors.finish(RunEnd("failed", error=error))
            raise
        return True

    def _open(self, opened: Opened) -> None:
        self.run_id, self.session_id, self.workflow_id = opened.run_id, opened.session_id, opened.workflow_id
        self._state, self.defaults = self.core.prepared(opened)
        self.response = RunResponse(
            run_id=self.run_id, session_id=self.session_id, workflow_id=self.workflow_id, content_type="str"
        )
        for agent in agents_of(self.workflow):
            give_session(agent, self.session_id)
        if opened.extra_data is not None:
            self.workflow.extra_data = opened.extra_data
        self.live = True
        self.core.begun(self)
        logging.logger.debug("run %s begins in session %s", self.run_id, self.session_id)

    def inside(self) -> _Inside:
        """Around each step of the body: `self.run_id` and the like are this run's there."""
        return _Inside(self)

    def view(self, agent: Any) -> Any:
        """The agent as this run sees it: with the run's session id."""
        known = self._views.get(id(agent))
        if known is None or known[0] is not agent:
            known = self._views[id(agent)] = (agent, view_of(agent, self.session_id))
        return known[1]

    # What the body gives.

    def take(self, item: Any) -> None:
        """One item of a stream: stamped, added up, told."""
        if not is_event(item):
            logging.logger.warning(
                "%s yielded %s: not a RunResponse or an event of a run; passed on as it is, not part of run_response",
                self.workflow.name, type(item).__name__,
            )  # fmt: skip
            self.doors.emit("item", {"value": item})
            return
        self.stamp(item)
        event, content = event_name(item), getattr(item, "content", None)
        if not self._gathered.take(event, content):
            return
        if isinstance(content, str):
            self.doors.emit("text", {"text": content, "event": event})
        else:
            self.doors.emit("item", {"value": content, "event": event})

    def so_far(self) -> RunResponse:
        """The response with all that was taken until now."""
        if self._gathered:  # put together only when somebody looks: a stream may have many pieces
            self.response.content, self.response.content_type = self._gathered.content()
        return self.response

    def stamp(self, item: Any) -> None:
        for name in ("run_id", "session_id", "workflow_id"):
            try:
                setattr(item, name, getattr(self, name))
            except (AttributeError, TypeError):
                pass  # a frozen event of another library keeps its own

    def commit(self) -> None:
        self.doors.commit(self.state)
        self.core.committed(self)

    # The end.

    def complete(self, value: Any) -> Any:
        """A body that returned: the response that the caller gets, or None for what is not one."""
        if not is_response(value):
            if value is not None and self.hosted is None:  # a host gives its caller the value
                logging.logger.warning(
                    "%s returned %s, not a RunResponse: its caller gets None; session_state is saved",
                    self.workflow.name, type(value).__name__,
                )  # fmt: skip
            self.response.content, self.response.content_type = value, type(value).__name__
            self._end("completed")
            return None
        self.stamp(value)
        if isinstance(value, RunResponse):
            self.response = value
        else:
            self.response.content = value.content
            self.response.content_type = getattr(value, "content_type", "str")
        self._end("completed")
        return value

    def complete_stream(self) -> None:
        self._end("completed")

    def fail(self, error: BaseException) -> None:
        """The body raised, or was stopped from outside by a cancellation."""
        if _is_cancellation(error):
            self._end("cancelled", error)
        else:
            logging.logger.debug("run %s failed: %r", self.run_id, error)
            self._end("failed", error)

    def cancel(self) -> None:
        """Whoever consumed the stream has gone."""
        self._end("cancelled")

    def _end(self, status: Status, error: BaseException | None = None) -> None:
        if not self.live:
            return
        self.live = False
        self.so_far().status = status
        state = self.state_left if status == "completed" else None
        try:
            self.doors.finish(
                RunEnd(status, self.response.content, self.response.content_type, error, state, self.defaults)
            )
        except BaseException:
            self.response.status = "failed"
            raise
        finally:
            self.core.ended(self)
            self._views.clear()


class _Inside:
    """Sets `current` for as long as the body executes; between two items of a generator it is its consumer's again."""

    __slots__ = ("_run", "_token")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._token: Token[Run | None] | None = None

    def __enter__(self) -> None:
        self._token = current.set(self._run)

    def __exit__(self, *_: object) -> None:
        if self._token is None:
            return
        try:
            current.reset(self._token)
        except ValueError:  # a paused coroutine that is thrown away ends in whatever context that happens in
            pass


def agents_of(workflow: Any) -> list[Any]:
    """Class, inherited and instance attributes that are agents or teams."""
    kinds = type(workflow).__mro__[:-1]  # `object` has none
    found = {id(value): value for kind in kinds for value in vars(kind).values() if is_agent(value)}
    found |= {id(value): value for value in vars(workflow).values() if is_agent(value)}
    return list(found.values())


def _is_cancellation(error: BaseException) -> bool:
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and issubclass(type(error), asyncio.CancelledError):  # the exception itself may not be asked
        return True
    return issubclass(type(error), GeneratorExit | KeyboardInterrupt)


def _hosted_log(level: str, message: str) -> bool:
    run = caller()
    while run is not None and run.hosted is None:
        run = run.parent
    if run is None:
        return False
    run.doors.emit("log", {"level": level, "message": message})
    return True


logging.hosted_log = _hosted_log
