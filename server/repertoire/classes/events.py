"""Events: the event classes of agents and teams, by which files of the class style recognise the pieces of a stream. Used by such files.

Each class stands for the name of an event. `isinstance(piece, RunResponseContentEvent)` asks for the piece's `event` and not for its class,
because an agent's pieces are all RunResponse here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from .response import RunEvent, RunResponse, event_name, is_event


class RunStatus(str, Enum):  # noqa: UP042 - as RunEvent
    """The statuses of a run, under their former names and with the words of this project."""

    pending = "working"
    running = "working"
    completed = "completed"
    paused = "input_required"
    cancelled = "cancelled"
    error = "failed"


TeamRunEvent = Enum("TeamRunEvent", {one.name: f"Team{one.value}" for one in RunEvent}, type=str)  # type: ignore[misc]  # names from RunEvent
"""The kinds of events of a team."""


@dataclass
class TeamRunResponse(RunResponse):
    """The result of one run of a team."""

    event: str = "TeamRunResponse"
    team_name: str | None = None
    member_responses: list[Any] | None = None


class RunResponseExtraData:
    """Keeps its fields, by keyword: references, add_messages, history, reasoning_steps. A field that was not given is None."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(dict.fromkeys(("references", "add_messages", "history", "reasoning_steps")), **fields)


class _ByName(type):
    event: str

    def __instancecheck__(cls, value: object) -> bool:
        return is_event(value) if not cls.event else event_name(value) == cls.event


class RunResponseEvent(RunResponse, metaclass=_ByName):
    """Any piece of a stream."""

    event: str = ""


BaseAgentRunResponseEvent = RunResponseEvent
TeamBaseAgentRunResponseEvent = RunResponseEvent

_NAMES: Final = {
    "RunResponseStartedEvent": RunEvent.run_started,
    "RunResponseContentEvent": RunEvent.run_response_content,
    "IntermediateRunResponseContentEvent": RunEvent.run_intermediate_response_content,
    "RunResponseCompletedEvent": RunEvent.run_completed,
    "RunResponsePausedEvent": RunEvent.run_paused,
    "RunResponseContinuedEvent": RunEvent.run_continued,
    "RunResponseErrorEvent": RunEvent.run_error,
    "RunResponseCancelledEvent": RunEvent.run_cancelled,
    "MemoryUpdateStartedEvent": RunEvent.memory_update_started,
    "MemoryUpdateCompletedEvent": RunEvent.memory_update_completed,
    "ReasoningStartedEvent": RunEvent.reasoning_started,
    "ReasoningStepEvent": RunEvent.reasoning_step,
    "ReasoningCompletedEvent": RunEvent.reasoning_completed,
    "ToolCallStartedEvent": RunEvent.tool_call_started,
    "ToolCallCompletedEvent": RunEvent.tool_call_completed,
    "ParserModelResponseStartedEvent": RunEvent.parser_model_response_started,
    "ParserModelResponseCompletedEvent": RunEvent.parser_model_response_completed,
    "OutputModelResponseStartedEvent": RunEvent.output_model_response_started,
    "OutputModelResponseCompletedEvent": RunEvent.output_model_response_completed,
}


def _event_class(name: str, event: str) -> Any:
    fields = {"__module__": __name__, "__annotations__": {"event": str}, "event": event}
    made: Any = _ByName(name, (RunResponseEvent,), fields)
    return dataclass(made)


for _name, _event in _NAMES.items():
    globals()[_name] = _event_class(_name, _event.value)
    globals()[f"Team{_name}"] = _event_class(f"Team{_name}", f"Team{_event.value}")
