"""Response: `RunResponse`, the two workflow events and the names of events, which a class workflow gives to its caller.

The fields are the union of all that the class style has had over time. So files for an early version (where a RunResponse has
`event`) and for a late version (where it has not) both work. `status` uses this project's words: `working` while the run
executes, then `completed`, `failed` or `cancelled`. Used by workflow files, `class_run`, `pprint` and the worker.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any, Final, Union


class RunEvent(str, Enum):  # noqa: UP042 - `str(event)` shows the member, as files of that style print it
    """The kind of an event. Members compare equal to their text."""

    run_started = "RunStarted"
    run_response = "RunResponse"
    run_response_content = "RunResponseContent"
    run_intermediate_response_content = "RunIntermediateResponseContent"
    run_completed = "RunCompleted"
    run_error = "RunError"
    run_cancelled = "RunCancelled"
    run_paused = "RunPaused"
    run_continued = "RunContinued"
    tool_call_started = "ToolCallStarted"
    tool_call_completed = "ToolCallCompleted"
    reasoning_started = "ReasoningStarted"
    reasoning_step = "ReasoningStep"
    reasoning_completed = "ReasoningCompleted"
    updating_memory = "UpdatingMemory"
    memory_update_started = "MemoryUpdateStarted"
    memory_update_completed = "MemoryUpdateCompleted"
    parser_model_response_started = "ParserModelResponseStarted"
    parser_model_response_completed = "ParserModelResponseCompleted"
    output_model_response_started = "OutputModelResponseStarted"
    output_model_response_completed = "OutputModelResponseCompleted"
    workflow_started = "WorkflowStarted"
    workflow_completed = "WorkflowCompleted"


COMPLETED_EVENTS: Final = frozenset({"WorkflowCompleted", "RunCompleted", "TeamRunCompleted"})
"""Events that repeat the content that was streamed before them."""

STARTED_EVENTS: Final = frozenset({"WorkflowStarted", "RunStarted", "TeamRunStarted"})


def _now() -> int:
    return int(time.time())


class _Serializable:
    """`to_dict` and `to_json` of a dataclass, without fields that are None."""

    is_told = False
    """True for a piece of an agent's text that the host has sent to the watchers already. No field: it is not stored."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; fields that are None are left out. A value that JSON lacks becomes its text."""
        values = ((one.name, getattr(self, one.name)) for one in fields(self))  # type: ignore[arg-type]  # subclasses are dataclasses
        return {name: plain_value(value) for name, value in values if value is not None}

    def to_json(self, indent: int | None = 2) -> str:
        return json.dumps(self.to_dict(), indent=indent)


@dataclass
class RunResponse(_Serializable):
    """The result of one run, or one piece of a stream. A workflow sets its run_id, session_id and workflow_id."""

    content: Any = None
    content_type: str = "str"
    thinking: str | None = None
    reasoning_content: str | None = None
    event: str = RunEvent.run_response.value
    messages: list[Any] | None = None
    metrics: dict[str, Any] | None = None
    model: str | None = None
    model_provider: str | None = None
    run_id: str | None = None
    agent_id: str | None = None
    agent_name: str | None = None
    session_id: str | None = None
    team_id: str | None = None
    team_session_id: str | None = None
    workflow_id: str | None = None
    tools: list[Any] | None = None
    formatted_tool_calls: list[Any] | None = None
    images: list[Any] | None = None
    videos: list[Any] | None = None
    audio: list[Any] | None = None
    response_audio: Any = None
    citations: Any = None
    extra_data: Any = None
    created_at: int = field(default_factory=_now)
    """Unix seconds."""
    events: list[Any] | None = None
    status: str = "working"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunResponse:
        """A RunResponse from the dict of `to_dict`; unknown keys are dropped."""
        known = {one.name for one in fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in known})

    def get_content_as_string(self, **options: Any) -> str:
        """A text itself; models and all other values as JSON. `options` go to the JSON writer."""
        if isinstance(self.content, str):
            return self.content
        return json.dumps(plain_value(self.content), **options)


