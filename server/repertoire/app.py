"""App: `open_app` opens a home and builds its parts from Settings; used by the daemon, the command line and HTTP.

No state lives in a module, so two apps fit into one process. The MCP SDK takes half a second to import. It is imported with the first
MCP connection and not here: a short command never needs it.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cached_property, partial
from importlib import resources
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from . import home as homes
from .daemon.greeting import Hello
from .daemon.home_lock import Owner
from .daemon.lifetime import End
from .daemon.line_channel import LineChannel
from .daemon.server import END_REASONS, serve_home, set_on_signal
from .encoder.models import candidates
from .engine.child_runs import Children
from .engine.function_calls import FunctionCalls
from .engine.interpreted import Interpreted
from .engine.long_waits import Waits
from .engine.pool import WorkerPool
from .engine.recovery import Recovery
from .engine.retention import Retention
from .engine.runner import Runner
from .engine.scratch_folders import Scratch
from .engine.wall_clock import Clock
from .model.session import UNNAMED, Caller
from .providers.keys import provider_variables
from .providers.model_ids import VARIABLES
from .registry.catalog import Catalog
from .registry.embedding_index import EmbeddingIndex
from .registry.search import Finder
from .service import Service
from .service.artifact_doors import ArtifactDoors
from .service.artifacts import Artifacts
from .service.build import build_service, tool_files_of
from .service.cache_doors import CacheDoors
from .service.client_model import ClientModel
from .service.library import Library
from .service.model_doors import ModelDoors
from .service.references import References
from .service.tool_calls import ToolCalls
from .service.tool_doors import ToolDoors
from .service.tool_files import ToolFiles
from .service.tool_search import ToolFinder
from .service.tools import Tools
from .service.trash import Trash
from .service.trust import TrustRules
from .service.workflow_doors import WorkflowDoors
from .service.workspace_doors import WorkspaceDoors
from .service.workspaces import Workspaces
from .settings import Settings, load
from .store import Store, open_store
from .store.content_files import ContentFiles
from .store.file_identity import lost_home
from .surfaces.control import control
from .surfaces.http_clients import HttpDoors
from .surfaces.shutdown import Shutdown
from .upstream.catalog import Catalog as ToolCatalog
from .upstream.masks import Masks, masked_logs
from .upstream.tool import Source
from .version import VERSION

if TYPE_CHECKING:
    from .surfaces.mcp.change_notifications import Changes
    from .surfaces.mcp.sdk_adapter import Context

logger = logging.getLogger(__name__)

_FIRST_SCAN_S = 3.0
"""A connection's first answer waits this long for folders that were never read before. Some hosts give a server only five seconds."""


