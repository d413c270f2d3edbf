"""The SDK's lowlevel Server for callers of one kind: one for each connection of the daemon's socket, one for all of HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from ...model.session import Caller
from ...service import Service
from ...settings import Limits
from ...version import VERSION
from ..shutdown import Ending
from .call_tool import Calls, NoteOpen
from .fixed_tools import FIXED
from .resources import Reading
from .sdk_adapter import Cancellations, Changes, Context, new_state_key, promise_what_is_kept, seal_request_state, watch
from .task_notifications import Listening
from .tasks import Tasks
from .tool_listings import Listings

_INSTRUCTIONS = """Repertoire keeps Python workflows as tools. Before writing code for a task, call search_workflows: a workflow may
exist. If none fits and the task will come again, write one with create_workflow and run it with run_workflow in the same turn.
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
    ending: Ending | None = None,
) -> Server[Any]:
    """`caller_of(ctx)` says who makes a request; `changes` is shared by all servers of the app. `state_key` seals what clients bring
    back with the answers to a question: without one, no such state survives this server. `ending` hears when the app closes."""
    cancellations = Cancellations()
    reading = Reading(service, caller_of)
    listings = Listings(service)
    tools = Tools(service, limits, caller_of, listings)
    tasks = Tasks(service, caller_of, listings)
    calls = Calls(service, caller_of, cancellations, tasks, listings, limits.inline_deadline_s, note_open, ending)
    server: Server[Any] = Server(
        "repertoire",
        version=VERSION,
        title="Repertoire",
        instructions=_INSTRUCTIONS,
        get_tool_input_schema=tools.input_schema,
        on_list_tools=tools.list,  # type: ignore[arg-type]  # a handler may give its result in wire form
        on_call_tool=calls,  # type: ignore[arg-type]  # as above
        on_list_resources=reading.list_resources,
        on_list_resource_templates=reading.list_templates,
        on_read_resource=reading.read,
        on_list_prompts=reading.list_prompts,
        on_get_prompt=reading.get_prompt,
        on_subscriptions_listen=Listening(service, tasks, changes, caller_of),
    )
    tasks.serve(server)
    promise_what_is_kept(server)
    seal_request_state(server, state_key or new_state_key(), lambda ctx: caller_of(ctx).principal)
    watch(server, changes.remember)
    watch(server, cancellations.remember)
    return server


class Tools:
    """tools/list: the fixed tools first, then workflows in alphabetical order; the cursor is the last name of the page before."""

    def __init__(self, service: Service, limits: Limits, caller_of: CallerOf, listings: Listings) -> None:
        self._service = service
        self._limits = limits
        self._caller_of = caller_of
        self._listings = listings
        self._fixed = [_wire(tool) for tool in FIXED.values()]

    async def list(self, ctx: Context, params: types.PaginatedRequestParams | None) -> dict[str, Any]:
        """As the wire has it: dumping each model anew would be a third of the work."""
        cursor = params.cursor if params else None
        versions = await self._service.library.listed_tools(self._caller_of(ctx), len(FIXED))
        page = [] if cursor else list(self._fixed)
        rest = [version for version in versions if cursor is None or version.name > cursor]
        if cursor is not None and not rest and all(version.name != cursor for version in versions):
            raise MCPError(
                code=types.INVALID_PARAMS, message="That cursor is not one of tools/list; begin without one."
            )
        places = self._limits.page_size - len(page)
        page += [self._listings.of(version).tool for version in rest[:places]]
        answer = {"resultType": "complete", "tools": page, "ttlMs": 0, "cacheScope": "private"}
        return {**answer, "nextCursor": page[-1]["name"]} if len(rest) > places else answer

    def input_schema(self, name: str) -> Mapping[str, Any] | None:
        """For the SDK's check of header parameters; without it every HTTP call would list all tools first."""
        if name in FIXED:
            return FIXED[name].input_schema
        version = self._service.library.view(Caller(roots=self._service.settings.roots)).find(name)
        return None if version is None else self._listings.of(version).input_schema


def _wire(tool: types.Tool) -> dict[str, Any]:
    return tool.model_dump(by_alias=True, mode="json", exclude_none=True)
