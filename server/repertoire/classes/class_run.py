"""Class run: `ClassRun` is one run of a class workflow. It opens, takes items, and ends once: completed, failed or cancelled.

All its effects go through the run's doors (`run_doors`). It does not call the body: `body` does, for plain functions, generators,
coroutines and async generators alike. Used by `body`, `instance` and `workflow`.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar, Token
from typing import Any, Final

from . import logging
from .agent_views import give_session, is_agent, view_of
from .response import RunResponse, StreamContent, event_name, is_event, is_response
from .run_doors import Opened, Opening, RunDoors, RunEnd, State, Status, Unread, find_host_doors, read_state
from .script_doors import LocalDoors
from .session_locks import SessionLock
from .stored_sessions import copy_state

current: Final[ContextVar[ClassRun | None]] = ContextVar("current_run", default=None)
"""The innermost run whose body is executing here, in this thread and asyncio task."""


def caller() -> ClassRun | None:
    """The innermost live run whose body is executing here. A task may outlive the run that started it, so dead runs are skipped."""
    run = current.get()
    while run is not None and not run.live:
        run = run.parent
    return run


def locks_above(run: ClassRun | None) -> list[SessionLock]:
    """The session locks that this run and its outer runs hold."""
    locks = []
    while run is not None:
        if isinstance(run.doors, LocalDoors) and run.doors.lock is not None:
            locks.append(run.doors.lock)
        run = run.parent
    return locks


class ClassRun:
    """One run. `response` is its response so far."""

    def __init__(self, workflow: Any, arguments: dict[str, Any], *, blocking: bool) -> None:
        core = workflow._repertoire
        self.workflow = workflow
        self.core = core
        self.parent = caller()
        self.hosted = find_host_doors(workflow, self.parent)
        self.doors: RunDoors = self.hosted or LocalDoors(
            core.storage_in_use(), locks_above(self.parent), core.models_as
        )
        self.input = arguments
        self.opening = _make_opening(workflow, arguments, blocking)
        self.run_id = ""
        self.session_id: str = self.opening.session_id
        self.workflow_id = ""
        self._state: State = {}
        self.defaults: frozenset[str] = frozenset()
        self.response = RunResponse()
        self.live = False
        self.refusal: BaseException | None = None
        """A refusal of the platform in this run. In a script the run fails with it, even if the body has caught it."""
        self._content = StreamContent()
        self._views: dict[int, tuple[Any, Any]] = {}

    @property
    def state(self) -> dict[str, Any]:
        """The run's own dict. The stored state is read at the first access."""
        self._state = state = read_state(self._state)
        return state

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._state = state

    @property
    def final_state(self) -> State:
        """The state at the end of the run; still Unread if neither this run nor one that shares its lock has read it."""
        if isinstance(self._state, Unread) and self._state.is_read:
            return self.state
        return self._state

    # The start.

    def try_open(self) -> bool:
        """Start the run. False while another run holds the session. Raises SessionBusy after too long a wait."""
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
        self._state, self.defaults = self.core.prepare_state(opened)
        self.response = RunResponse(
            run_id=self.run_id, session_id=self.session_id, workflow_id=self.workflow_id, content_type="str"
        )
        for agent in agents_of(self.workflow):
            give_session(agent, self.session_id)
        if opened.extra_data is not None:
            self.workflow.extra_data = opened.extra_data
        self.live = True
        self.core.on_begin(self)
        logging.logger.debug("run %s begins in session %s", self.run_id, self.session_id)

    def inside(self) -> _Inside:
        """A context manager around each piece of the body: inside, `self.run_id` and the like are this run's."""
        return _Inside(self)

    def view(self, agent: Any) -> Any:
        """The agent's view for this run, with the run's session id."""
        known = self._views.get(id(agent))
        if known is None or known[0] is not agent:
            known = self._views[id(agent)] = (agent, view_of(agent, self.session_id))
        return known[1]

    # Values of the body.

    def take(self, item: Any) -> None:
        """Take one item of a stream: stamp it, add it to the response, and emit it."""
        if not is_event(item):
            logging.logger.warning(
                "%s yielded %s: not a RunResponse or an event of a run; passed on as it is, not part of run_response",
                self.workflow.name,
                type(item).__name__,
            )
            self.doors.emit("item", {"value": item})
            return
        self.stamp(item)
        event, content = event_name(item), getattr(item, "content", None)
        if not self._content.take(event, content) or getattr(item, "is_told", False):
            return
        if isinstance(content, str):
            self.doors.emit("text", {"text": content, "event": event})
        else:
            self.doors.emit("item", {"value": content, "event": event})

    def response_so_far(self) -> RunResponse:
        """The response with all items so far."""
        if self._content:  # joined only on access, because a stream may have many pieces
            self.response.content, self.response.content_type = self._content.content()
        return self.response

    def stamp(self, item: Any) -> None:
        """Set the run's ids on an item."""
        for name in ("run_id", "session_id", "workflow_id"):
            try:
                setattr(item, name, getattr(self, name))
            except (AttributeError, TypeError):
                pass  # a frozen event of another library keeps its own ids

    def commit(self) -> None:
        self.doors.commit(self.state)
        self.core.on_stored(self, copy_state(self.state))

    # The end.

    def complete(self, value: Any) -> Any:
        """End the run of a body that returned. Gives the caller's response, or None if the value is no response."""
        self._check_refusal()
        if not is_response(value):
            if value is not None and self.hosted is None:  # a host gives its caller the value itself
                logging.logger.warning(
                    "%s returned %s, not a RunResponse: its caller gets None; session_state is saved",
                    self.workflow.name,
                    type(value).__name__,
                )
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
        self._check_refusal()
        self._end("completed")

    def _check_refusal(self) -> None:
        if self.refusal is not None and self.hosted is None:  # a host checks it itself
            self.fail(self.refusal)
            raise self.refusal

    def fail(self, error: BaseException) -> None:
        """End the run of a body that raised or was cancelled."""
        if _is_cancellation(error):
            self._end("cancelled", error)
        else:
            logging.logger.debug("run %s failed: %r", self.run_id, error)
            self._end("failed", error)

    def cancel(self) -> None:
        """End the run because the consumer of its stream has stopped."""
        self._end("cancelled")

    def _end(self, status: Status, error: BaseException | None = None) -> None:
        if not self.live:
            return
        self.live = False
        self.response_so_far().status = status
        state = self.final_state if status == "completed" else None
        try:
            self.doors.finish(
                RunEnd(status, self.response.content, self.response.content_type, error, state, self.defaults)
            )
        except BaseException:
            self.response.status = "failed"
            raise
        finally:
            self.core.on_end(self)
            self._views.clear()


