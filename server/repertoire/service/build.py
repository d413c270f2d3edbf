"""Build: puts the parts of the service together, each with its collaborators; used by `open_app`."""

from __future__ import annotations

import os
from functools import partial

from anyio.abc import TaskGroup

from ..engine.function_calls import FunctionCalls
from ..engine.long_waits import Waits
from ..engine.retention import Retention
from ..engine.runner import Runner
from ..registry.catalog import Catalog
from ..settings import Settings
from ..store import Store
from ..upstream.catalog import Catalog as ToolCatalog
from ..upstream.masks import Masks
from . import Service
from .approvals import Approvals
from .artifacts import Artifacts
from .audit_log import AuditLog
from .call_graph import CallGraph
from .code_runs import CodeRuns
from .examples import Examples
from .history import History
from .inbox import Inbox
from .library import Library
from .own_files import OwnFiles
from .pre_publish_checks import PrePublishChecks
from .publishing import Publishing
from .references import References
from .runs import Runs
from .sandbox import Sandbox
from .sessions import Sessions
from .tool_files import ToolFiles
from .tool_sources import tool_sources
from .tools import Tools
from .trash import Trash
from .trust import TrustRules
from .versions import Versions


def tool_files_of(
    settings: Settings, masks: Masks, tasks: TaskGroup, runner: Runner, calls: FunctionCalls, tools: ToolCatalog
) -> ToolFiles:
    """The definitions of tools that the settings and the home's folders name."""
    home = settings.home
    folders = [os.path.join(home, "tools"), *(os.path.abspath(os.path.expanduser(one)) for one in settings.tools)]
    mcp_file = os.path.expanduser(settings.mcp) or os.path.join(home, "mcp.json")
    hosts = settings.fetch_private_hosts
    make = partial(tool_sources, folders, mcp_file, hosts, masks, tasks, runner.inspect, calls, settings.limits)
    return ToolFiles(make, folders, mcp_file, tools, tasks)


def build_service(
    settings: Settings,
    store: Store,
    catalog: Catalog,
    library: Library,
    runner: Runner,
    waits: Waits,
    retention: Retention,
    trash: Trash,
    artifacts: Artifacts,
    references: References,
    tools: Tools,
    rules: TrustRules,
) -> Service:
    limits = settings.limits
    call_graph = CallGraph(catalog, limits)
    versions = Versions(store, library, call_graph)
    checks = PrePublishChecks(library, runner, settings, rules)
    examples = Examples(store, runner, library, limits)
    publishing = Publishing(settings, store, catalog, library, versions, checks, examples, call_graph, rules)
    approvals = Approvals(store, catalog, library, versions, publishing, rules)
    own_files = OwnFiles(settings.home, trash, store, catalog, library, checks, examples, call_graph, publishing)
    sessions = Sessions(store, limits)
    runs = Runs(store, library, sessions, runner, waits, references, limits, rules)
    code_runs = CodeRuns(rules, checks, runs)
    inbox = Inbox(store, library, runs, rules)
    history = History(store, runs, checks, runner, retention)
    parts = (
        library,
        versions,
        publishing,
        approvals,
        own_files,
        sessions,
        runs,
        code_runs,
        history,
        artifacts,
        tools,
        inbox,
    )
    return Service(settings, *parts, Sandbox(runner, settings.home), AuditLog(store))
