"""Repertoire: the names that a workflow file imports. Each is looked up at its first use, so that importing this costs nothing."""

from __future__ import annotations

TYPE_CHECKING = (
    False  # type checkers know the name; importing typing would cost more than all other imports of the front
)
if TYPE_CHECKING:
    from typing import Any

    from .agents.agent import Agent
    from .agents.definition import create_agent, define_agent_profile
    from .agents.team import Team
    from .authoring.ambient import commit_state, log, progress, session_state
    from .authoring.artifacts import artifacts
    from .authoring.cache import cached
    from .authoring.context import Context
    from .authoring.durable import ask, now, sleep, workflows
    from .authoring.steps import step
    from .authoring.tools import tools
    from .classes.pprint import pprint_run_response
    from .classes.response import RunEvent, RunResponse, WorkflowCompletedEvent, WorkflowRunResponseStartedEvent
    from .classes.sqlite_storage import InMemoryStorage, SqliteStorage
    from .classes.workflow import Workflow
    from .values.records import CallError
    from .version import VERSION as __version__

__all__ = [
    "Agent",
    "CallError",
    "Context",
    "InMemoryStorage",
    "RunEvent",
    "RunResponse",
    "SqliteStorage",
    "Team",
    "Workflow",
    "WorkflowCompletedEvent",
    "WorkflowRunResponseStartedEvent",
    "__version__",
    "artifacts",
    "ask",
    "cached",
    "commit_state",
    "create_agent",
    "define_agent_profile",
    "log",
    "now",
    "pprint_run_response",
    "progress",
    "session_state",
    "sleep",
    "step",
    "tools",
    "workflows",
]

_HOMES = {
    "Agent": (".agents.agent", "Agent"),
    "Team": (".agents.team", "Team"),
    "CallError": (".values.records", "CallError"),
    "Context": (".authoring.context", "Context"),
    "InMemoryStorage": (".classes.sqlite_storage", "InMemoryStorage"),
    "RunEvent": (".classes.response", "RunEvent"),
    "RunResponse": (".classes.response", "RunResponse"),
    "SqliteStorage": (".classes.sqlite_storage", "SqliteStorage"),
    "Workflow": (".classes.workflow", "Workflow"),
    "WorkflowCompletedEvent": (".classes.response", "WorkflowCompletedEvent"),
    "WorkflowRunResponseStartedEvent": (".classes.response", "WorkflowRunResponseStartedEvent"),
    "pprint_run_response": (".classes.pprint", "pprint_run_response"),
    "artifacts": (".authoring.artifacts", "artifacts"),
    "tools": (".authoring.tools", "tools"),
    "workflows": (".authoring.durable", "workflows"),
    "ask": (".authoring.durable", "ask"),
    "cached": (".authoring.cache", "cached"),
    "now": (".authoring.durable", "now"),
    "sleep": (".authoring.durable", "sleep"),
    "step": (".authoring.steps", "step"),
    "commit_state": (".authoring.ambient", "commit_state"),
    "create_agent": (".agents.definition", "create_agent"),
    "define_agent_profile": (".agents.definition", "define_agent_profile"),
    "log": (".authoring.ambient", "log"),
    "progress": (".authoring.ambient", "progress"),
    "session_state": (".authoring.ambient", "session_state"),
    "__version__": (".version", "VERSION"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'repertoire' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _HOMES[name]
    # Not stored in this module: a worker would take the change for one by the run's body, and would not be used again.
    return getattr(import_module(module, __name__), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
