"""Call tool: answers tools/call for fixed tools and workflows; used by build_server.py.

1. A fixed tool is one call of the service. `run_workflow` and a workflow's own tool begin a run, and the request waits for it.
2. The request waits until the run has ended or asks, or its deadline is over. Then it is answered; the run may go on.
3. While it waits, the client gets progress (progress.py), and the person gets the run's questions (questions.py).
4. A request that is cancelled cancels its run only when the client wants that, and the workflow does not declare `disconnect: detach`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
import mcp_types as types
import msgspec
from mcp.shared.exceptions import MCPError

from ...engine.live_run import Live
from ...errors import BadArguments, RepertoireError, UnknownWorkflow, cause_of
from ...model.run import Run, iso
from ...model.session import Caller
from ...model.workflow_version import FIXED_TOOLS
from ...names import RUN_CODE
from ...service import Service
from ..shutdown import FINISH_S, ServerEnds, Shutdown
from .approval_forms import ApprovalForms
from .call_results import (
    ToolResult,
    adding_next,
    answer_in_text,
    answer_of_run,
    answer_with,
    fault_of,
    refusal,
    showing_images,
    with_next,
)
from .guide import page as guide_page
from .next_calls import after_events, after_list, after_version, near_tools, written
from .progress import Progress
from .questions import Questions, Round
from .sdk_adapter import Cancellations, Context, client_name, is_modern, wants_progress
from .tasks import GRACE_S, Tasks, declares_tasks
from .tool_arguments import read_arguments, without_host_arguments
from .tool_listings import Listing, Listings

logger = logging.getLogger(__name__)

NoteOpen = Callable[[Any, str], None]
_LAST_EVENTS_S = 5.0
"""Events that were stored with a run's end may be unread when it has ended. Reading them takes a millisecond,
except on a slow machine."""
_NOTE_AFTER_S = 0.002
"""Most runs of files have ended by then, and a note costs their answer a wake-up of the front. The run of a created workflow is noted at
once: its own process costs far more than the note."""
_LISTED = 20
"""Runs in an answer of list_runs, unless the caller gives a limit."""
_TOGETHER_S = 0.05
"""A body that asks several questions at once asks them within this time, and the person gets all of them together."""
Wait = Callable[[float], Awaitable[Run]]


class Stake(NamedTuple):
    """A request that waits for a run."""

    run_id: str
    wait: Wait
    is_stopped: bool
    """Whether the run is cancelled with the request."""
    seen: int = 0
    """The last event whose progress an earlier request has sent."""
    at_once: bool = False
    """Whether the front is told the run's id as soon as its start is stored."""
    recorded: asyncio.Future[Any] | None = None
    """Done when the run's start is stored; None: it was stored before."""
    wait_s: float = math.inf
    """The caller's own limit of the wait."""
    asks: bool = True
    """Whether the run's questions are put to the person behind the client."""
    listing: Listing | None = None
    """The listing of the called tool, when it is the workflow's own."""
    rounds: int = 0
    """How often the client has answered questions in this call, on 2026-07-28."""


class FrontNote:
    """Tells the front which run a request has begun, once its start is stored: the front must not ask for a run that does not exist."""

    def __init__(self, tell: Callable[[], None], stake: Stake) -> None:
        self._tell = tell
        self._recorded = stake.recorded
        self._cancelled = False
        delay = 0.0 if stake.at_once else _NOTE_AFTER_S
        self._timer = asyncio.get_running_loop().call_later(delay, self._due) if delay else None
        if not delay:
            self._due()

    def cancel(self) -> None:
        """The request is answered."""
        self._cancelled = True
        if self._timer is not None:
            self._timer.cancel()

    def _due(self) -> None:
        if self._recorded is None:
            self._tell()
        else:
            self._recorded.add_done_callback(self._on_recorded)

    def _on_recorded(self, recorded: asyncio.Future[Any]) -> None:
        if not self._cancelled and not recorded.cancelled() and recorded.exception() is None:
            self._tell()


