"""Control: the verbs of the command line, by name; called through the daemon's socket, or in this process where no daemon runs.

`control` carries out one verb. Events on the way go to `emit`. Not the framing: that is daemon/control_connection.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from ..errors import BadArguments, UnknownRun, UnknownWorkflow, cause_of
from ..model.artifact import new_artifact
from ..model.run import Run, envelope
from ..model.session import Caller
from ..registry.importable import Importable
from ..service import Service

Emit = Callable[[dict[str, Any]], Awaitable[None]]
Verb = Callable[[Service, Caller, dict[str, Any], Emit], Awaitable[Any]]

_LOOK_S = 0.01
_INDEXING_LOOK_S = 0.2
_CATCH_UP_S = 2.0
_MAX_RESULT_CHARS = 4 * 1024 * 1024


async def _run(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Run a workflow until it has ended or asks a question. Events are emitted on the way."""
    live = await service.runs.start(caller, args["name"], args.get("arguments") or {}, args.get("session_id"))
    await _watch(service, caller, live.run.id, emit)
    run = await service.runs.wait(live, None)  # of a run whose start could not be stored, only its handle knows
    return _whole(service, run)


async def _exec(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """The same for a source of the operator's that is run once."""
    live = await service.code_runs.start(
        caller, args["source"], args.get("arguments") or {}, args.get("session_id"), origin="operator"
    )
    await _watch(service, caller, live.run.id, emit)
    return _whole(service, await service.runs.wait(live, None))


def _whole(service: Service, run: Run) -> dict[str, Any]:
    """The envelope with the whole result: a terminal or a pipe takes what a model's context does not. A line of the socket has a limit."""
    if run.result is None or len(run.result) > _MAX_RESULT_CHARS:
        return service.runs.envelope(run)
    return envelope(run, len(run.result) + 1)


async def _start(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Start a run, and answer as soon as its start is stored."""
    live = await service.runs.start(caller, args["name"], args.get("arguments") or {}, args.get("session_id"))
    return service.runs.envelope(await service.runs.find(caller, live.run.id))


async def _takes(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """The parameters of a workflow."""
    version = await service.library.find_or_wait(caller, args["name"])
    return {"name": version.name, "input_schema": version.input_schema}


async def _rerun(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """The same for a new run that takes the recorded answers of an old one."""
    live = await service.history.rerun(caller, args["run_id"], args.get("before"), args.get("source"))
    await _watch(service, caller, live.run.id, emit)
    return _whole(service, await service.runs.wait(live, None))


async def _attend(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Keep watching a run that had asked the questions `asked`, from the event after `after`."""
    run = await service.runs.find(caller, args["run_id"])
    await _watch(service, caller, run.id, emit, int(args.get("after", 0)), frozenset(args.get("asked", ())))
    return _whole(service, await service.runs.find(caller, run.id))


async def _watch(
    service: Service, caller: Caller, run_id: str, emit: Emit, after: int = 0, asked: Collection[str] = ()
) -> None:
    """Emit a run's events until it has ended or asks something new. A watcher that goes, for whatever reason, leaves the run alone."""
    told = after

    async def tell() -> None:
        nonlocal told
        async for event in service.runs.follow(run_id, after):
            await emit(event.public())
            told = event.n

    await emit({"type": "run", "run_id": run_id})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tell)
        run = await _wait_for_news(service, caller, run_id, asked)
        if run is not None and not run.is_final:
            with anyio.move_on_after(_CATCH_UP_S):  # a number may have been given to an event that was not needed
                while told < run.last_event:
                    await anyio.sleep(_LOOK_S)
        tasks.cancel_scope.cancel()


async def _wait_for_news(service: Service, caller: Caller, run_id: str, asked: Collection[str]) -> Run | None:
    """The run when it has ended or asks a question. None: it is gone, because its start could not be stored."""
    try:
        return await service.runs.wait_for_news(caller, run_id, asked)
    except UnknownRun:
        return None


async def _logs(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Emit a run's events after `after`, with `follow` until its end. Then the envelope, and the traceback of a failure."""
    run = await service.runs.find(caller, args["run_id"])
    after, follow = int(args.get("after", 0)), bool(args.get("follow"))
    if follow or after < run.last_event:
        async for event in service.runs.follow(run.id, after):
            await emit(event.public())
            if not follow and event.n >= run.last_event:
                break
    run = await service.runs.find(caller, run.id)
    return {**service.runs.envelope(run), "traceback": run.error.traceback if run.error else None}


async def _search(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """While texts are being indexed, emit how many are done: the first time may take minutes."""

    async def tell() -> None:
        told = None
        while True:
            if (indexing := service.library.indexing) != told and indexing is not None:
                told = indexing
                await emit({"done": told[0], "total": told[1]})
            await anyio.sleep(_INDEXING_LOOK_S)

    wait_s = float(args["wait_s"]) if args.get("wait_s") is not None else None
    limit, source = int(args.get("limit", 5)), bool(args.get("include_source"))
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell)
            answer = await service.library.search(caller, args["query"], limit, args.get("tags"), source, wait_s=wait_s)
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise cause_of(group) from None
    return answer


async def _list(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    filters = {name: args[name] for name in ("created_by", "since", "tags", "status") if args.get(name)}
    return await service.library.list_workflows(caller, args.get("cursor"), int(args.get("limit", 50)), **filters)


async def _show(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """A workflow; or a run with its calls, when `name` is the id of a run."""
    name = args["name"]
    try:
        if not name.startswith("workflow:"):
            return await service.versions.get(caller, name, args.get("version"), args.get("diff"))
    except UnknownWorkflow:
        if not service.runs.may_mean_a_run(name):
            raise
    run = await service.runs.find(caller, await service.runs.find_id(caller, name))
    return {**await service.history.show(caller, run.id), **_whole(service, run)}


async def _code(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> str:
    """Everything that is needed to load a workflow in the caller's process, as JSON: `wire.Code`."""
    version = await service.library.find_or_wait(caller, args["name"])
    return msgspec.json.encode(version.code()).decode()


async def _create(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    replace, force = bool(args.get("replace")), bool(args.get("force"))
    return await service.own_files.add(caller, args["name"], args["source"], replace, args.get("examples"), force)


async def _publish(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """A file that was deleted comes back as one."""
    force = bool(args.get("force"))
    if (restored := await service.own_files.restore(caller, args["name"], args["version"])) is not None:
        return restored
    return await service.publishing.publish(caller, args["name"], args["version"], force)


async def _approvals(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.approvals.waiting(caller)


async def _approval(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """All that a person needs to decide about a version."""
    return await service.approvals.look(caller, args["name"], args.get("version"))


async def _approve(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """A person sits at the command line. The version is the whole hash of what was shown."""
    return await service.approvals.approve(caller, args["name"], args["version"], force=bool(args.get("force")))


async def _revoke(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.approvals.revoke(caller, args["name"], args.get("version"))


async def _pin(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return {"changed": await service.publishing.pin(caller, args["name"])}


async def _unpin(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return {"changed": await service.publishing.unpin(caller, args["name"])}


async def _delete(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.own_files.remove(caller, args["name"], bool(args.get("force")))


async def _runs(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> list[dict[str, Any]]:
    """`session` may be a name or an id."""
    filters = dict(args)
    if (session := filters.pop("session", None)) is not None:
        named = {row["name"]: row["session_id"] for row in await service.sessions.list_sessions(caller)}
        filters["session_id"] = named.get(session, session)
    return await service.runs.list_runs(caller, **filters)


async def _get(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """A run's envelope, with its questions."""
    return service.runs.envelope(await service.runs.find(caller, args["run_id"]))


async def _answer(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.runs.answer(caller, args["run_id"], args["answer"], args.get("question_id"))


async def _resume(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.history.resume(caller, args["run_id"])


async def _cancel(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.runs.cancel(caller, args["run_id"])


async def _withdraw(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> None:
    """Cancel a run that works, because its caller no longer wants it. One that waits for an answer is left."""
    with contextlib.suppress(UnknownRun):
        if (await service.runs.find(caller, args["run_id"])).status == "working":
            await service.runs.cancel(caller, args["run_id"])


async def _sessions(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> list[dict[str, Any]]:
    return await service.sessions.list_sessions(caller)


async def _session_show(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.sessions.show(caller, args["session"])


async def _session_reset(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.sessions.reset(caller, args["session"], args.get("workflow"))


async def _session_rename(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.sessions.rename(caller, args["session"], args["name"])


async def _session_delete(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.sessions.delete(caller, args["session"])


async def _artifacts(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.artifacts.list_page(
        caller, str(args.get("prefix") or ""), args.get("cursor"), int(args.get("limit", 1000))
    )


async def _artifact_show(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """With the path of the file that holds its content: the command line is the same user's."""
    found = await service.artifacts.use(caller.principal, args["name"])
    return {**found.public(), "path": service.artifacts.path(found)}


async def _artifact_save(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    new = new_artifact(args["name"], args["kind"], mime_type=args.get("mime_type"), description=args.get("description"))
    return (await service.artifacts.save_file(caller.principal, new, args["path"], by=caller)).public()


async def _artifact_delete(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    deleted = await service.artifacts.delete(caller.principal, args["name"], by=caller)
    return {"name": args["name"], "deleted": deleted}


async def _config(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> list[dict[str, Any]]:
    """The settings of the process that owns the home."""
    return service.settings.rows()


async def _packages(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """The modules that created code may import in this process's Python."""
    return await anyio.to_thread.run_sync(Importable(service.settings.packages).facts)


async def _inbox(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.inbox.contents(caller)


async def _tools(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """All tools, or with `query` those that fit it."""
    if args.get("query"):
        wait_s = float(args["wait_s"]) if args.get("wait_s") is not None else None
        return await service.tools.search(args["query"], args.get("limit", 5), wait_s=wait_s)
    return await service.tools.list_tools()


async def _tool(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.tools.describe(args["name"])


async def _tool_call(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> str:
    """The answer of a tool as JSON text. Its progress is emitted."""
    told, heard = anyio.create_memory_object_stream[dict[str, Any]](100)

    def tell(progress: list[Any]) -> None:
        with contextlib.suppress(anyio.WouldBlock):
            told.send_nowait(
                {"type": "progress", "data": dict(zip(("done", "total", "message"), progress, strict=True))}
            )

    async def pass_on() -> None:
        async for event in heard:
            await emit(event)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pass_on)
            with told:
                answer = await service.tools.call(caller, args["name"], args.get("arguments") or {}, tell)
    except BaseExceptionGroup as group:
        raise cause_of(group) from None
    return answer


async def _tools_doctor(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> list[dict[str, Any]]:
    return await service.tools.examine()


async def _isolation(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return await service.sandbox.examine()


async def _broken(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> list[dict[str, Any]]:
    return service.library.list_broken(caller)


async def _gc(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    bounds, audit_before = (args.get("keep_s"), args.get("keep"), bool(args.get("dry_run"))), args.get("audit_before")
    return await service.history.collect_garbage(*bounds, audit_before=audit_before, caller=caller)


async def _audit(service: Service, caller: Caller, args: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """A page of the audit log. With `follow` its lines are emitted, and each new one as it comes."""
    filters = {name: args[name] for name in ("since", "workflow", "who", "action") if args.get(name)}
    newest = await service.audit.last()
    page = await service.audit.page(args.get("before"), int(args.get("limit", 50)), **filters)
    if args.get("follow"):
        for line in reversed(page["lines"]):
            if line["n"] <= newest:
                await emit(line)
        async for line in service.audit.follow(newest, **filters):
            await emit(line)
    return page


_VERBS: dict[str, Verb] = {
    "run": _run, "exec": _exec, "start": _start, "takes": _takes,
    "rerun": _rerun, "attend": _attend, "logs": _logs, "search": _search, "list": _list, "show": _show, "create": _create,
    "publish": _publish, "pin": _pin, "unpin": _unpin, "delete": _delete, "runs": _runs, "get": _get, "answer": _answer,
    "resume": _resume, "cancel": _cancel, "withdraw": _withdraw, "sessions": _sessions, "broken": _broken, "gc": _gc,
    "tools": _tools, "tool": _tool, "tool_call": _tool_call, "tools_doctor": _tools_doctor,
    "approvals": _approvals, "approval": _approval, "approve": _approve, "revoke": _revoke,
    "config": _config, "packages": _packages, "inbox": _inbox, "code": _code, "isolation": _isolation, "audit": _audit,
    "session_show": _session_show, "session_reset": _session_reset, "session_rename": _session_rename, "session_delete": _session_delete,
    "artifacts": _artifacts, "artifact_show": _artifact_show, "artifact_save": _artifact_save, "artifact_delete": _artifact_delete,
}  # fmt: skip


async def control(service: Service, caller: Caller, verb: str, args: dict[str, Any], emit: Emit) -> Any:
    """Carry out one verb for the local user. Raises RepertoireError."""
    handler = _VERBS.get(verb)
    if handler is None:
        raise BadArguments(
            f"Unknown command {verb!r}.", "The daemon may be older than this command line: `repertoire stop` ends it."
        )
    await service.library.refresh(caller)
    await service.tools.refresh()
    caller = msgspec.structs.replace(caller, client="repertoire command line")
    if "run_id" in args:
        args = {**args, "run_id": await service.runs.find_id(caller, args["run_id"])}
    return await handler(service, caller, args, emit)
