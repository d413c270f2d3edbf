"""tools/call: fixed tools and workflows, each translated into one verb of the service and its answer back."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError

from ...engine.runner import Live
from ...errors import BadArguments, Refused, RepertoireError, UnknownWorkflow
from ...model.run import Run
from ...model.session import Caller
from ...service import Service
from .definitions import FIXED
from .sdk import Cancellations, Context, wants_progress
from .watch import Progress

logger = logging.getLogger(__name__)

Answer = dict[str, Any]
"""A CallToolResult as the wire has it: the SDK checks it either way, and need not dump it first."""
NoteOpen = Callable[[Any, str], None]
_LAST_EVENTS_S = 1.0
"""The events that were stored with a run's end are still to be read when it has ended; that takes a millisecond."""
_NOTE_AFTER_S = 0.002
"""Most runs of files have ended by then, and a note costs their answer a wake-up of the front. Of a created workflow's run the front
hears at once: beside its own process the note costs nothing."""
_RUNNING = frozenset({"run_workflow", "get_run", "cancel_run"})


class Calls:
    """Answers tools/call for callers of one kind. `note_open` hears which run a request began, unless it is answered at once."""

    def __init__(
        self, service: Service, caller_of: Callable[[Context], Caller], cancellations: Cancellations, deadline_s: float,
        note_open: NoteOpen | None = None,
    ) -> None:  # fmt: skip
        self._service = service
        self._caller_of = caller_of
        self._cancellations = cancellations
        self._deadline_s = deadline_s
        self._note_open = note_open

    async def __call__(self, ctx: Context, params: types.CallToolRequestParams) -> Answer:
        caller = self._caller_of(ctx)
        arguments = dict(params.arguments or {})
        try:
            if params.name in FIXED:
                return await self._fixed(ctx, caller, params.name, _checked(params.name, arguments))
            session_id = arguments.pop("session_id", None)
            return await self._run(ctx, caller, params.name, arguments, session_id)
        except UnknownWorkflow as error:
            if params.name in FIXED:
                return _refusal(params.name, error)
            raise MCPError(
                code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name[:100]}. {error.hint or ''}".strip()
            ) from error
        except RepertoireError as error:
            return _refusal(params.name, error)
        except MCPError:
            raise
        except Exception:  # the edge of a request
            logger.exception("tools/call %s", params.name)
            return _refusal(
                params.name, RepertoireError("Repertoire failed to answer this call; its log has the details.")
            )

    async def _fixed(self, ctx: Context, caller: Caller, name: str, arguments: dict[str, Any]) -> Answer:
        service = self._service
        match name:
            case "search_workflows":
                return _answer(await service.search(caller, **arguments))
            case "list_workflows":
                return _answer(await service.list_workflows(caller, **arguments))
            case "get_workflow":
                return _answer(await service.get(caller, **arguments))
            case "create_workflow":
                return _answer(await service.create(caller, **arguments))
            case "delete_workflow":
                return _answer({"deleted": await service.delete(caller, **arguments)})
            case "run_workflow":
                workflow, session_id = arguments["name"], arguments.get("session_id")
                return await self._run(ctx, caller, workflow, arguments.get("arguments") or {}, session_id)
            case "get_run":
                return _answer(await service.get_run(caller, **arguments))
            case _:
                return _answer(await service.cancel(caller, **arguments))

    async def _run(self, ctx: Context, caller: Caller, name: str, arguments: dict[str, Any], session_id: Any) -> Answer:
        if session_id is not None and not isinstance(session_id, str):
            raise BadArguments("`session_id` must be a string.")
        live = await self._service.run(caller, name, arguments, session_id)
        note = self._note_soon(ctx, live)
        try:
            run = await self._wait(ctx, live)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                if live.version.options.disconnect == "cancel" and await self._cancellations.wants_stop(ctx):
                    await self._service.cancel(caller, live.run.id)
            raise
        finally:
            if note is not None:
                note.cancel()
        return _answer(self._service.envelope(run), is_error=run.status in ("failed", "cancelled"))

    def _note_soon(self, ctx: Context, live: Live) -> asyncio.TimerHandle | None:
        if self._note_open is None:
            return None
        if live.version.origin == "tool":
            self._note_open(ctx.request_id, live.run.id)
            return None
        return asyncio.get_running_loop().call_later(_NOTE_AFTER_S, self._note_open, ctx.request_id, live.run.id)

    async def _wait(self, ctx: Context, live: Live) -> Run:
        if not wants_progress(ctx):
            return await self._service.wait(live, self._deadline_s)
        progress = Progress(ctx.session.report_progress)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(progress.watch, self._service.follow(live.run.id))
            run = await self._service.wait(live, self._deadline_s)
            if run.is_final:
                with anyio.move_on_after(_LAST_EVENTS_S):
                    await progress.seen.wait()
            tasks.cancel_scope.cancel()
        await progress.settle()
        return run


def _checked(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The fixed tools' arguments, checked against their own schemas. Raises BadArguments naming each problem."""
    schema = FIXED[name].input_schema
    properties: dict[str, Any] = schema["properties"]
    arguments.pop("_", None)  # VS Code adds it to tools without arguments
    problems = [f"`{key}`: missing" for key in schema["required"] if key not in arguments]
    problems += [
        f"`{key}`: unknown argument; this tool takes {', '.join(properties)}"
        for key in arguments
        if key not in properties
    ]
    for key, value in arguments.items():
        if key in properties and (problem := _problem(value, properties[key])):
            problems.append(f"`{key}`: {problem}, got {json.dumps(value)[:100]}")
    if problems:
        raise BadArguments("; ".join(problems) + ".")
    return {key: value for key, value in arguments.items() if value is not None}


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "object": (dict,), "null": (type(None),),
}  # fmt: skip


def _problem(value: Any, schema: dict[str, Any]) -> str | None:
    wanted = [branch["type"] for branch in schema.get("anyOf", [schema])]
    allowed = tuple(kind for name in wanted for kind in _TYPES[name])
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        return f"wants {' or '.join(wanted)}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(value, int | float) and ((low is not None and value < low) or (high is not None and value > high)):
        return f"wants a number from {low} to {'any' if high is None else high}"
    return None


def _answer(payload: dict[str, Any], *, is_error: bool = False) -> Answer:
    """The same JSON as text and as structured content: clients show the model one or the other."""
    text = json.dumps(payload, ensure_ascii=False)
    content = [{"type": "text", "text": text}]
    return {"resultType": "complete", "content": content, "structuredContent": payload, "isError": is_error}


def _refusal(name: str, error: RepertoireError) -> Answer:
    """A call that did not become a run. Workflow tools promise the envelope, so they answer in it."""
    fault: dict[str, Any] = {
        "code": error.code,
        "type": type(error).__name__,
        "message": error.message,
        "line": None,
        "hint": error.hint,
    }
    if isinstance(error, Refused):
        fault |= {"code": error.reason, "line": error.line, "column": error.column}
    payload: dict[str, Any] = {"error": fault}
    if name in _RUNNING or name not in FIXED:
        payload = {"run_id": None, "session_id": None, "status": "failed", "result": None, "error": fault}
    return _answer(payload, is_error=True)