class ToolCalls:
    """Answers tools/call for callers of one kind. `note_open` gets the run that a request began, unless it is answered at once."""

    def __init__(
        self,
        service: Service,
        caller_of: Callable[[Context], Caller],
        cancellations: Cancellations,
        tasks: Tasks,
        listings: Listings,
        fixed: Mapping[str, types.Tool],
        deadline_s: float,
        note_open: NoteOpen | None = None,
        ending: Shutdown | None = None,
    ) -> None:
        self._ending = ending or Shutdown()
        self._service = service
        self._caller_of = caller_of
        self._cancellations = cancellations
        self._tasks = tasks
        self._listings = listings
        self._schemas = {name: tool.input_schema for name, tool in fixed.items()}
        self._questions = Questions(service)
        self._forms = ApprovalForms(service, self._ending)
        self._deadline_s = deadline_s
        self._note_open = note_open

    async def __call__(self, ctx: Context, params: types.CallToolRequestParams) -> ToolResult:
        caller = msgspec.structs.replace(self._caller_of(ctx), client=client_name(ctx))
        arguments = dict(params.arguments or {})
        try:
            if params.name in FIXED_TOOLS and params.name not in ("run_workflow", RUN_CODE):
                given = self._checked(params.name, arguments)
                make = partial(self._fixed_or_ending, ctx, caller, params.name, given)
                return await self._forms.answer(ctx, caller, params, given, make)
            return await self._run(ctx, caller, params, arguments)
        except UnknownWorkflow as error:
            if params.name in FIXED_TOOLS:
                return self._refused(params.name, arguments, error)
            is_known = error.deleted or error.draft
            why = f"{error.message} {error.hint or ''}" if is_known else near_tools(params.name, error)
            raise MCPError(
                code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name[:100]}. {why}".strip()
            ) from error
        except RepertoireError as error:
            return self._refused(params.name, arguments, error)
        except MCPError:
            raise
        except Exception:  # the edge of a request
            logger.exception("tools/call %s", params.name)
            failed = RepertoireError("Repertoire failed to answer this call; its log has the details.")
            return self._refused(params.name, arguments, failed)

    def _refused(self, name: str, arguments: dict[str, Any], error: RepertoireError) -> ToolResult:
        return refusal(name, error, arguments, self._schemas.get(name, {}))

    def _checked(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a fixed tool, read and read_arguments."""
        schema = self._schemas[name]
        return read_arguments(
            schema, without_host_arguments(arguments, schema, self._service.settings.dropped_arguments)
        )

    async def _fixed_or_ending(self, ctx: Context, caller: Caller, name: str, arguments: dict[str, Any]) -> ToolResult:
        if name == "answer_run":
            return await self._answer(ctx, caller, arguments)
        reads = name == "get_run"
        with self._ending.scope(0.0 if reads else FINISH_S) as scope:
            return await self._fixed(caller, name, arguments)
        assert scope.cancelled_caught
        self._ending.check()
        if reads:
            return await self._fixed(caller, name, {**arguments, "wait_s": 0})
        raise ServerEnds(
            f"The server ends ({self._ending.why}) before this call was finished.",
            "It may or may not have had its effect: look, and make the same call again.",
        )

    async def _fixed(self, caller: Caller, name: str, arguments: dict[str, Any]) -> ToolResult:
        service = self._service
        match name:
            case "search_workflows":
                return answer_with(await service.library.search(caller, **arguments))
            case "search_tools":
                return answer_with(await service.tools.search(**arguments))
            case "list_workflows":
                page = await service.library.list_workflows(caller, **arguments)
                return answer_with(adding_next(page, after_list(page, arguments)))
            case "get_workflow":
                return answer_with(await service.versions.get(caller, **arguments))
            case "create_workflow":
                created = await service.publishing.create(caller, **arguments)
                return answer_with(adding_next(created, after_version(created)))
            case "guide":
                packages = service.settings.packages
                return answer_in_text(await anyio.to_thread.run_sync(guide_page, arguments["topic"], packages))
            case "delete_workflow":
                return answer_with(await self._delete(caller, **arguments))
            case "publish_workflow":
                return answer_with(await service.publishing.publish(caller, **arguments))
            case "get_run":
                pages = "after_event" in arguments
                answer = await service.runs.get(caller, **{"events": "all" if pages else "last", **arguments})
                shown = answer_with(with_next(answer, after_events(answer)))
                return await showing_images(service, caller.principal, shown)
            case "list_runs":
                return answer_with({"runs": await service.runs.list_runs(caller, **{"limit": _LISTED, **arguments})})
            case _:
                return answer_with(with_next(await service.runs.cancel(caller, **arguments)))

    async def _delete(self, caller: Caller, name: str, force: bool = False) -> dict[str, Any]:
        """Whether it was deleted now; and of a deleted workflow, who did it, when, and how to bring it back."""
        deleted = await self._service.publishing.delete(caller, name, force)
        line = await self._service.library.deletion(name)
        if line is None:
            return {"deleted": deleted}
        who = {"version": line.hash[:12], "deleted_by": line.client or line.principal, "deleted_at": iso(line.at)}
        return {"deleted": deleted, **who, "next": written("publish_workflow", name=name, version=line.hash[:12])}

    async def _answer(self, ctx: Context, caller: Caller, arguments: dict[str, Any]) -> ToolResult:
        """Give an answer, then wait for the run as the call that began it does. An answer that does not fit leaves it waiting."""
        try:
            await self._service.runs.answer(caller, **arguments)
        except BadArguments as error:
            run = await self._service.runs.find(caller, arguments["run_id"])
            if run.status != "input_required":
                raise
            envelope = with_next(self._service.runs.envelope(run))
            return answer_with({**envelope, "error": fault_of(error)}, is_error=True)
        run = await self._service.runs.find(caller, arguments["run_id"])
        wait = self._wait_for(caller, run.id)
        return await self._attend(ctx, caller, Stake(run.id, wait, False, run.last_event, asks=False))

    async def _run(
        self, ctx: Context, caller: Caller, params: types.CallToolRequestParams, arguments: dict[str, Any]
    ) -> ToolResult:
        """Starts a run, or resumes it when the client sends answers to its questions."""
        if params.request_state is not None and is_modern(ctx):
            return await self._resume(ctx, caller, params)
        live, wait_s, listing = await self._start(caller, params.name, arguments)
        is_stopped = live.version.options.disconnect == "cancel"
        stake = Stake(
            live.run.id, partial(self._service.runs.wait, live), is_stopped, at_once=not live.version.is_trusted,
            recorded=live.recorded, wait_s=wait_s, listing=None if params.name in FIXED_TOOLS else listing,
        )  # fmt: skip
        return await self._attend(ctx, caller, stake)

    async def _start(self, caller: Caller, name: str, arguments: dict[str, Any]) -> tuple[Live, float, Listing | None]:
        """The run that a tool begins, how long its caller wants to wait, and the listing of its workflow."""
        wait_s = math.inf
        if name == RUN_CODE:
            options = self._checked(name, arguments)
            wait_s = options.pop("wait_s", math.inf)
            return await self._service.code_runs.start(caller, **options), wait_s, None
        if name in FIXED_TOOLS:
            options = self._checked(name, arguments)
            name, arguments = options.pop("name"), options.pop("arguments", {})
            wait_s = options.pop("wait_s", math.inf)
            listing = self._listings.under(caller, name)
        elif isinstance(session_id := arguments.pop("session_id", None), str | None):
            options, listing = {"session_id": session_id}, self._listings.under(caller, name)
        else:
            raise BadArguments("`session_id` must be a string.")
        if listing is not None and isinstance(arguments, dict):
            arguments = listing.own_names(arguments)
        if not arguments.keys().isdisjoint(self._service.settings.dropped_arguments):
            schema = (await self._service.library.find_or_wait(caller, name)).input_schema
            arguments = without_host_arguments(arguments, schema, self._service.settings.dropped_arguments)
        return await self._service.runs.start(caller, name, arguments, **options), wait_s, listing

    async def _resume(self, ctx: Context, caller: Caller, params: types.CallToolRequestParams) -> ToolResult:
        """Resume the run of an earlier request with the client's answers."""
        run_id, rounds = Round.read(params.request_state or "")
        listing = None if params.name in FIXED_TOOLS else self._listings.under(caller, params.name)
        run = await self._service.runs.find(caller, run_id)
        waits, complaints = await self._questions.store_answers(caller, run, params.input_responses or {})
        run = await self._service.runs.find(caller, run_id)
        if complaints and (asked := self._questions.input_required(ctx, run, rounds, complaints)):
            return asked
        if not waits:
            return await answer_of_run(self._service, run, listing)
        is_stopped = await self._service.runs.is_stopped_with_caller(run)
        wait = self._wait_for(caller, run_id)
        stake = Stake(run_id, wait, is_stopped, run.last_event, listing=listing, rounds=rounds)
        return await self._attend(ctx, caller, stake)

    async def _attend(self, ctx: Context, caller: Caller, stake: Stake) -> ToolResult:
        """Wait for a run on behalf of a request, and answer it."""
        note = self._note_soon(ctx, stake)
        try:
            with self._ending.scope() as scope:
                run, asked = await self._wait_with_progress(ctx, caller, stake)
            if scope.cancelled_caught:
                return await self._answer_at_shutdown(caller, stake)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                if stake.is_stopped and not self._ending.has_begun and await self._cancellations.wants_stop(ctx):
                    await self._service.runs.cancel(caller, stake.run_id)
                else:
                    self._service.runs.note_undelivered(stake.run_id)
            raise
        finally:
            if note is not None:
                note.cancel()
        if asked is not None:
            return asked
        if run.status == "working" and declares_tasks(ctx):
            return await self._tasks.result_of(caller, run)
        return await answer_of_run(self._service, run, stake.listing)

    async def _answer_at_shutdown(self, caller: Caller, stake: Stake) -> ToolResult:
        """The answer while the server ends: the run as it stands. The run goes on with the next server."""
        self._ending.check()
        run = await self._service.runs.find(caller, stake.run_id)
        note = f"The server ends ({self._ending.why}); the run goes on with the next one."
        return await answer_of_run(self._service, run, note=note)

    def _note_soon(self, ctx: Context, stake: Stake) -> FrontNote | None:
        if self._note_open is None:
            return None
        return FrontNote(partial(self._note_open, ctx.request_id, stake.run_id), stake)

    async def _wait_with_progress(self, ctx: Context, caller: Caller, stake: Stake) -> tuple[Run, ToolResult | None]:
        """Wait for the run, with progress when the client wants it. A task has none: its statusMessage shows the same."""
        if declares_tasks(ctx) or not wants_progress(ctx):
            return await self._wait_and_ask(ctx, caller, stake)
        progress = Progress(ctx.session.report_progress)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(progress.watch, self._service.runs.follow(stake.run_id, stake.seen, nested=True))
                run, asked = await self._wait_and_ask(ctx, caller, stake)
                if run.is_final:
                    with anyio.move_on_after(_LAST_EVENTS_S):
                        await progress.seen.wait()
                tasks.cancel_scope.cancel()
        except ExceptionGroup as group:
            raise cause_of(group) from None
        await progress.settle()
        return run, asked

    async def _wait_and_ask(self, ctx: Context, caller: Caller, stake: Stake) -> tuple[Run, ToolResult | None]:
        """The run when it has ended or the deadline is over, or the questions for this client. A person's time is not counted."""
        left, wait = GRACE_S if declares_tasks(ctx) else min(self._deadline_s, stake.wait_s), stake.wait
        while True:
            begun = time.monotonic()
            run = await wait(left)
            left -= min(left, time.monotonic() - begun)
            if run.status != "input_required":
                return run, None
            await anyio.sleep(_TOGETHER_S)
            run = await self._service.runs.find(caller, stake.run_id)
            if run.status != "input_required":  # it was answered meanwhile
                wait = self._wait_for(caller, stake.run_id)
                continue
            if not stake.asks:
                return run, None
            if is_modern(ctx):
                return run, self._questions.input_required(ctx, run, stake.rounds)
            if not await self._questions.put(ctx, caller, run):
                return await self._service.runs.find(caller, stake.run_id), None
            wait = self._wait_for(caller, stake.run_id)

    def _wait_for(self, caller: Caller, run_id: str) -> Wait:
        """A wait for a run that this request did not begin, or that was parked since."""

        async def wait(seconds: float) -> Run:
            await self._service.runs.get(caller, run_id, wait_s=seconds, events="none")
            return await self._service.runs.find(caller, run_id)

        return wait
