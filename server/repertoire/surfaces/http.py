"""HTTP: Streamable HTTP at /mcp, legacy SSE at /sse, and /healthz; used by app.py and `serve`. Loopback only until there are tokens.

`build_app` makes the ASGI app, `serve_http` serves it. Host and Origin are checked for every bound address: the SDK alone checks them
only on loopback.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..daemon.line_channel import MAX_LINE_BYTES
from ..errors import BadSettings
from ..limits import Limits
from ..model.session import Caller
from ..service import Service
from ..version import VERSION
from .allowed_hosts import is_loopback, origin_pattern, transport_security
from .mcp import build_server
from .mcp.change_notifications import Changes
from .mcp.sdk_adapter import Context, bound_sessions, client_name, legacy_session, peer
from .request_bodies import ReadableBodies
from .shutdown import Shutdown

logger = logging.getLogger(__name__)

_EXPOSED = ["Mcp-Session-Id", "MCP-Protocol-Version", "WWW-Authenticate", "Retry-After"]
"""Headers of answers that a client in a browser may read."""
_PREFLIGHT_S = 600
_STREAMS_S = 1
"""Open calls are answered before the server closes. The streams that are still open then carry nothing more."""
_KEEP_ALIVE_S = 75
"""uvicorn's default of 5 s cuts off clients that open hundreds of connections."""


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT, [IPV6]:PORT or :PORT. Raises BadSettings, also for an address that other machines could reach."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdigit() or int(port) > 65535:
        raise BadSettings(f"{text!r} is not HOST:PORT.", "For example 127.0.0.1:8080.")
    if host != "localhost" and not is_loopback(host):
        raise BadSettings(
            f"{host} can be reached from other machines, and this server has no authentication yet.",
            "Bind 127.0.0.1 and put a proxy that authenticates in front.",
        )
    return host, int(port)


def build_http_server(
    service: Service,
    limits: Limits,
    changes: Changes,
    state_key: bytes | None = None,
    ending: Shutdown | None = None,
    base: Caller | None = None,
    note_caller: Callable[[Caller], None] | None = None,
) -> Server[Any]:
    """The MCP server behind HTTP: one for all clients. `base` has the folders and the environment that they all share."""
    base = base or Caller(roots=service.settings.roots, env=service.settings.own_env())

    def caller_of(ctx: Context) -> Caller:
        caller = _caller(base, ctx)
        if note_caller is not None:
            note_caller(caller)
        return caller

    return build_server(service, limits, changes, caller_of, state_key=state_key, ending=ending)


def build_app(server: Server[Any], host: str, max_sessions: int = Limits().max_http_sessions) -> Starlette:
    """The ASGI app. Its lifespan owns the SDK's HTTP sessions."""
    security = transport_security(host)
    sse = SseServerTransport("/messages/", security_settings=security, max_request_body_size=MAX_LINE_BYTES)

    class SseDoor:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            try:
                async with sse.connect_sse(scope, receive, send) as (requests, answers):
                    await server.run(requests, answers, server.create_initialization_options())
            except ValueError:
                logger.debug("an SSE connection was refused")  # connect_sse has answered it

    async def healthz(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "version": VERSION})

    extra: list[Route] = [
        Route("/sse", endpoint=SseDoor(), methods=["GET"]),
        Mount("/messages/", app=sse.handle_post_message),  # type: ignore[list-item]  # the SDK's hint is narrower than its use
        Route("/healthz", endpoint=healthz),
    ]
    app = server.streamable_http_app(
        transport_security=security, custom_starlette_routes=extra, host=host, max_request_body_size=MAX_LINE_BYTES
    )
    bound_sessions(server, max_sessions)
    app.add_middleware(ReadableBodies)
    app.add_middleware(SlashEnds)
    app.add_middleware(
        CORSMiddleware,
        allow_origin_regex=origin_pattern(host),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=_EXPOSED,
        max_age=_PREFLIGHT_S,
    )
    return app


class SlashEnds:
    """Serves `/mcp/` as `/mcp`: some clients lose the body at a redirect, and browsers follow none after a preflight."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in ("/mcp/", "/sse/", "/healthz/"):
            path = scope["path"].removesuffix("/")
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)


@asynccontextmanager
async def serve_http(app: Starlette, host: str, port: int) -> AsyncIterator[int]:
    """Serve while the block runs; yields the bound port (`port` may be 0). Raises BadSettings when the port is taken."""
    sock = _bind(host, port)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_STREAMS_S,
        lifespan="on",
    )
    server = _Server(config)

    async def serve() -> None:
        with anyio.CancelScope(shield=True):  # a cancelled server would leave its socket open
            await server.serve(sockets=[sock])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        try:
            while not server.started:  # uvicorn offers no event for it
                await anyio.sleep(0.005)
            yield sock.getsockname()[1]
        finally:
            server.should_exit = True


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # signals are the app's
        yield


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(
        family, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # asyncio sets TCP_NODELAY only where it sees TCP
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise BadSettings(f"cannot listen on {host}:{port}: {error.strerror}.", "Choose another port.") from error
    sock.listen(2048)
    return sock


def _caller(base: Caller, ctx: Context) -> Caller:
    """Without a token the local user is the owner: a legacy session has its own default session, a stateless call mints one."""
    session, lane, client = legacy_session(ctx), peer(ctx), client_name(ctx)
    return msgspec.structs.replace(base, session_name=session, lane=lane, client=client, cwd=None)
