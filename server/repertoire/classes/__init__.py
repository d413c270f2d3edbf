"""Classes: the class style, usable without a server: `from repertoire.classes import Workflow, RunResponse`.

`workflow` holds the base class and `response` its answers. `body` calls a body, `class_run` is one run, `instance` the data of one
Workflow object. `run_doors` is the Protocol between a run and its host: `script_doors` implements it over a storage, the worker over its
socket. `stored_sessions`, `memory_storage`, `sqlite_storage` and `session_locks` keep sessions. `agent_views`, `toolkits`,
`pprint` and `logging` are for workflow files. Used by workflow files, `compat` and the worker.
"""

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
