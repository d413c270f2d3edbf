"""The command line's door: verbs as JSON over the daemon's socket, or called in the same process where no daemon runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from ..errors import BadArguments
from ..model.session import Caller
from ..service import Service

Emit = Callable[[dict[str, Any]], Awaitable[None]]
Verb = Callable[[Service, Caller, dict[str, Any], Emit], Awaitable[Any]]


async def _run(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Run to the end; events are emitted on the way. Who breaks off the command cancels its run."""
    live = await service.run(caller, args["name"], args.get("arguments") or {}, args.get("session_id"))
    try:
        await emit({"type": "run", "run_id": live.run.id})
        async for event in service.follow(live.run.id):
            await emit(event.public())
        return service.envelope(await service.finish(live))
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await service.cancel(caller, live.run.id)
        raise


async def _logs(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Emit a run's events from after `after` on, with `follow` until its end; then the envelope, and the traceback of a failure."""
    run = await service.own_run(caller, args["run_id"])
    after, follow = int(args.get("after", 0)), bool(args.get("follow"))
    if follow or after < run.last_event:
        async for event in service.follow(run.id, after):
            await emit(event.public())
            if not follow and event.n >= run.last_event:
                break
    run = await service.own_run(caller, run.id)
    return {**service.envelope(run), "traceback": run.error.traceback if run.error else None}


async def _search(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.search(caller, args["query"], int(args.get("limit", 5)))


async def _list(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.list_workflows(caller, args.get("cursor"), int(args.get("limit", 50)))


async def _show(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.get(caller, args["name"])


async def _create(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.add_file(caller, args["name"], args["source"], bool(args.get("replace")))


async def _delete(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return {"deleted": await service.remove(caller, args["name"])}


async def _runs(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> list[dict[str, Any]]:
    return await service.runs(caller, **args)


async def _cancel(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.cancel(caller, args["run_id"])


async def _sessions(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> list[dict[str, Any]]:
    return await service.sessions(caller)


async def _broken(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> list[dict[str, Any]]:
    return service.broken(caller)


_VERBS: dict[str, Verb] = {
    "run": _run, "logs": _logs, "search": _search, "list": _list, "show": _show, "create": _create, "delete": _delete,
    "runs": _runs, "cancel": _cancel, "sessions": _sessions, "broken": _broken,
}  # fmt: skip


async def control(service: Service, caller: Caller, verb: str, args: dict[str, Any], emit: Emit) -> Any:
    """Carry out one verb for the local user. Raises RepertoireError."""
    handler = _VERBS.get(verb)
    if handler is None:
        raise BadArguments(
            f"Unknown command {verb!r}.", "The daemon may be older than this command line: `repertoire stop` ends it."
        )
    await service.refresh(caller)
    return await handler(service, caller, args, emit)