def _make_opening(workflow: Any, arguments: dict[str, Any], blocking: bool) -> Opening:
    return Opening(
        workflow_id=workflow.workflow_id,
        workflow_name=workflow.name,
        user_id=workflow.user_id,
        session_id=workflow._repertoire.session(),
        input=arguments,
        session_name=workflow.session_name,
        extra_data=workflow.extra_data,
        blocking=blocking,
    )


class _Inside:
    """Sets `current` while the body executes. Between two items of a generator, `current` is the consumer's again."""

    __slots__ = ("_run", "_token")

    def __init__(self, run: ClassRun) -> None:
        self._run = run
        self._token: Token[ClassRun | None] | None = None

    def __enter__(self) -> None:
        self._token = current.set(self._run)

    def __exit__(self, *_: object) -> None:
        if self._token is None:
            return
        try:
            current.reset(self._token)
        except ValueError:  # a paused coroutine that is garbage-collected ends in another context
            pass


def agents_of(workflow: Any) -> list[Any]:
    """The agents and teams among the class's, inherited and instance attributes."""
    kinds = type(workflow).__mro__[:-1]  # `object` has none
    found = {id(value): value for kind in kinds for value in vars(kind).values() if is_agent(value)}
    found |= {id(value): value for value in vars(workflow).values() if is_agent(value)}
    return list(found.values())


def _is_cancellation(error: BaseException) -> bool:
    asyncio = sys.modules.get("asyncio")
    # No isinstance here: it would read the exception's `__class__`, which may be its author's code.
    if asyncio is not None and issubclass(type(error), asyncio.CancelledError):
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