@dataclass
class WorkflowRunResponseStartedEvent(_Serializable):
    """A workflow has begun. Only bodies yield it; the run itself does not emit it."""

    run_id: str | None = None
    created_at: int = field(default_factory=_now)
    event: str = RunEvent.workflow_started.value
    content: Any = None
    content_type: str = "str"
    session_id: str | None = None
    workflow_id: str | None = None


@dataclass
class WorkflowCompletedEvent(_Serializable):
    """A workflow has ended. `content` is its whole content and is not counted twice."""

    run_id: str | None = None
    created_at: int = field(default_factory=_now)
    event: str = RunEvent.workflow_completed.value
    content: Any = None
    content_type: str = "str"
    session_id: str | None = None
    workflow_id: str | None = None


WorkflowRunResponseEvent = Union[WorkflowRunResponseStartedEvent, WorkflowCompletedEvent]  # noqa: UP007 - isinstance on 3.11
"""Either of the two events."""


class StreamContent:
    """Adds up the content of a stream. Content that a completed event repeats counts once."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._segment = 0  # the index where the current agent's text begins, for a stream of several agents
        self._structured: list[Any] = []

    def __bool__(self) -> bool:
        return bool(self._pieces or self._structured)

    def take(self, event: str, content: Any) -> bool:
        """Add one item. False if it holds nothing new."""
        if event in STARTED_EVENTS:
            self._segment = len(self._pieces)
        new = content is not None and content != ""
        if new and event in COMPLETED_EVENTS:
            new = not self._repeats(content)
        if new and isinstance(content, str):
            self._pieces.append(content)
        elif new:
            self._structured.append(content)
        if event in COMPLETED_EVENTS:
            self._segment = len(self._pieces)
        return new

    def content(self) -> tuple[Any, str]:
        """The content and its type's name: the text if there is any, else the structured values; several as a list."""
        if self._pieces or not self._structured:
            return "".join(self._pieces) or None, "str"
        if len(self._structured) == 1:
            return self._structured[0], type(self._structured[0]).__name__
        return list(self._structured), "list"

    def _repeats(self, content: Any) -> bool:
        if isinstance(content, str):
            return content in ("".join(self._pieces), "".join(self._pieces[self._segment :]))
        return any(content is one for one in self._structured)


def empty_answer(*, is_stream: bool, is_async: bool) -> Any:
    """The answer of a run that a host skips, because it belongs to a file's top level."""
    if is_stream:
        return _no_items() if is_async else iter(())
    return _no_content() if is_async else RunResponse(content="")


async def _no_items() -> AsyncIterator[Any]:
    nothing: tuple[Any, ...] = ()
    for item in nothing:
        yield item


async def _no_content() -> RunResponse:
    return RunResponse(content="")


def is_response(value: object) -> bool:
    """True for a RunResponse, or an object with its two main fields."""
    return isinstance(value, RunResponse) or _has(value, "content", "run_id")


def is_event(value: object) -> bool:
    """True for a value that a body may yield: a response, or an event of a workflow, agent or team, known by its fields."""
    return is_response(value) or _has(value, "content", "event") or _has(value, "event", "run_id")


def event_name(value: object) -> str:
    event = getattr(value, "event", None)
    if isinstance(event, Enum):
        event = event.value
    return event if isinstance(event, str) else ""


def _has(value: object, *names: str) -> bool:
    return not isinstance(value, type | Mapping) and all(hasattr(value, name) for name in names)


def plain_value(value: Any) -> Any:
    """The value as plain JSON values. A value that JSON lacks becomes its text."""
    if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return plain_value(value.value)
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_value(item) for item in value]
    if isinstance(value, _Serializable):
        return value.to_dict()
    if hasattr(value, "model_dump"):
        return plain_value(value.model_dump(mode="json"))
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain_value(getattr(value, one.name)) for one in fields(value)}
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
