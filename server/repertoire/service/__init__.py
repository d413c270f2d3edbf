"""Service: holds what a home can do, a part for each subject; used by the surfaces, the command line and the doors of bodies.

A caller's name and session become a version and a session id here, and rights are checked here. `build` makes the parts.
Not a protocol: the surfaces translate MCP, HTTP and the command line into calls of these parts.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import Settings
from .approvals import Approvals
from .artifacts import Artifacts
from .audit_log import AuditLog
from .code_runs import CodeRuns
from .history import History
from .inbox import Inbox
from .library import Library
from .own_files import OwnFiles
from .publishing import Publishing
from .runs import Runs
from .sandbox import Sandbox
from .sessions import Sessions
from .tools import Tools
from .versions import Versions

__all__ = ["Service"]


@dataclass(frozen=True, slots=True)
class Service:
    """The parts over one home."""

    settings: Settings
    library: Library
    """Search, list and find published workflows."""
    versions: Versions
    """Show a workflow whole, with its versions and drafts."""
    publishing: Publishing
    """Create, publish, delete and pin workflows."""
    approvals: Approvals
    """List, show and approve versions that wait for a person, for the operator."""
    own_files: OwnFiles
    """Add and remove workflow files in HOME/workflows, for the operator."""
    sessions: Sessions
    """List sessions, and resolve the session that a call means."""
    runs: Runs
    """Start, wait for, answer, cancel and read runs."""
    code_runs: CodeRuns
    """Run code once, without publishing it."""
    history: History
    """Resume, rerun, show as a tree and delete runs of the past."""
    artifacts: Artifacts
    """Save, read, list and delete named texts, JSON values and files."""
    tools: Tools
    """List, find, describe and call the tools of all sources."""
    inbox: Inbox
    """List what waits for a person."""
    sandbox: Sandbox
    """Say how unapproved code is isolated, and try it."""
    audit: AuditLog
    """Read who did what."""
