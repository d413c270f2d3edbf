"""The class style in one place: `from repertoire.classes import Workflow, RunResponse`; see `workflow` and, for hosts, `runs`."""

from __future__ import annotations

from .response import (
    RunEvent,
    RunResponse,
    WorkflowCompletedEvent,
    WorkflowRunResponseEvent,
    WorkflowRunResponseStartedEvent,
)
from .run_doors import Opened, Opening, RunDoors, RunEnd, SessionBusy, SessionConflict, serving
from .workflow import Workflow

__all__ = [
    "Opened",
    "Opening",
    "RunDoors",
    "RunEnd",
    "RunEvent",
    "RunResponse",
    "SessionBusy",
    "SessionConflict",
    "Workflow",
    "WorkflowCompletedEvent",
    "WorkflowRunResponseEvent",
    "WorkflowRunResponseStartedEvent",
    "serving",
]