class App:
    """An open home. The daemon's socket, the command line and HTTP call it."""

    def __init__(self, settings: Settings, service: Service, runner: Runner, recovery: Recovery, store: Store) -> None:
        self._recovery = recovery
        self._store = store
        self.ending = Shutdown()
        self.settings = settings
        self.service = service
        self._runner = runner
        self._changes: Changes | None = None
        self._connections = count()
        self._doors = HttpDoors()

    @property
    def runner(self) -> Runner:
        return self._runner

    @property
    def store(self) -> Store:
        return self._store

    @property
    def wanted_env(self) -> tuple[str, ...]:
        return (*self.settings.caller_env, *VARIABLES)

    def live_runs(self) -> int:
        return self._runner.live_runs

    def sleeping_runs(self) -> int:
        return self._recovery.sleeping

    def lost_file(self) -> str | None:
        return self._store.lost_file()

    async def answer_all(self, why: str) -> None:
        await self.ending.close(why)

    async def refuse_all(self, lost: str) -> None:
        fault = lost_home(lost)
        self._store.lose(fault)
        await self.ending.close(fault.message, fault)

    @property
    def changes(self) -> Changes:
        """Notifies every MCP client of a changed tool list; made with the first of them."""
        if self._changes is None:
            from .surfaces.mcp.change_notifications import Changes

            # The SDK stays loaded, and a list of a thousand tools makes a hundred thousand short-lived objects. With its default
            # thresholds the garbage collector would take half of the time of such an answer.
            gc.freeze()
            gc.set_threshold(20_000, 20, 20)
            self._changes = Changes()
            self.service.library.on_change(self._changes.announce)
            self.service.artifacts.on_change(self._changes.note_artifacts)
        return self._changes

    @cached_property
    def state_key(self) -> bytes:
        """For `build_server`: the sealed state that clients return with their answers is still valid after a restart."""
        from .surfaces.mcp.state_key import state_key

        return state_key(self.settings.home)

    async def settled(self, caller: Caller) -> None:
        """Wait a moment for the caller's folders, when they were never read before."""
        await self.service.library.wait_until_settled(caller, _FIRST_SCAN_S)

    async def serve_mcp(self, hello: Hello, lines: LineChannel) -> None:
        """Serve one MCP connection of a front; returns at its end of input. Its running runs keep running."""
        from .surfaces.mcp import build_server
        from .surfaces.mcp.sdk_adapter import named_caller
        from .surfaces.mcp.stdio_framing import serve_lines

        caller = msgspec.structs.replace(caller_of(hello, self.settings), lane=f"line {next(self._connections)}")

        def named(ctx: Context) -> Caller:
            known = named_caller(caller, ctx, hello.session)
            lines.client, lines.session = known.client, known.session_name or ""
            return known

        server = build_server(
            self.service,
            self.settings.limits,
            self.changes,
            named,
            note_open=lines.note_open,
            state_key=self.state_key,
            ending=self.ending,
        )
        await self.settled(caller)
        await serve_lines(server, lines, self.ending, to_front=True)

    async def serve_stdio(self, session: str) -> None:
        """Serve MCP on this process's own stdin and stdout. `session` "": the client's own name is the session's."""
        from .surfaces.mcp import build_server
        from .surfaces.mcp.sdk_adapter import named_caller
        from .surfaces.mcp.stdio import stdio_lines
        from .surfaces.mcp.stdio_framing import serve_lines

        caller = Caller(roots=self.settings.roots, env=self.settings.own_env(), cwd=os.getcwd(), lane="stdio")
        server = build_server(
            self.service,
            self.settings.limits,
            self.changes,
            lambda ctx: named_caller(caller, ctx, session),
            state_key=self.state_key,
            ending=self.ending,
        )
        await self.settled(caller)
        with stdio_lines() as lines:
            await serve_lines(server, lines, self.ending)

    @asynccontextmanager
    async def http_door(self, address: str, base: Caller) -> AsyncIterator[str]:
        """Serve HTTP at HOST:PORT while the block runs; yields the URL. `base` has the folders and the environment of its callers.
        Raises BadSettings."""
        from .surfaces.http import build_app, build_http_server, parse_address, serve_http

        host, port = parse_address(address)
        await self.settled(base)
        server = build_http_server(
            self.service, self.settings.limits, self.changes, self.state_key, self.ending, base, self._doors.note_caller
        )
        async with serve_http(build_app(server, host, self.settings.limits.max_http_sessions), host, port) as bound:
            with self._doors.opened(f"http://{f'[{host}]' if ':' in host else host}:{bound}") as url:
                yield url

    async def status(self) -> dict[str, Any]:
        """The runs that have not ended, the open HTTP doors with their clients, and the encoder: for `repertoire status`."""
        me = Caller()
        runs = [
            run
            for kind in ("working", "input_required")
            for run in await self.service.runs.list_runs(me, status=kind, top=True)
        ]
        told = {"encoder": self.service.library.encoder_status, "isolation": self.service.sandbox.label}
        return {"runs": runs, **told, **self._doors.public()}

    async def control(
        self, verb: str, args: dict[str, Any], hello: Hello, emit: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> Any:
        if verb == "http":  # it lasts until its client leaves, and holds up nobody's end
            async with self.http_door(str(args["address"]), caller_of(hello, self.settings)) as url:
                await emit({"url": url})
                await anyio.sleep_forever()
        return await control(self.service, caller_of(hello, self.settings), verb, args, emit)

    async def serve(self, owner: Owner, *, idle_exit_s: float | None = None, stop: anyio.Event | None = None) -> End:
        """Serve the home's socket until SIGTERM, SIGINT, `stop`, or the daemon's own reasons to end."""
        end = stop or anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(set_on_signal, end)
            reason = await serve_home(self, owner, idle_exit_s=idle_exit_s, stop=end)
            tasks.cancel_scope.cancel()
        return reason


@asynccontextmanager
async def open_app(
    settings: Settings, *, watch: bool = True, clock: Clock | None = None, sources: Sequence[Source] | None = None
) -> AsyncIterator[App]:
    """Open the home. The caller owns it (`home_lock.Owner`): runs that an earlier owner left unfinished go on here.

    `watch`: follow changes of workflow files and delete old runs; a short command does neither. `clock`: None for the machine's.
    `sources` of tools: None for those that the settings and the home name.
    """
    home = homes.make_home(settings.home)
    own_folder = os.path.join(home, "workflows")
    os.makedirs(own_folder, exist_ok=True)
    always = (own_folder, *([ready] if settings.ready_workflows and (ready := ready_folder()) else []))
    scratch = Scratch(homes.scratch_path(home))
    pool: WorkerPool | None = None
    tool_catalog = ToolCatalog(sources or ())
    masks = Masks()
    model_doors: ModelDoors | None = None
    async with open_store(homes.database_path(home), pid=os.getpid()) as store:
        try:
            async with anyio.create_task_group() as tasks:
                pool = WorkerPool(settings, tasks, scratch)
                tasks.start_soon(scratch.sweep, name="scratch")
                interpreted = Interpreted(pool.isolation, settings.interpreter)
                rules = TrustRules(settings, pool.isolation, interpreted)
                runner = Runner(store, pool, settings.limits, tasks, rules.check_may_run, interpreted=interpreted)
                runner.own_env = settings.own_env()
                inspect = partial(runner.inspect, env=settings.own_env())
                catalog = Catalog(store, inspect, settings.limits, tasks, always, watch=watch)
                await catalog.load()
                waits = Waits(runner, store, settings.limits, clock := clock or Clock())
                files = ContentFiles(homes.artifacts_path(home))
                artifacts = Artifacts(store, files, settings.limits)
                trash = Trash(home)
                workspaces = Workspaces(homes.workspaces_path(home), store, settings.limits)
                retention = Retention(store, settings.limits, artifacts.collect, trash.empty, workspaces.sweep)
                choose = partial(
                    candidates,
                    settings.search_model,
                    download=settings.model_download,
                    adapter=settings.search_adapter,
                )
                embedding_index = EmbeddingIndex(
                    store,
                    choose,
                    scratch.folder,
                    idle_s=settings.limits.encoder_idle_s,
                    download=settings.model_download,
                )
                tasks.start_soon(embedding_index.keep, name="encoder")
                references = References(store, settings.limits, {"artifact:///": artifacts.value})
                library = Library(store, catalog, Finder(store, embedding_index), settings.limits)
                tool_files: ToolFiles | None = None
                if sources is None:
                    calls = FunctionCalls(pool, settings.limits)
                    tool_files = tool_files_of(settings, masks, tasks, runner, calls, tool_catalog)
                    tool_files.load()
                tool_calls = ToolCalls(masks.mask, settings.limits)
                refresh = None if tool_files is None else tool_files.refresh
                tools = Tools(tool_catalog, tool_calls, ToolFinder(store, embedding_index), refresh)
                service = build_service(
                    settings,
                    store,
                    catalog,
                    library,
                    runner,
                    waits,
                    retention,
                    trash,
                    artifacts,
                    references,
                    tools,
                    rules,
                )
                children = Children(runner, store)
                workflow_doors = WorkflowDoors(
                    library, service.versions, service.publishing, children, store, references, rules
                )
                tool_doors = ToolDoors(
                    tools, tool_calls, store, settings, artifacts, waits.doors["ask"], runner.forget_question
                )
                runner.doors |= waits.doors | workflow_doors.doors | tool_doors.doors
                model_doors = ModelDoors(settings, store, masks, ClientModel(waits.doors["ask"], masks.mask))
                own = (
                    ArtifactDoors(artifacts, files, store),
                    CacheDoors(store),
                    model_doors,
                    WorkspaceDoors(workspaces, settings.limits),
                )
                for one in own:
                    runner.doors |= one.doors
                if watch:
                    tasks.start_soon(artifacts.sweep, name="artifacts")
                    tasks.start_soon(retention.every_hour, name="retention")
                    if tool_files is not None:
                        tasks.start_soon(tool_files.keep, name="tool files")
                limit = settings.limits.max_server_deaths
                recovery = Recovery(runner, store, tasks, settings.own_env(), max(1, pool.size - 1), limit, clock)
                await recovery.begin()
                try:
                    with masked_logs(masks):
                        yield App(settings, service, runner, recovery, store)
                finally:
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                if pool is not None:
                    await pool.close()
                if model_doors is not None:
                    await model_doors.aclose()
                await tool_catalog.aclose()


def caller_of(hello: Hello, settings: Settings) -> Caller:
    """The keys of models among the told variables stay in this process. A body sees one only if `worker_env` names it."""
    env = {name: value for name, value in hello.env.items() if name in settings.caller_env}
    provider_env = provider_variables(hello.env)
    session = hello.session or UNNAMED
    return Caller(session_name=session, roots=tuple(hello.roots), env=env, provider_env=provider_env, cwd=hello.cwd)


def ready_folder() -> str | None:
    """The folder of the ready workflows: in the installed package, or beside `server/` in a checkout."""
    packaged = resources.files("repertoire") / "ready"
    beside = Path(__file__).resolve().parents[2] / "workflows"
    for folder in (packaged, beside):
        if folder.is_dir():
            return str(folder)
    return None


def run_daemon(home: str, *, config: str | None = None) -> None:
    """Be the daemon of a home until it is idle, stopped or handed over. Raises HomeInUse."""
    settings = load(home=home, config=config)

    async def main() -> None:
        with Owner(settings.home, kind="daemon", version=VERSION) as owner:
            log = logging.getLogger("repertoire.daemon")
            log.info("version %s starts, pid %d, home %s", VERSION, os.getpid(), settings.home)
            for remark in settings.remarks:
                log.warning("%s", remark)
            async with open_app(settings) as app:
                end = await app.serve(owner, idle_exit_s=settings.limits.idle_exit_s)
            log.info("pid %d ends: %s", os.getpid(), END_REASONS.get(end, end))
        check_home(end, settings)

    anyio.run(main)


def check_home(end: End, settings: Settings) -> None:
    """Raises StorageError when the server has ended because its home is gone. Called after everything is closed."""
    if end == "lost":
        raise lost_home(settings.home)
