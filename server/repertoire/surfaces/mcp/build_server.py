"""Build server: makes the SDK's lowlevel Server for callers of one kind, and answers tools/list; used by the app and http.py.

There is one server for each connection of the daemon's socket, and one for all of HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from ...limits import Limits
from ...model.session import Caller
from ...model.workflow_version import FIXED_TOOLS
from ...service import Service
from ...version import VERSION
from ..shutdown import Shutdown
from .call_tool import NoteOpen, ToolCalls
from .change_notifications import Changes
from .fixed_tools import fixed_tools, search_text
from .resources import Resources
from .sdk_adapter import Cancellations, Context, correct_capabilities, new_state_key, seal_request_state, watch
from .task_notifications import TaskSubscriptions
from .tasks import Tasks
from .tool_listings import Listings

_INSTRUCTIONS = """Repertoire keeps Python workflows as tools. Before writing code for a task, look for a workflow: among the tools, and
with search_workflows if its description says that there are more. If none fits and the task will come again, write one with create_workflow
and run it with run_workflow in the same turn.
In a workflow effects go into a step(function, *args): a run that is interrupted starts again from the top, and only recorded calls are not
repeated. guide(topic) has a page each on writing, surviving, composing, asking, tools, packages, examples and errors.
Every answer is {run_id, session_id, status, result}; with status "working" the run goes on: call get_run(run_id, wait_s);
with "input_required" it asks something: ask the user, then call answer_run(run_id, answer)."""

CallerOf = Callable[[Context], Caller]


def build_server(
    service: Service,
    limits: Limits,
    changes: Changes,
    caller_of: CallerOf,
    *,
    note_open: NoteOpen | None = None,
    state_key: bytes | None = None,
    ending: Shutdown | None = None,
) -> Server[Any]:
    """`caller_of(ctx)` gives the caller of a request. `changes` is shared by all servers of the app. `state_key` seals the state that
    clients return with the answers to a question: without it, no such state is valid after this server. `ending` closes with the app."""
    cancellations = Cancellations()
    resources = Resources(service, caller_of)
    listings = Listings(service)
    fixed = fixed_tools(limits)
    tools = ToolList(service, limits.page_size, caller_of, listings, fixed)
    tasks = Tasks(service, caller_of, listings)
    calls = ToolCalls(
        service, caller_of, cancellations, tasks, listings, fixed, limits.inline_deadline_s, note_open, ending
    )
    server: Server[Any] = Server(
        "repertoire",
        version=VERSION,
        title="Repertoire",
        instructions=_INSTRUCTIONS,
        get_tool_input_schema=tools.input_schema,
        on_list_tools=tools.list,  # type: ignore[arg-type]  # a handler may return its result in wire form
        on_call_tool=calls,  # type: ignore[arg-type]  # as above
        on_list_resources=resources.list_resources,
        on_list_resource_templates=resources.list_templates,
        on_read_resource=resources.read,
        on_list_prompts=resources.list_prompts,
        on_get_prompt=resources.get_prompt,
        on_subscriptions_listen=TaskSubscriptions(service, tasks, changes, caller_of),
    )
    tasks.serve(server)
    correct_capabilities(server)
    seal_request_state(server, state_key or new_state_key(), lambda ctx: caller_of(ctx).principal)
    watch(server, changes.remember)
    watch(server, cancellations.remember)
    return server


class ToolList:
    """Answers tools/list: the fixed tools first, then workflows in alphabetical order. The cursor is the last name of the page before."""

    def __init__(
        self,
        service: Service,
        page_size: int,
        caller_of: CallerOf,
        listings: Listings,
        fixed: Mapping[str, types.Tool],
    ) -> None:
        self._service = service
        self._page_size = page_size
        self._caller_of = caller_of
        self._listings = listings
        self._schemas = {name: tool.input_schema for name, tool in fixed.items()}
        self._fixed = [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in fixed.values()]

    async def list(self, ctx: Context, params: types.PaginatedRequestParams | None) -> dict[str, Any]:
        """The page in wire form: dumping each model anew would be a third of the work."""
        cursor = params.cursor if params else None
        caller = self._caller_of(ctx)
        versions = await self._service.library.listed_tools(caller, len(FIXED_TOOLS))
        unlisted = await self._service.library.count_unlisted(caller, versions)
        page = [] if cursor else [self._with_unlisted(tool, unlisted) for tool in self._fixed]
        rest = [version for version in versions if cursor is None or version.name > cursor]
        if cursor is not None and not rest and all(version.name != cursor for version in versions):
            raise MCPError(
                code=types.INVALID_PARAMS, message="That cursor is not one of tools/list; begin without one."
            )
        places = self._page_size - len(page)
        page += [self._listings.of(version).tool for version in rest[:places]]
        answer = {"resultType": "complete", "tools": page, "ttlMs": 0, "cacheScope": "private"}
        return {**answer, "nextCursor": page[-1]["name"]} if len(rest) > places else answer

    @staticmethod
    def _with_unlisted(tool: dict[str, Any], unlisted: int | None) -> dict[str, Any]:
        """search_workflows says if a search is needed at all."""
        return {**tool, "description": search_text(unlisted)} if tool["name"] == "search_workflows" else tool

    def input_schema(self, name: str) -> Mapping[str, Any] | None:
        """For the SDK's check of header parameters; without it every HTTP call would list all tools first."""
        if name in self._schemas:
            return self._schemas[name]
        version = self._service.library.view(Caller(roots=self._service.settings.roots)).find(name)
        return None if version is None else self._listings.of(version).input_schema
